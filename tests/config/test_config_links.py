"""A link's URL: what it says, what is refused, and when two of them are one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt.config.links import Link, LinkRefused, parse_link, same_host


def test_a_tcp_link_has_host_and_port():
    assert parse_link("tcp://127.0.0.1:5025") == Link("tcp", "127.0.0.1", 5025)
    assert parse_link("tcp://[::1]:5025") == Link("tcp", "::1", 5025)


def test_an_http_link_may_have_a_path():
    assert parse_link("http://dcu.example:80/api/") == Link("http", "dcu.example", 80, "/api")


def test_a_serial_link_has_a_device_file_and_options():
    link = parse_link("serial:///dev/ttyUSB0?baud=57600&bytesize=7&parity=O&stopbits=1.5")
    assert link.path == "/dev/ttyUSB0"
    assert link.query == {"baud": "57600", "bytesize": "7", "parity": "O", "stopbits": "1.5"}


def test_visa_and_channel_links_keep_their_names_as_they_are():
    assert parse_link("visa://TCPIP0::10.0.0.5::inst0::INSTR").path == "TCPIP0::10.0.0.5::inst0::INSTR"
    assert parse_link("ca://13SIM1:").path == "13SIM1:"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a link is a URL (for instance tcp://host:port)"),
        ("127.0.0.1:5025", "a link is a URL (for instance tcp://127.0.0.1:5025)"),
        ("/dev/ttyUSB0", "a link is a URL (for instance serial:///dev/ttyUSB0)"),
        ("GPIB0::7::INSTR", "a link is a URL (for instance visa://GPIB0::7::INSTR)"),
        ("tpc://a:1", "tpc:// is not one of tcp://, serial://, visa://, http://, ca://, usb:// (did you mean tcp://?)"),
        ("ftp://a:1", "ftp:// is not one of tcp://, serial://, visa://, http://, ca://, usb:// (did you mean tcp://?)"),
        ("tcp://a b:1", "a link has no blanks and no control characters"),
        ("tcp://a:1\n", "a link has no blanks and no control characters"),
        ("tcp://a", "a tcp link names its port (write tcp://a:port)"),
        ("tcp://:5", "a link names its host (for instance tcp://127.0.0.1:5025)"),
        ("tcp://a:65536", "a port is a whole number from 1 to 65535 (for instance tcp://127.0.0.1:5025)"),
        ("tcp://a:-1", "a port is a whole number from 1 to 65535 (for instance tcp://127.0.0.1:5025)"),
        ("tcp://a:٣", "a port is a whole number from 1 to 65535 (for instance tcp://127.0.0.1:5025)"),
        ("tcp://a:5/x", "a tcp link has no path (did you mean tcp://a:5?)"),
        ("tcp://a:5?baud=9", "a tcp link takes no options (for instance tcp://127.0.0.1:5025)"),
        ("tcp://0.0.0.0:5", "0.0.0.0 is an address to listen on, not one to connect to (did you mean 127.0.0.1?)"),
        ("tcp://1.2.3.456:5", "1.2.3.456 is not an IPv4 address (four numbers from 0 to 255 with dots)"),
        ("tcp://[::g]:5", "[::g] is not an IPv6 address (for instance [::1])"),
        ("http://me:pw@a:80", "a port is a whole number from 1 to 65535 (for instance http://127.0.0.1:5025)"),
        ("http://me@a:80", "a link carries no user name and no password (for instance http://127.0.0.1:5025)"),
        ("serial://ttyUSB0", "a serial link names a device file from the root (did you mean serial:///dev/ttyUSB0?)"),
        ("serial:///dev/t?baud=fast", "baud is a rate such as 9600, not fast"),
        ("serial:///dev/t?baud=0", "baud is a rate such as 9600, not 0"),
        ("serial:///dev/t?baud=", "baud is a rate such as 9600, not nothing"),
        ("serial:///dev/t?parity=none", "parity is N, E, O, M or S, not none"),
        ("serial:///dev/t?bytesize=9", "bytesize is 5, 6, 7 or 8, not 9"),
        ("serial:///dev/t?stopbits=3", "stopbits is 1, 1.5 or 2, not 3"),
        ("serial:///dev/t?baud=9600&baud=9600", "baud is given twice"),
        (
            "serial:///dev/t?bauds=9600",
            "bauds is not one of a serial link's options: baud, bytesize, parity, stopbits (did you mean baud?)",
        ),
        ("visa://", "a visa link names what it connects to (for instance visa://TCPIP0::192.168.0.5::inst0::INSTR)"),
        ("ca://X?y=1", "a ca link takes no options (for instance ca://PREFIX:)"),
    ],
)
def test_a_link_that_is_wrong_is_refused_with_the_way_out(text, message):
    with pytest.raises(LinkRefused) as refused:
        parse_link(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp://localhost:5025", "tcp://127.0.0.1:5025"),
        ("tcp://LOCALHOST:5025", "http://[::1]:5025"),
        ("tcp://[0:0::2]:5025", "tcp://[::2]:5025"),
        ("serial:///dev/ttyS0?baud=9600", "serial:///dev//ttyS0"),
        ("visa://ASRL/dev/ttyS0::INSTR", "serial:///dev/ttyS0"),
        ("visa://TCPIP0::localhost::5025::SOCKET", "tcp://127.0.0.1:5025"),
        ("visa://gpib0::7::instr", "visa://GPIB0::7::INSTR"),
    ],
)
def test_one_line_in_two_spellings_is_one_line(one, other):
    assert parse_link(one).line == parse_link(other).line is not None


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:0", "ca://13SIM1:"])
def test_open_ports_and_channels_are_no_line_to_quarrel_about(text):
    assert parse_link(text).line is None


def test_different_hosts_or_ports_are_different_lines():
    lines = {parse_link(text).line for text in ("tcp://a:1", "tcp://a:2", "tcp://b:1", "serial:///dev/a")}
    assert len(lines) == 4


@given(st.from_regex(r"(tcp|http)://[a-z][a-z0-9-]{0,8}(\.[a-z]{1,3})?:[1-9][0-9]{0,3}", fullmatch=True))
def test_a_link_written_out_reads_back_as_itself(text):
    assert str(parse_link(text)) == text


@given(st.text(max_size=40) | st.from_regex(r"(tcp|serial|visa|http|ca)://\S{0,20}", fullmatch=True))
def test_any_text_is_a_link_that_reads_back_or_is_refused(text):
    try:
        link = parse_link(text)
    except LinkRefused:
        return
    assert parse_link(str(link)) == link
    assert hash(link) == hash(parse_link(str(link)))


@given(st.text(max_size=20))
def test_a_host_has_one_spelling(host):
    assert same_host(same_host(host)) == same_host(host)
