"""What each fault does to the bytes, and that it does the same in memory, on a socket and on a pseudo-terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rocksalt.time import Chance, ExperimentClock, run_virtual
from rocksalt.twin.wire.faults import Fault, Faults, FaultyLine, FaultyRequests, FaultyStream
from rocksalt.twin.wire.hosting import HttpRequest, HttpResponse, ServedPty, serve_http, serve_tcp
from rocksalt.twin.wire.lines import LineSimulator, replies


class Counter(LineSimulator):
    """Answers N? with how often it was asked, V? with a quantity; switched off and on, it counts from 1 again."""

    def __init__(self) -> None:
        self.asked = 0

    def power_cycle(self) -> None:
        self.asked = 0

    @replies(r"N\?")
    def number(self) -> str:
        self.asked += 1
        return f"N {self.asked}"

    @replies(r"V\?")
    def value(self) -> str:
        return "+0012.500,1,3.25E+02"


def plan(*faults: dict[str, Any], told: list[Any] | None = None) -> Faults:
    clock = ExperimentClock(asyncio.get_running_loop())
    numbered = [(number, Fault("box", **keys)) for number, keys in enumerate(faults)]
    return Faults(numbered, clock, Chance(3), [].append if told is None else told.append)


def talk(*faults: dict[str, Any], ask: str = "NNN", serial: bool = False) -> list[bytes]:
    """What comes back to each question, a second apart, in memory."""

    async def main() -> list[bytes]:
        came: list[bytes] = []
        session = FaultyLine(Counter(), plan(*faults), serial=serial).accept(came.append)
        found = []
        for letter in ask:
            session.receive(f"{letter}?\n".encode())
            await asyncio.sleep(1.0)
            found.append(b"|".join(came))
            came.clear()
        return found

    return run_virtual(main)


SECOND = {"reply": 2}


@pytest.mark.parametrize(
    ("fault", "second"),
    [
        ({"kind": "silence"}, b""),
        ({"kind": "stale"}, b"N 1\r\n"),
        ({"kind": "doubled"}, b"N 2\r\n|N 2\r\n"),
        ({"kind": "delay", "delay_s": 0.5}, b"N 2\r\n"),
        ({"kind": "refused", "for_s": 5.0}, b"N 2\r\n"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_the_second_reply_is_hit_and_the_others_are_as_ever(fault: dict[str, Any], second: bytes) -> None:
    assert talk(SECOND | fault) == [b"N 1\r\n", second, b"N 3\r\n"]


def test_a_reply_held_up_holds_up_those_behind_it() -> None:
    assert talk(SECOND | {"kind": "delay", "delay_s": 1.5}) == [b"N 1\r\n", b"", b"N 2\r\n|N 3\r\n"]


def test_a_cut_line_has_no_end_unless_it_is_asked_to() -> None:
    (_, cut, _) = talk(SECOND | {"kind": "truncated"})
    (_, ended, _) = talk(SECOND | {"kind": "truncated", "keep_end": True})
    assert cut
    assert b"N 2\r\n".startswith(cut)
    assert not cut.endswith(b"\n")
    assert ended == cut + b"\r\n"


def test_garbage_is_the_same_for_the_same_seed_and_ends_as_the_reply_did() -> None:
    (_, first, _), (_, again, _) = talk(SECOND | {"kind": "garbage"}), talk(SECOND | {"kind": "garbage"})
    assert first == again != b"N 2\r\n"
    assert first.endswith(b"\r\n")


def test_stuck_gives_the_same_answer_to_the_same_question_while_it_lasts() -> None:
    fault = {"kind": "stuck", "at_s": 1.0, "for_s": 2.5}
    assert talk(fault, ask="NNNN") == [b"N 1\r\n", b"N 2\r\n", b"N 2\r\n", b"N 2\r\n"]
    assert talk(fault, ask="NNNNN")[-1] == b"N 5\r\n"


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ({"kind": "nan"}, b"NaN,1,NaN\r\n"),
        ({"kind": "overflow"}, b"9.9E37,1,9.9E37\r\n"),
        ({"kind": "nan", "writes": "9.91E37"}, b"9.91E37,1,9.91E37\r\n"),
        ({"kind": "wrong_unit", "factor": 2.0}, b"+0025.000,1,6.50E+02\r\n"),
        ({"kind": "drift", "per_s": 0.25}, b"+0012.750,1,3.25E+02\r\n"),
    ],
    ids=["nan", "overflow", "writes", "wrong_unit", "drift"],
)
def test_quantities_change_in_the_form_that_they_had_and_states_stay(fault: dict[str, Any], answer: bytes) -> None:
    assert talk({"at_s": 0.0, "for_s": 9.0} | fault, ask="NV")[1] == answer


def test_a_dropped_connection_is_hung_up_and_a_new_one_is_welcome() -> None:
    async def main() -> None:
        line = FaultyLine(Counter(), plan({"kind": "dropped", "at_s": 1.0}))
        came: list[bytes] = []
        session = line.accept(came.append)
        await asyncio.sleep(1.5)
        assert came == [b""]
        session.receive(b"N?\n")
        assert came == [b""]
        line.accept(came.append).receive(b"N?\n")
        assert came == [b"", b"N 1\r\n"]

    run_virtual(main)


@pytest.mark.parametrize("kind", ["dropped", "refused", "reboot"])
def test_no_connection_is_taken_while_the_link_is_down(kind: str) -> None:
    async def main() -> None:
        line = FaultyLine(Counter(), plan({"kind": kind, "at_s": 1.0, "for_s": 2.0}))
        await asyncio.sleep(1.5)
        with pytest.raises(ConnectionRefusedError):
            line.accept(lambda data: None)
        await asyncio.sleep(2.0)
        line.accept(lambda data: None)

    run_virtual(main)


def test_a_half_open_connection_stays_dead_for_ever_and_a_later_one_lives() -> None:
    async def main() -> None:
        came: list[bytes] = []
        line = FaultyLine(Counter(), plan({"kind": "half_open", "at_s": 1.0, "for_s": 2.0}))
        old = line.accept(came.append)
        await asyncio.sleep(2.0)
        during = line.accept(came.append)
        await asyncio.sleep(2.0)
        for session in (old, during):
            session.receive(b"N?\n")
        assert came == []
        line.accept(came.append).receive(b"N?\n")
        assert came == [b"N 1\r\n"]

    run_virtual(main)


def test_a_reboot_forgets_what_the_instrument_knew() -> None:
    async def main() -> None:
        came: list[bytes] = []
        told: list[Any] = []
        line = FaultyLine(Counter(), plan({"kind": "reboot", "at_s": 1.0, "for_s": 1.0}, told=told))
        line.accept(came.append).receive(b"N?\nN?\n")
        await asyncio.sleep(3.0)
        line.accept(came.append).receive(b"N?\n")
        assert came == [b"N 1\r\n", b"N 2\r\n", b"", b"N 1\r\n"]
        assert told == [{"fault": "reboot", "device": "box", "t_s": 1.0}]

    run_virtual(main)


@pytest.mark.parametrize("kind", ["dropped", "half_open", "reboot", "refused"])
def test_a_serial_line_hangs_up_on_nobody_and_comes_back_by_itself(kind: str) -> None:
    came = talk({"kind": kind, "at_s": 0.5, "for_s": 1.0}, serial=True)
    assert [bool(answer) for answer in came] == [True, False, True]


# --- real wires: the same bytes

SHORT_S, LONG_S = 0.2, 5.0
"""How long nothing is waited for, and something."""


async def over_tcp(line: FaultyLine, patience_s: Sequence[float]) -> list[bytes]:
    server, address = await serve_tcp(line)
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    found = []
    for wait_s in patience_s:
        writer.write(b"N?\n")
        found.append(await _what_comes(lambda: reader.read(100), wait_s))
    writer.close()
    server.close()
    await asyncio.sleep(0.01)
    return found


async def over_pty(line: FaultyLine, patience_s: Sequence[float]) -> list[bytes]:
    pty = ServedPty(line)
    fd = os.open(pty.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    loop = asyncio.get_running_loop()

    async def some() -> bytes:
        ready = loop.create_future()
        loop.add_reader(fd, lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
            return os.read(fd, 100)
        finally:
            loop.remove_reader(fd)

    found = []
    for wait_s in patience_s:
        os.write(fd, b"N?\n")
        found.append(await _what_comes(some, wait_s))
    os.close(fd)
    pty.close()
    return found


async def _what_comes(read: Callable[[], Any], wait_s: float) -> bytes:
    """Up to the end of a line, or what came in that time."""
    data = b""
    with contextlib.suppress(TimeoutError):
        while not data.endswith(b"\r\n"):
            async with asyncio.timeout(wait_s):
                data += (part := await read())
            if not part:
                return data + b"<hung up>"
    return data


@pytest.mark.parametrize("wire", [over_tcp, over_pty])
@pytest.mark.parametrize("kind", ["silence", "stale", "garbage", "truncated"])
def test_a_real_wire_carries_what_memory_does(wire: Any, kind: str) -> None:
    async def main() -> list[bytes]:
        line = FaultyLine(Counter(), plan(SECOND | {"kind": kind}))
        found: list[bytes] = await wire(line, [LONG_S, LONG_S if expected.endswith(b"\n") else SHORT_S, LONG_S])
        return found

    _, expected, _ = talk(SECOND | {"kind": kind})
    first, second, third = asyncio.run(main())
    assert first == b"N 1\r\n"
    assert second == expected or (kind == "garbage" and expected.startswith(second))  # it may hold an end within
    assert third.endswith(b"N 3\r\n")


def test_a_socket_is_closed_by_a_drop() -> None:
    async def main() -> list[bytes]:
        return await over_tcp(FaultyLine(Counter(), plan(SECOND | {"kind": "dropped"})), [LONG_S] * 2)

    assert asyncio.run(main())[1] == b"<hung up>"


# --- HTTP


class Web:
    """Answers with how often it was asked, after a second for /slow; streams what it is asked to."""

    def __init__(self) -> None:
        self.asked = 0
        self.push: Callable[[tuple[bytes, ...]], bool] = lambda message: False

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/slow":
            await asyncio.sleep(1.0)
        self.asked += 1
        return HttpResponse(200, b'{"value": %d.5, "state": 1}' % self.asked)

    def stream_to(self, push: Callable[[tuple[bytes, ...]], bool]) -> None:
        self.push = push

    def ends_series(self, message: tuple[bytes, ...]) -> bool:
        return message == (b"end",)


ASK = HttpRequest("GET", "/v")


@pytest.mark.parametrize(
    ("fault", "second"),
    [
        ({"kind": "stale"}, b'{"value": 1.5, "state": 1}'),
        ({"kind": "doubled"}, b'{"value": 2.5, "state": 1}' * 2),
        ({"kind": "nan"}, b'{"value": NaN, "state": 1}'),
        ({"kind": "wrong_unit", "factor": 10.0}, b'{"value": 25.0, "state": 1}'),
        ({"kind": "stuck", "replies": 2}, b'{"value": 2.5, "state": 1}'),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_an_answer_over_http_is_bent(fault: dict[str, Any], second: bytes) -> None:
    async def main() -> list[bytes]:
        web = FaultyRequests(Web(), plan(SECOND | fault))
        return [(await web.handle(ASK)).body for _ in range(3)]

    bodies = run_virtual(main)
    assert bodies[:2] == [b'{"value": 1.5, "state": 1}', second]
    assert bodies[2] == (second if fault["kind"] == "stuck" else b'{"value": 3.5, "state": 1}')


def test_silence_over_http_is_an_answer_that_never_comes() -> None:
    async def main() -> None:
        web = FaultyRequests(Web(), plan({"kind": "silence", "reply": 1}))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1e6):
                await web.handle(ASK)
        assert (await web.handle(ASK)).status == 200

    run_virtual(main)


@pytest.mark.parametrize("kind", ["dropped", "reboot"])
def test_a_connection_that_breaks_takes_the_running_request_along(kind: str) -> None:
    async def main() -> int:
        web = Web()
        faulty = FaultyRequests(web, plan({"kind": kind, "at_s": 0.5, "for_s": 1.0}))
        with pytest.raises(ConnectionResetError):
            await faulty.handle(HttpRequest("GET", "/slow"))
        with pytest.raises(ConnectionRefusedError):
            await faulty.handle(ASK)
        await asyncio.sleep(2.0)
        await faulty.handle(ASK)
        return web.asked

    assert run_virtual(main) == 2  # the instrument went on with what it was told


def test_a_broken_connection_is_one_on_a_real_socket_too() -> None:
    async def main() -> bytes:
        server, address = await serve_http(FaultyRequests(Web(), plan({"kind": "dropped", "reply": 1})))
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /v HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read(100)
        writer.close()
        server.close()
        await asyncio.sleep(0.01)
        return answer

    assert asyncio.run(main()) == b""


# --- the stream


@pytest.mark.parametrize(
    ("fault", "came"),
    [
        ({"kind": "stream_lost", "reply": 2}, [b"start", b"two", b"end"]),
        ({"kind": "stream_lost_end", "at_s": 0.0}, [b"start", b"one", b"two"]),
        ({"kind": "stream_duplicate_end", "at_s": 0.0}, [b"start", b"one", b"two", b"end", b"end"]),
        ({"kind": "stream_delay", "reply": 2, "delay_s": 5.0}, [b"start", b"one", b"two", b"end"]),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_messages_of_a_stream(fault: dict[str, Any], came: list[bytes]) -> None:
    async def main() -> list[bytes]:
        found: list[bytes] = []
        stream = FaultyStream(Web(), plan(fault), lambda message: found.append(message[0]) is None)
        for message in (b"start", b"one", b"two", b"end"):
            assert stream.push((message,)) is True
        await asyncio.sleep(10.0)
        return found

    assert run_virtual(main) == came


def test_a_corrupt_message_is_as_long_as_it_was() -> None:
    async def main() -> bytes:
        found: list[tuple[bytes, ...]] = []
        stream = FaultyStream(Web(), plan({"kind": "stream_corrupt", "reply": 1}), lambda m: found.append(m) is None)
        stream.push((b"head", bytes(1000), b"tail"))
        head, spoilt, tail = found[0]
        assert (head, tail) == (b"head", b"tail")  # it is the pixels that are spoilt
        return spoilt

    spoilt = run_virtual(main)
    assert len(spoilt) == 1000
    assert spoilt.count(b"\xff") == 16
    assert not any(spoilt[:500])


def test_a_full_stream_says_so_through_the_faults() -> None:
    async def main() -> bool:
        return FaultyStream(Web(), plan({"kind": "stream_delay", "at_s": 99.0, "delay_s": 1.0}), lambda m: False).push(
            (b"x",)
        )

    assert run_virtual(main) is False
