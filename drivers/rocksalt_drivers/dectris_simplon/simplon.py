"""Questions and commands to a DECTRIS control unit by the SIMPLON API (HTTP and JSON), each answer held to the grammar.

The manual's facts are in README.md beside this file.
"""

from __future__ import annotations

import math
from typing import Any, Final

from rocksalt.devices import GarbledReply, HttpLink, Refused
from rocksalt_drivers.dectris_simplon.strict_json import LONGEST, loads

API: Final = "1.8.0"
NEAR: Final = 1e-4  # relative; the detector rounds times to its ticks
VALUE_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "bool": bool, "int": int, "uint": int, "float": (int, float), "string": str,
}  # fmt: skip


class NoSuchKey(Refused):
    """The unit does not have this key: another model, or it is not initialized."""


class Simplon:
    """One control unit behind an HTTP link. `device` is its name in the station file."""

    def __init__(self, device: str, http: HttpLink) -> None:
        self.device, self.http = device, http
        self.version = API

    async def ask_version(self) -> str | None:
        """The version of the API, in any state of the detector; None where whoever answers has no such thing."""
        reply = await self.http.request("GET", "/detector/api/version")
        if reply.status != 200:
            return None
        try:
            content = loads(reply.content)
        except ValueError:
            return None
        found = content.get("value") if isinstance(content, dict) else None
        return found if isinstance(found, str) else None

    async def get(self, module: str, task: str, key: str, *, longest: int = LONGEST) -> dict[str, Any]:
        """The whole answer about a key. Raises NoSuchKey, Refused, GarbledReply, LinkLost."""
        what = f"{module} {task} {key}"
        reply = await self.http.request("GET", f"/{module}/api/{self.version}/{task}/{key}")
        if reply.status == 404:
            raise NoSuchKey(self.device, f"{what}: 404 {reply.text[:200]}")
        if reply.status != 200:
            raise Refused(self.device, f"{what}: {reply.status} {reply.text[:200]}")
        content = self._parsed(reply.content, what, longest)
        if not isinstance(content, dict) or "value" not in content:
            raise GarbledReply(self.device, f"{what}: the answer has no value: {reply.text[:80]!r}")
        self._check(content, what)
        return content

    def _check(self, content: dict[str, Any], what: str) -> None:
        """An answer must not contradict itself: another type than it says, or a value out of its own range."""
        value, kind = content["value"], content.get("value_type")
        expected = VALUE_TYPES.get(kind) if isinstance(kind, str) else None
        if expected is not None and (not isinstance(value, expected) or isinstance(value, bool) != (kind == "bool")):
            raise GarbledReply(self.device, f"{what}: {str(value)[:40]!r} is told to be a {kind}")
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
        low, high = content.get("min"), content.get("max")
        slack = NEAR * abs(value)
        if (isinstance(low, int | float) and value < low - slack) or (
            isinstance(high, int | float) and value > high + slack
        ):
            raise GarbledReply(self.device, f"{what}: {value} is out of its own range, {low} to {high}")

    async def number(self, module: str, task: str, key: str, *, unit: str = "") -> float:
        """A finite number; where the answer names a unit, it must be `unit`."""
        content = await self.get(module, task, key)
        value, told = content["value"], content.get("unit", "")
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise GarbledReply(self.device, f"{module} {task} {key}: {str(value)[:40]!r} is no number")
        if unit and told and str(told).casefold() != unit.casefold():
            raise GarbledReply(self.device, f"{module} {task} {key} comes in {str(told)[:20]!r}, where {unit} belongs")
        return float(value)

    async def word(self, module: str, task: str, key: str, allowed: frozenset[str] = frozenset()) -> str:
        """A string; one of `allowed`, if those are given."""
        value = (await self.get(module, task, key))["value"]
        if not isinstance(value, str) or (allowed and value not in allowed):
            what = f"one of {', '.join(sorted(allowed))}" if allowed else "a word"
            raise GarbledReply(self.device, f"{module} {task} {key}: {str(value)[:40]!r} is not {what}")
        return value

    async def put(self, module: str, key: str, value: Any) -> list[str]:
        """Set a key. Returns the keys that changed or may have changed with it, as the unit says.

        Raises NoSuchKey, Refused, GarbledReply, LinkLost."""
        reply = await self.http.request("PUT", f"/{module}/api/{self.version}/config/{key}", {"value": value})
        what = f"{module} {key} = {value!r}"
        if reply.status == 404:
            raise NoSuchKey(self.device, f"{what}: 404 {reply.text[:200]}")
        if reply.status != 200:
            raise Refused(self.device, f"{what}: {reply.status} {reply.text[:200]}")
        changed = self._parsed(reply.content, what)
        if not isinstance(changed, list) or not all(isinstance(name, str) for name in changed):
            raise GarbledReply(self.device, f"{what}: the answer is no list of changed keys: {reply.text[:80]!r}")
        return changed

    async def command(self, name: str, value: Any = None, *, module: str = "detector", deadline_s: float) -> Any:
        """Give a command; returns its answer, or None where it has none. Raises Refused, GarbledReply, LinkLost."""
        body = None if value is None else {"value": value}
        path = f"/{module}/api/{self.version}/command/{name}"
        reply = await self.http.request("PUT", path, body, deadline_s=deadline_s)
        if reply.status != 200:
            raise Refused(self.device, f"{name}: {reply.status} {reply.text[:200]}")
        return self._parsed(reply.content, name)

    def _parsed(self, content: bytes, what: str, longest: int = LONGEST) -> Any:
        if not content.strip():
            return None
        try:
            return loads(content, longest=longest)
        except ValueError as error:
            raise GarbledReply(self.device, f"{what}: the answer is {error}") from None


def same(found: Any, wanted: Any) -> bool:
    """Whether a key reads what it was set to, times and energies to the detector's rounding."""
    if isinstance(wanted, float) and isinstance(found, int | float) and not isinstance(found, bool):
        return abs(found - wanted) <= NEAR * max(abs(wanted), 1e-12)
    return bool(found == wanted and type(found) is type(wanted))
