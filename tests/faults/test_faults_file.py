"""The faults file: what it may say, and how it is answered where it may not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rocksalt.cli.faults import Schedule, read_faults
from rocksalt.cli.simulating import with_faults
from rocksalt.config.errors import ConfigError
from rocksalt.config.reading import read_station
from rocksalt.time import ExperimentClock, run_virtual
from rocksalt.twin.wire.faults import FaultyLine, FaultyRequests

STATION = Path(__file__).parents[2] / "config/stations/simulated-dac.toml"
PAGE = Path(__file__).parents[2] / "docs/reference/faults.md"


def read(place: Path, text: str) -> Schedule:
    (place / "faults.toml").write_text(text)
    return read_faults(place / "faults.toml", read_station(STATION).value)


def entry(text: str, kind: str = "silence") -> str:
    return f'[[fault]]\ndevice = "membrane"\nkind = "{kind}"\n{text}\n'


def test_no_file_is_an_empty_schedule() -> None:
    assert read_faults(None, read_station(STATION).value) == Schedule()


def test_the_example_on_the_page_is_a_file(tmp_path: Path) -> None:
    example = PAGE.read_text().split("```toml\n")[1].split("```")[0]
    schedule = read(tmp_path, example)
    assert schedule.entries
    assert schedule.options
    assert schedule.seed is not None


def test_every_key_and_every_kind_has_its_place_on_the_page() -> None:
    from rocksalt.cli.faults import Entry
    from rocksalt.twin.wire.faults import KINDS

    text = PAGE.read_text()
    assert [name for name in (*Entry.model_fields, *KINDS) if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        (entry("at_s = 1.0", "silent"), ("faults.toml:3  fault[0].kind", 'did you mean "silence"?')),
        (entry(""), ("faults.toml:1  fault[0]", "one of at_s, every_s, chance_per_hour, reply says when it begins")),
        (entry("at_s = 1.0\nreply = 2"), ("faults.toml:5  fault[0].reply = 2", "says when it begins, not 2")),
        (entry("at_s = 1.0", "delay"), ("faults.toml:1  fault[0]", "delay needs delay_s", "for instance delay_s")),
        (entry("at_s = 1.0", "reboot"), ("reboot needs for_s",)),
        (entry("at_s = 1.0\nfactor = 2.0"), ("fault[0].factor = 2.0", "factor is for wrong_unit alone")),
        (entry('at_s = 1.0\nmatching = "("'), ("faults.toml:5  fault[0].matching", "must be a regular expression")),
        (entry("at_s = -1.0"), ("faults.toml:4  fault[0].at_s = -1.0", "must be at least 0")),
        (entry("at_s = 1.0\nfor = 2.0"), ("faults.toml:5  fault[0].for = 2.0", "there is no such key", "for_s")),
        (entry("at_s = 1.0", "stream_lost"), ("fault[0].kind", "membrane has no stream")),
        (entry("at_s = 1.0").replace("membrane", "membrana"), ("fault[0].device", "did you mean membrane?")),
        ("[membrane]\nunit = 1\n", ("faults.toml:1  membrane", "[options.membrane]")),
        ("seed = -1\n", ("faults.toml:1  seed = -1",)),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_the_way_out(
    tmp_path: Path, text: str, fragments: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text)
    for fragment in fragments:
        assert fragment in str(refused.value)


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, entry("at_s = 1.0", "silent") + entry("") + entry("every_s = 0.0"))
    assert len(refused.value.problems) >= 3


def test_only_devices_with_faults_are_wrapped_and_each_in_what_it_speaks(tmp_path: Path) -> None:
    schedule = read(tmp_path, entry("at_s = 1.0") + entry("at_s = 1.0").replace("membrane", "detector"))

    class Box:
        def accept(self, send: object) -> None: ...

    class Web:
        async def handle(self, request: object) -> None: ...

    class World:
        def truth_line(self, line: dict[str, Any]) -> None: ...

    async def main() -> dict[str, Any]:
        simulators = {"membrane": Box(), "temperature": Box(), "detector": Web()}
        clock = ExperimentClock(asyncio.get_running_loop())
        return with_faults(simulators, schedule, read_station(STATION).value, World(), clock, seed=1)  # type: ignore[arg-type]

    found = run_virtual(main)
    assert isinstance(found["membrane"], FaultyLine)
    assert isinstance(found["detector"], FaultyRequests)
    assert type(found["temperature"]).__name__ == "Box"
