"""The journal is the truth for meaning: numbered, checksummed, cut where torn, refused where altered."""

from __future__ import annotations

import asyncio
import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocksalt.storage import journal
from rocksalt.storage.disk import RealDisk, VirtualDisk
from rocksalt.storage.history import fold
from rocksalt.storage.journal import BadJournal, Entry, Journal, decode, encode, read
from rocksalt.time import Chance, Crashed, ExperimentClock, JumpingLoop, Node, run_virtual

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
entries = st.builds(
    Entry,
    st.integers(0, 10**9),
    st.text(min_size=1, max_size=12),
    st.floats(0, 1e8).map(lambda t: round(t, 6)),
    st.just("2026-11-22T10:00:00.000Z"),
    st.dictionaries(
        st.text(max_size=8).filter(lambda k: k not in {"seq", "kind", "t_s", "at", "crc32"}), plain, max_size=4
    ),
)


@given(entries)
def test_a_line_says_what_was_put_in(entry: Entry) -> None:
    assert decode(encode(entry)) == entry


@given(entries)
def test_a_line_is_json_with_seq_first_and_the_checksum_of_all_before_it_last(entry: Entry) -> None:
    line = encode(entry)
    parsed = json.loads(line)
    assert next(iter(parsed)) == "seq"
    assert list(parsed)[-1] == "crc32"
    before = line[: line.rindex(b',"crc32":')]
    assert parsed["crc32"] == f"{zlib.crc32(before):08x}"


@given(entries, st.data())
def test_a_line_with_any_one_byte_changed_is_not_believed(entry: Entry, data: st.DataObject) -> None:
    line = bytearray(encode(entry))
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= data.draw(st.integers(1, 255))
    try:
        believed = decode(bytes(line))
    except (ValueError, KeyError):
        return
    assert believed == entry  # a change that CRC-32 can't see does not exist for one byte


def written(folder: Path, count: int) -> Path:
    path = folder / journal.NAME
    lines = [encode(Entry(number, "reading", float(number), "", {"value": number})) for number in range(count)]
    path.write_bytes(b"".join(lines))
    return path


def test_a_torn_tail_is_cut_wherever_it_tears(tmp_path: Path) -> None:
    path = written(tmp_path, 3)
    whole = path.read_bytes()
    two = whole[: whole.rindex(b'{"seq":2')]
    for length in range(len(two), len(whole)):
        path.write_bytes(whole[:length])
        found = read(path)
        assert [entry.seq for entry in found.entries] == [0, 1]
        assert (found.good_bytes, found.torn_bytes) == (len(two), length - len(two))


def test_damage_in_the_middle_is_no_torn_tail(tmp_path: Path) -> None:
    path = written(tmp_path, 3)
    path.write_bytes(path.read_bytes().replace(b'"value":1', b'"value":7'))
    with pytest.raises(BadJournal, match=r"journal.jsonl:2: the checksum does not fit the line, and good lines follow"):
        read(path)


def test_a_missing_line_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, 3)
    first, _, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + third)
    with pytest.raises(BadJournal, match="lines are missing"):
        read(path)


def test_a_newer_journal_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    path.write_bytes(encode(Entry(0, "begun", 0.0, "", {"version": journal.VERSION + 1})))
    with pytest.raises(BadJournal, match="newer rocksalt"):
        read(path)


async def test_what_is_appended_is_on_disk_at_once_and_commits_are_shared(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    log = Journal(path, RealDisk(), ExperimentClock(asyncio.get_running_loop()))
    log.append("state", state="preparing", why="begun")
    assert read(path).entries == tuple(log.entries)
    for number in range(20):
        log.append("reading", name="membrane_bar", value=float(number), unit="bar", at_s=0.0, sigma=0.0)
    await asyncio.gather(*(log.commit() for _ in range(20)))
    log.close()
    assert len(read(path).entries) == 21


def test_the_fold_of_the_file_is_the_fold_of_what_was_appended(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        log = Journal(tmp_path / journal.NAME, VirtualDisk(), ExperimentClock(loop, wall_now=loop.wall_now))
        log.append("begun", version=1, run="r", campaign={}, station={})
        log.append("state", state="running", why="all is well")
        log.append("reading", name="membrane_bar", value=1.5, unit="bar", at_s=0.1, sigma=0.0)
        log.append("series", series=1, measurement=0, first_number=0, taken=2, missing=[1])
        log.append("dose", measurement=0, gray=2.5, sigma_gray=0.5)
        assert fold(read(tmp_path / journal.NAME).entries) == fold(log.entries)
        assert fold(log.entries).lost == [1]

    run_virtual(main)


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), lines=st.integers(1, 30), at_s=st.floats(0.0, 0.1), machine=st.booleans())
def test_after_a_crash_the_journal_holds_all_that_was_promised(
    tmp_path_factory: pytest.TempPathFactory, seed: int, lines: int, at_s: float, machine: bool
) -> None:
    """A process's death keeps every appended line; a machine's death keeps every committed one; a tail may be torn."""
    path = tmp_path_factory.mktemp("run") / journal.NAME
    promised = {"appended": 0, "committed": 0}

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        clock, disk, node = ExperimentClock(loop, wall_now=loop.wall_now), VirtualDisk(), Node("daemon")

        async def work() -> None:
            log = Journal(path, disk, clock)
            try:
                for number in range(lines):
                    log.append("reading", value=number)
                    promised["appended"] = number + 1
                    if number % 3 == 2:
                        await log.commit()
                        promised["committed"] = number + 1
                    await clock.sleep(0.003)
            finally:
                log.append("state", state="finished", why="a finally that a crash must not let through")

        task = node.spawn(work())
        await clock.sleep(at_s)
        node.crash()
        if machine:
            disk.machine_dies(Chance(seed).stream("tear"))
        await asyncio.wait([task])
        assert task.cancelled() or not task.exception() or isinstance(task.exception(), Crashed)

    run_virtual(main)
    if not path.exists():
        assert promised["appended"] == 0
        return
    found = read(path)
    kept = [entry for entry in found.entries if entry.kind == "reading"]
    assert len(kept) >= promised["committed" if machine else "appended"]
    finished_before = promised["appended"] == lines
    assert finished_before or all(entry.kind == "reading" for entry in found.entries)
