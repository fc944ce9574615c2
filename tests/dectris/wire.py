"""Answers by hand in front of a simulator, for what no simulator would say."""

from __future__ import annotations

from typing import Any

from rocksalt.twin.wire.hosting import HttpResponse


class Wire:
    """Path, or "GET path", -> what to say instead: bytes, a status with its text, or None for silence."""

    def __init__(self, bench: Any, answers: dict[str, bytes | tuple[int, bytes] | None]) -> None:
        self.bench, self.answers = bench, answers

    async def handle(self, request: Any) -> HttpResponse:
        for place, answer in self.answers.items():
            method, _, path = place.rpartition(" ")
            if request.path.endswith(path) and method in ("", request.method):
                match answer:
                    case None:
                        await self.bench.clock.sleep(1e6)
                    case (status, text):
                        return HttpResponse(status, text)
                    case bytes():
                        return HttpResponse(200, answer)
        return await self.bench.handle(request)
