"""The daemon's side of its channels: the writer as the loop's store, the model as the loop's model.

What the writer acknowledges goes into the journal here, frame by frame, in the order in which it was said.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocksalt.acquisition.parts import ModelGone, StoreFailed
from rocksalt.messages import Channel, ChannelClosed, Message, each
from rocksalt.storage import records
from rocksalt.storage.journal import Journal
from rocksalt.time import Clock
from rocksalt.values import Estimate, FrameRef, Measurement, Reading

FATAL = frozenset({"disk", "disk_low"})  # troubles after which no light may be spent on frames
WRITER_GONE = "the writer process is gone: no frame can be taken any more (its last words: logs/writer.log)"
MODEL_GONE = "the model process is gone (its last words: logs/model.log)"


@dataclass(frozen=True, slots=True)
class Count:
    """What came of a series."""

    refs: tuple[FrameRef, ...]
    missing: tuple[int, ...]


class ExpectedSeries:
    """A series that the writer was told of; `done` waits for its count."""

    def __init__(self, client: WriterClient, series: int, first_number: int) -> None:
        self._client, self._series, self._first = client, series, first_number
        self.refs: list[FrameRef] = []
        self.count: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    async def done(self, within_s: float) -> Count:
        """Every frame is on disk or counted as missing. Raises StoreFailed."""
        try:
            async with asyncio.timeout(within_s):
                end = await asyncio.shield(self.count)
        except TimeoutError:
            # The end of the series was lost on the way: the writer closes the count with what it has.
            await self._client.tell(kind="series_timeout", series=self._series)
            try:
                async with asyncio.timeout(within_s):
                    end = await asyncio.shield(self.count)
            except TimeoutError:
                raise StoreFailed(f"the writer does not answer for series {self._series}") from None
        return Count(tuple(self.refs), tuple(self._first + image for image in end["missing"]))

    async def give_up(self) -> int:
        """Close the count as it is, for a series that was cut short; what still comes of it is a stray."""
        with contextlib.suppress(StoreFailed):  # whoever gives up has a trouble of his own to tell
            await self._client.tell(kind="series_timeout", series=self._series)
        return len(self.refs)


class WriterClient:
    """The store of the acquisition loop. `run` takes what the writer says, until its channel closes."""

    def __init__(self, channel: Channel, journal: Journal, clock: Clock) -> None:
        self._channel, self._journal, self._clock = channel, journal, clock
        self._series: dict[int, ExpectedSeries] = {}
        self._failed = ""
        self.saturation: dict[int, float] = {}
        """Counts at which the detector's pixels saturate, by series, as it said when it was armed."""
        self.finished = asyncio.Event()

    async def tell(self, **command: Any) -> None:
        try:
            await self._channel.send(command)
        except ChannelClosed as error:
            raise StoreFailed(self._failed or WRITER_GONE) from error

    async def expect(
        self, series: int, *, measurement: int, first_number: int, count: int, exposure_s: float
    ) -> ExpectedSeries:
        """Announce a series. Raises StoreFailed where frames can't be taken any more."""
        if self._failed:
            raise StoreFailed(self._failed)
        expected = self._series[series] = ExpectedSeries(self, series, first_number)
        await self.tell(
            kind="series",
            series=series,
            measurement=measurement,
            first_number=first_number,
            count=count,
            exposure_s=exposure_s,
            now_s=self._clock.now_s(),
        )
        return expected

    async def run(self) -> None:
        try:
            async for message in each(self._channel):
                self._take(message)
        except OSError as error:
            self._fail(f"the journal could not be written: {error.strerror or error}")
            raise
        finally:
            self._fail(WRITER_GONE)
            self.finished.set()

    async def finish(self, within_s: float) -> None:
        """Let the writer close its files."""
        try:
            await self.tell(kind="finish")
            async with asyncio.timeout(within_s):
                await self.finished.wait()
        except (StoreFailed, TimeoutError) as error:
            self._journal.append("alarm", what=f"the writer did not close its files: {error}")

    def _take(self, message: Message) -> None:
        match message["kind"]:
            case "frame":
                ref = records.frame_ref(message)
                self._journal.append("acknowledged", **records.plain(ref))
                if (series := self._series.get(ref.series)) is not None:
                    series.refs.append(ref)
            case "series_end":
                series = self._series.pop(message["series"], None)
                if series is not None and not series.count.done():
                    series.count.set_result(message)
            case "trouble":
                self._journal.append("alarm", what=f"writer: {message['what']}")
                if message["cause"] in FATAL:
                    self._fail(message["what"])
            case "series_start":
                if (cutoff := message["saturation_value"]) is not None:
                    self.saturation[message["series"]] = float(cutoff)
            case "finished":
                self.finished.set()

    def _fail(self, why: str) -> None:
        self._failed = self._failed or why
        for series in self._series.values():
            if not series.count.done():
                series.count.set_exception(StoreFailed(why))
                series.count.exception()  # whoever waits gets it; where nobody does, it is told in the journal


class ModelClient:
    """The model of the acquisition loop."""

    def __init__(self, channel: Channel, saturation: Mapping[int, float]) -> None:
        self._channel, self._saturation = channel, saturation
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._question = 0
        self._gone = ""

    async def estimate(
        self, measurement: Measurement, frames: tuple[FrameRef, ...], readings: dict[str, Reading]
    ) -> Estimate:
        """Raises ModelGone."""
        if self._gone:
            raise ModelGone(self._gone)
        self._question += 1
        question = self._question
        answer = self._asked[question] = asyncio.get_running_loop().create_future()
        try:
            await self._channel.send(
                {
                    "kind": "estimate",
                    "question": question,
                    "measurement": records.plain(measurement),
                    "frames": records.plain(frames),
                    "readings": records.plain(readings),
                    "saturation": [self._saturation.get(frame.series) for frame in frames],
                }
            )
            reply = await answer
        except ChannelClosed as error:
            raise ModelGone(MODEL_GONE) from error
        finally:
            self._asked.pop(question, None)
        if "error" in reply:
            raise ModelGone(f"the model could not say: {reply['error']}")
        return records.estimate(reply["estimate"])

    async def run(self) -> None:
        async for message in each(self._channel):
            answer = self._asked.get(message["question"])
            if answer is not None and not answer.done():  # a late answer to a question that was given up
                answer.set_result(message)
        self._gone = MODEL_GONE
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ModelGone(self._gone))
