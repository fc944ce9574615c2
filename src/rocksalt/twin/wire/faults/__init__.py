"""Faults between a simulator and its client: named, scheduled, seeded, and the same on sockets, lines and in memory.

A simulator knows nothing of them: its bytes are held up, bent or lost on their way. See docs/reference/faults.md.
"""

from rocksalt.twin.wire.faults.lines import FaultyLine
from rocksalt.twin.wire.faults.messages import FaultyStream
from rocksalt.twin.wire.faults.plan import KINDS, LINK_KINDS, NUMBER_KINDS, REPLY_KINDS, STREAM_KINDS, Fault, Faults
from rocksalt.twin.wire.faults.requests import FaultyRequests

__all__ = [
    "KINDS",
    "LINK_KINDS",
    "NUMBER_KINDS",
    "REPLY_KINDS",
    "STREAM_KINDS",
    "Fault",
    "Faults",
    "FaultyLine",
    "FaultyRequests",
    "FaultyStream",
]
