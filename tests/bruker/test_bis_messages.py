"""The grammar of BIS: brackets end a message, a line end may be missing, and packets may split anywhere."""

from __future__ import annotations

import itertools
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocksalt_drivers.bruker_bis.messages import LONGEST, BadMessage, Message, cut, encode, parse

NAMES = st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=12)
VERBS = st.builds(lambda first, rest: first + rest, st.sampled_from(string.ascii_uppercase), NAMES)
WORDS = st.text(string.ascii_letters + string.digits + ".-+:\\_=", min_size=1, max_size=12)
VALUES = st.lists(WORDS, max_size=5).map(" ".join)
MESSAGES = st.builds(Message, VERBS, st.dictionaries(NAMES, VALUES, max_size=5))
ENDS = st.sampled_from([b"", b"\n", b"\r\n", b"\r", b" \n"])


def written(message: Message) -> bytes:
    return encode(message.verb, message.arguments).encode()


def torn(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[low:high] for low, high in itertools.pairwise(edges)]


def fed(pieces: list[bytes]) -> list[bytes]:
    buffer, found = bytearray(), []
    for piece in pieces:
        buffer += piece
        while (message := cut(buffer)) is not None:
            found.append(message)
    return found


@given(st.lists(st.tuples(MESSAGES, ENDS), max_size=6), st.lists(st.integers(0, 10_000), max_size=12))
def test_messages_come_out_whole_with_line_ends_or_without_and_wherever_the_packets_were_split(
    said: list[tuple[Message, bytes]], places: list[int]
) -> None:
    data = b"".join(written(message) + end for message, end in said)
    assert [parse(raw) for raw in fed(torn(data, places))] == [message for message, _ in said]


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=12))
def test_what_comes_out_of_any_bytes_does_not_depend_on_how_they_were_split(data: bytes, places: list[int]) -> None:
    assert fed(torn(data, places)) == fed([data])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_refused_and_nothing_else_is_raised(data: bytes) -> None:
    for raw in (data, b"[" + data + b"]", *fed([data])):
        try:
            parse(raw)
        except BadMessage:
            pass


@given(st.binary(max_size=200).filter(lambda data: b"[" not in data and b"]" not in data), MESSAGES)
def test_rubbish_before_a_message_does_not_hide_it(rubbish: bytes, message: Message) -> None:
    found = fed([rubbish + written(message)])
    assert parse(found[-1]) == message


def test_a_value_may_hold_brackets_as_the_name_of_a_goniometer_does() -> None:
    (raw,) = fed([b"[GONIOMETERINFO /NAME=D8[000123] with FixedChi /N=1]"])
    assert parse(raw) == Message("GONIOMETERINFO", {"NAME": "D8[000123] with FixedChi", "N": "1"})


def test_a_message_broken_by_a_line_end_takes_none_of_the_next_one_with_it() -> None:
    broken, whole = fed([b"[DRIVESTATUS /MA\n[DRIVESTATUS /MASK=0]\n"])
    with pytest.raises(BadMessage):
        parse(broken)
    assert parse(whole) == Message("DRIVESTATUS", {"MASK": "0"})


def test_a_message_that_was_cut_short_takes_none_of_the_next_one_with_it_where_lines_end() -> None:
    broken, whole = fed([b"[SHUTTERSTA", b"[DRIVESTATUS /MASK=0]\n"])
    assert broken == b"[SHUTTERSTA"
    assert parse(whole) == Message("DRIVESTATUS", {"MASK": "0"})


def test_a_message_without_end_does_not_fill_the_memory() -> None:
    buffer = bytearray(b"[" + b"x" * (3 * LONGEST))
    assert len(cut(buffer) or b"") == LONGEST
    assert len(buffer) == 2 * LONGEST + 1


@pytest.mark.parametrize(
    ("raw", "service_key"),
    [
        (b"[INSTRUMENTSTATUS SERVICEKEY=1 /DOORLOCK=1 /DRIVELOCK=0 /XRAYSON=1 /BUSY=0]", True),
        (b"[InstrumentStatus /ServiceKey=0 /DoorLock=1 /DriveLock=0 /XraysOn=1 /Busy=0]", False),
    ],
)
def test_the_first_argument_may_come_without_its_slash_and_letters_may_be_small(raw: bytes, service_key: bool) -> None:
    message = parse(raw)
    assert message.verb == "INSTRUMENTSTATUS"
    assert (message.flag("SERVICEKEY"), message.flag("DOORLOCK")) == (service_key, True)


def test_angles_have_blanks_between_them() -> None:
    assert parse(b"[ANGLESTATUS /ANGLES=30.0 15.5 -2 54.7]").numbers("ANGLES", 4) == (30.0, 15.5, -2.0, 54.7)


@pytest.mark.parametrize(
    "text",
    ["[A /ANGLES=1 2 3]", "[A /ANGLES=1 2 3 nan]", "[A /ANGLES=1 2 3 1e999]", "[A /ANGLES=1 2 3 4 5]", "[A /B=1]"],
)
def test_angles_that_are_not_four_finite_numbers_are_refused(text: str) -> None:
    with pytest.raises(BadMessage, match="ANGLES"):
        parse(text.encode()).numbers("ANGLES", 4)


@pytest.mark.parametrize("text", ["[]", "[ /A=1]", "A", "[A", "[A /B=1 /B=2]", "[A /=1]", "[1A]", "[A\x00]"])
def test_what_the_grammar_forbids_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        parse(text.encode())


@pytest.mark.parametrize("value", ["a]b", "a[b", "C: /Status=1", "a\nb", "grün"])
def test_nothing_is_said_that_would_end_a_message_or_begin_another_argument(value: str) -> None:
    with pytest.raises(ValueError, match="can't be said to BIS"):
        encode("Scan", {"Filename": value})
