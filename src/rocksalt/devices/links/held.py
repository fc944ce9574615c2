"""The child's side of `links.child`: what `visa_process` and `seabreeze_process` have in common."""

from __future__ import annotations

import ctypes
import signal
import socket
import sys
from typing import Final

from rocksalt.devices.links.child import HEAD

_PR_SET_PDEATHSIG: Final = 1


def channel_to_parent() -> socket.socket:
    """The socket whose number is the first argument. From here on Ctrl-C is the daemon's to answer, and this process is
    killed with the one that started it, even while a library blocks: nothing that it holds outlives its owner."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return socket.socket(fileno=int(sys.argv[1]))


def say(channel: socket.socket, kind: bytes, payload: bytes) -> None:
    """One message to the parent."""
    channel.sendall(HEAD.pack(kind, len(payload)) + payload)


def exactly(channel: socket.socket, size: int) -> bytes:
    """The next `size` bytes; b"" once the parent is gone."""
    data = b""
    while len(data) < size:
        more = channel.recv(size - len(data))
        if not more:
            return b""
        data += more
    return data


def words(error: Exception) -> bytes:
    """What a library raised, in its own words."""
    return (str(error) or type(error).__name__).encode()
