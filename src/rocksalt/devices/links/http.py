"""Requests to an instrument with a web interface: httpx on real sockets, or straight to a simulator in memory."""

from __future__ import annotations

import asyncio
import json as _json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rocksalt.devices.errors import GarbledReply, LinkLost
from rocksalt.time import door

LONGEST_BODY = 64 << 20  # bytes


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What came back: the status, the body as text and, asked for, as JSON."""

    device: str
    status: int
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body, parsed. Raises GarbledReply."""
        try:
            return _json.loads(self.content, parse_constant=_no_number) if self.content.strip() else None
        except (ValueError, RecursionError):
            raise GarbledReply(self.device, f"the reply is not JSON: {self.text[:80]!r}") from None


def _no_number(word: str) -> None:
    """JSON has no NaN and no infinity; Python would read both."""
    raise ValueError(f"{word} is not JSON")


class Requests(Protocol):
    """One request, one answer; raises OSError when there is none."""

    async def send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]: ...

    async def close(self) -> None: ...


class HttpLink:
    """An instrument behind HTTP. Each request stands for itself, so a late answer has nobody to be taken by."""

    def __init__(self, requests: Requests, *, device: str, address: str, deadline_s: float = 5.0) -> None:
        self.device, self.address, self.deadline_s = device, address, deadline_s
        self.connected = False
        self._requests = requests

    async def open(self) -> None:
        """Nothing to open: the first request shows whether somebody is there."""
        self.connected = True

    async def close(self) -> None:
        self.connected = False
        await self._requests.close()

    async def request(self, method: str, path: str, value: Any = None, *, deadline_s: float | None = None) -> HttpReply:
        """Send a request whose body is `value` as JSON (None: no body), return the answer whatever its status.

        Raises LinkLost by the deadline (wire seconds).
        """
        door()
        limit_s = self.deadline_s if deadline_s is None else deadline_s
        body = None if value is None else _json.dumps(value).encode()
        try:
            async with asyncio.timeout(limit_s):
                status, content = await self._requests.send(method, path, body)
        except TimeoutError as error:
            self.connected = False
            raise LinkLost(
                self.device, f"no answer to {method} {path} within {limit_s:g} s ({self.address})"
            ) from error
        except OSError as error:
            self.connected = False
            raise LinkLost(self.device, f"{method} {path}: {error} ({self.address})") from error
        door()
        self.connected = True
        return HttpReply(self.device, status, content)


class HttpxRequests:
    """Requests by httpx. Its own timeouts are off: the link owns the deadline."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._client: Any = None

    async def send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(base_url=self._base, timeout=None, trust_env=False)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with self._client.stream(method, path, content=body, headers=headers) as reply:
                content = bytearray()
                async for part in reply.aiter_bytes():
                    content += part
                    if len(content) > LONGEST_BODY:
                        raise OSError(f"a reply longer than {LONGEST_BODY} bytes")
                return reply.status_code, bytes(content)
        except httpx.HTTPError as error:
            raise OSError(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


@dataclass(frozen=True, slots=True)
class MemoryRequest:
    """What a simulator in this process is handed: the fields of an HTTP request."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class HttpPeer(Protocol):
    """Whoever answers requests: a simulator's `handle`, whose answer has a status and a body."""

    def handle(self, request: MemoryRequest) -> Awaitable[Any]: ...


class MemoryRequests:
    """Requests handed to a simulator in this process."""

    def __init__(self, peer: HttpPeer) -> None:
        self._peer = peer

    async def send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        path, _, query = path.partition("?")
        headers = {} if body is None else {"content-type": "application/json"}
        # The simulator is another node: it works in a task of its own, and goes on if we are cancelled.
        answer = await asyncio.shield(
            asyncio.ensure_future(self._peer.handle(MemoryRequest(method, path, query, headers, body or b"")))
        )
        return answer.status, answer.body

    async def close(self) -> None:
        pass
