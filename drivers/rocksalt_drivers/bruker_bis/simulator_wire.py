"""The three sockets of a simulated BIS, and the clients behind them: who is who, and what is said to whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

MOST_CLIENTS = 10
LONGEST = 4096


class Box(Protocol):
    """What stands behind the sockets."""

    clients: list[Client]

    def command(self, client: Client, text: str) -> None: ...

    def greet(self, client: Client) -> None: ...

    def gone(self, client: Client) -> None: ...

    def power_cycle(self) -> None: ...

    def line_end(self) -> bytes: ...


@dataclass(eq=False)
class Client:
    """A client is three connections, made in the order command, file, status."""

    answer: Callable[[bytes], None]
    file: Callable[[bytes], None] | None = None
    status: Callable[[bytes], None] | None = None
    sessions: list[Any] = field(default_factory=list)
    program: dict[str, str] = field(default_factory=dict)


class Socket:
    """One of the three ports. `which` is "command", "file" or "status"."""

    def __init__(self, box: Box, which: str) -> None:
        self._box, self._which = box, which

    def power_cycle(self) -> None:
        """Sockets fall together; the first of them stands for the box."""
        if self._which == "command":
            self._box.power_cycle()

    def accept(self, send: Callable[[bytes], None]) -> Conversation:
        """A connection. Raises ConnectionRefusedError for one out of order, and for the eleventh client."""
        clients = self._box.clients
        if self._which == "command":
            if len(clients) >= MOST_CLIENTS:
                raise ConnectionRefusedError(111, "ten clients are connected")
            clients.append(client := Client(send))
            return Conversation(self._box, client, listens=True)
        waiting = [c for c in clients if (c.file is None if self._which == "file" else c.file and c.status is None)]
        if not waiting:
            raise ConnectionRefusedError(111, "first the command socket, then the file socket, then the status socket")
        client = waiting[0]
        if self._which == "file":
            client.file = send
            return Conversation(self._box, client, listens=False)
        client.status = send
        self._box.greet(client)
        return Conversation(self._box, client, listens=False)


class Conversation:
    """One connection of a client: what comes on the command socket is taken apart into messages."""

    def __init__(self, box: Box, client: Client, *, listens: bool) -> None:
        self._box, self._client, self._listens = box, client, listens
        self._heard = ""

    def receive(self, data: bytes) -> None:
        if not self._listens:
            return
        self._heard += data.decode("latin-1")
        while (end := self._heard.find("]")) >= 0:
            text, self._heard = self._heard[:end], self._heard[end + 1 :]
            self._box.command(self._client, text.rpartition("[")[2])
        if len(self._heard) > LONGEST:
            self._heard = ""

    def closed(self) -> None:
        """A client that lost one of its connections is gone."""
        if self._client in self._box.clients:
            self._box.clients.remove(self._client)
            self._box.gone(self._client)


def taken_apart(text: str) -> tuple[str, dict[str, str]]:
    """VERB and arguments of what stood between the brackets; verbs and names are upcased, as BIS does."""
    pieces = text.strip().split(" /")
    arguments = {}
    for piece in pieces[1:]:
        name, _, value = piece.partition("=")
        arguments[name.strip().upper()] = value.strip()
    return pieces[0].strip().upper(), arguments
