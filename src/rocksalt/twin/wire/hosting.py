"""Simulators behind doors: one object served on TCP, a pseudo-terminal, HTTP or ZeroMQ, or handed over in memory.

A simulator knows bytes and time, nothing of sockets. The same encoded bytes cross every door. Everything listens on
127.0.0.1 and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import tty
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rocksalt.time import Node

HOST = "127.0.0.1"
LONGEST_BODY = 16 << 20
LARGEST_PORT = 65535
TRIES = 20


class Session(Protocol):
    """One client's conversation with a simulator that speaks in bytes."""

    def receive(self, data: bytes) -> None: ...

    def closed(self) -> None: ...


class ByteSimulator(Protocol):
    """An instrument on a serial line or a socket: `accept` opens a conversation, answers go out by `send`.

    An empty answer hangs up, where the line can; `accept` may raise ConnectionRefusedError.
    """

    def accept(self, send: Callable[[bytes], None]) -> Session: ...


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came: `path` without the query, `body` undecoded."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer: status, body, and what the body is."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"


class SocketsSimulator(Protocol):
    """An instrument with several sockets, on ports that follow each other."""

    @property
    def sockets(self) -> Sequence[ByteSimulator]: ...


class HttpSimulator(Protocol):
    """An instrument with a web interface. One that streams has `stream_to` too, whose argument takes a message (its
    parts, in order) and says False when full."""

    def handle(self, request: HttpRequest) -> Awaitable[HttpResponse]: ...


# --- real doors ------------------------------------------------------------------------------------------------------


class PortTaken(OSError):
    """Something else listens where a simulator was to listen."""


async def serve_tcp(simulator: ByteSimulator, port: int = 0) -> tuple[asyncio.Server, str]:
    """Serve on TCP; port 0 means any. Returns the server and the address "host:port". Raises PortTaken."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(data: bytes) -> None:
            if data:
                writer.write(data)
            else:
                writer.close()

        try:
            session = simulator.accept(send)
        except ConnectionRefusedError:
            writer.close()
            return
        try:
            while data := await reader.read(65536):
                session.receive(data)
        except ConnectionError:
            pass
        finally:
            session.closed()
            writer.close()

    server = await _listen(talk, port)
    return server, "{}:{}".format(*server.sockets[0].getsockname()[:2])


async def serve_tcp_in_a_row(simulators: Sequence[ByteSimulator], port: int = 0) -> tuple[list[asyncio.Server], str]:
    """Serve the sockets of one instrument on ports that follow each other; port 0 means any such row.

    Returns the servers and the address of the first. Raises PortTaken.
    """
    for _ in range(TRIES if port == 0 else 1):
        servers: list[asyncio.Server] = []
        try:
            for number, simulator in enumerate(simulators):
                after = servers[0].sockets[0].getsockname()[1] + number if servers else port
                if after > LARGEST_PORT:
                    raise PortTaken(f"there is no port {after} on {HOST}")
                servers.append((await serve_tcp(simulator, after))[0])
            return servers, "{}:{}".format(*servers[0].sockets[0].getsockname()[:2])
        except PortTaken as error:
            taken = error
            for server in servers:
                server.close()
    raise taken


async def _listen(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], port: int
) -> asyncio.Server:
    try:
        return await asyncio.start_server(talk, HOST, port)
    except OSError as error:
        raise PortTaken(f"{HOST}:{port} is taken by another program: choose another port, or 0 for any") from error


class ServedPty:
    """A pseudo-terminal in front of a simulator. `path` is what a client opens."""

    def __init__(self, simulator: ByteSimulator) -> None:
        self._master, self._slave = os.openpty()  # the slave stays open here, so that clients may come and go
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._out = bytearray()
        self._session = simulator.accept(self._send)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._arrived)

    def _arrived(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except (BlockingIOError, OSError):
            return
        self._session.receive(data)

    def _send(self, data: bytes) -> None:
        self._out += data
        self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[: os.write(self._master, self._out)]
        except BlockingIOError:
            self._loop.add_writer(self._master, self._flush)
            return
        self._loop.remove_writer(self._master)

    def close(self) -> None:
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        os.close(self._master)
        os.close(self._slave)


async def serve_http(simulator: HttpSimulator, port: int = 0) -> tuple[asyncio.Server, str]:
    """Serve HTTP/1.1, by h11. Returns the server and "host:port". Raises PortTaken."""
    import h11

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            while await _one_request(connection, reader, writer, simulator):
                connection.start_next_cycle()
        except (h11.ProtocolError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await _listen(talk, port)
    return server, "{}:{}".format(*server.sockets[0].getsockname()[:2])


async def _one_request(
    connection: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, simulator: HttpSimulator
) -> bool:
    import h11

    request: Any = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > LONGEST_BODY:
                return False
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            return False
    path, _, query = request.target.decode("ascii", "replace").partition("?")
    headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
    answer = await simulator.handle(HttpRequest(request.method.decode(), path, query, headers, bytes(body)))
    head = [("Content-Length", str(len(answer.body))), ("Content-Type", answer.content_type)]
    writer.write(connection.send(h11.Response(status_code=answer.status, headers=head)))
    if answer.body:
        writer.write(connection.send(h11.Data(data=answer.body)))
    writer.write(connection.send(h11.EndOfMessage()))
    await writer.drain()
    return bool(connection.our_state is h11.DONE and connection.their_state is h11.DONE)


class ServedStream:
    """A ZeroMQ PUSH socket. `push` says False when nobody pulls and the high-water mark is reached."""

    def __init__(self, port: int = 0, high_water: int = 200) -> None:
        import zmq

        self._socket: Any = zmq.Context.instance().socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, high_water)
        self._socket.setsockopt(zmq.LINGER, 1000)  # ms: what was sent may still leave
        self._again: type[Exception] = zmq.Again
        self._no_block: int = zmq.NOBLOCK
        try:
            if port == 0:
                self._socket.bind(f"tcp://{HOST}:*")
            else:
                self._socket.bind(f"tcp://{HOST}:{port}")
        except zmq.ZMQError as error:
            self._socket.close(0)
            raise PortTaken(f"{HOST}:{port} is taken by another program: choose another port, or 0 for any") from error
        self.address: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).removeprefix("tcp://")

    def push(self, message: Sequence[bytes]) -> bool:
        """One message, all its parts or none."""
        try:
            self._socket.send_multipart(message, self._no_block)
        except self._again:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


# --- memory doors ----------------------------------------------------------------------------------------------------


class InMemory:
    """A simulator handed over within the process. It lives on the twin's node: a client's crash is not its own."""

    def __init__(self, simulator: Any, node: Node) -> None:
        self._simulator, self._node = simulator, node
        with node:
            self._home = contextvars.copy_context()

    def accept(self, send: Callable[[bytes], None]) -> Session:
        return _AtHome(self._home.copy().run(self._simulator.accept, send), self._home)

    async def handle(self, request: Any) -> HttpResponse:
        answer: HttpResponse = await asyncio.shield(self._node.spawn(self._simulator.handle(request), "http"))
        return answer


class _AtHome:
    """A session whose callbacks run as the twin's, whoever called."""

    def __init__(self, session: Session, home: contextvars.Context) -> None:
        self._session, self._home = session, home

    def receive(self, data: bytes) -> None:
        self._home.copy().run(self._session.receive, data)

    def closed(self) -> None:
        self._home.copy().run(self._session.closed)
