"""The simulated BIS as a plain client of its three sockets meets it, without any driver."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bruker.bench import Client, World
from drivers.bench import in_virtual_time


@in_virtual_time
async def test_the_sockets_are_opened_in_order_and_ten_clients_are_all() -> None:
    world = World()
    command, file, status = world.bis.sockets
    for early in (file, status):
        with pytest.raises(ConnectionRefusedError):
            early.accept(lambda data: None)
    command.accept(lambda data: None)
    with pytest.raises(ConnectionRefusedError):
        status.accept(lambda data: None)
    file.accept(lambda data: None)
    status.accept(lambda data: None)
    for _ in range(9):
        Client(world.bis)
    with pytest.raises(ConnectionRefusedError):
        Client(world.bis)


@in_virtual_time
async def test_it_greets_with_its_version_first_and_all_it_knows() -> None:
    client = Client(World().bis)
    assert client.status[0] == "[BISVERSION /VERSION=2009.2.0.0 /DATE=17-Oct-2009]\n"
    for verb in ("INSTRUMENTSTATUS", "INSTRUMENTQUEUE", "RESTRICTACCESSSTATUS", "GENERATORSTATUS", "DETECTORSTATUS",
                 "AXESNAMES", "ANGLESTATUS", "XYZSTATUS", "DISTANCESTATUS", "SAFETYSHUTTERSTATUS", "SHUTTERSTATUS",
                 "SAMPLETEMPERATURESTATUS"):  # fmt: skip
        assert len(client.heard(verb)) == 1, verb


@in_virtual_time
async def test_a_line_end_is_left_out_on_some_answers_and_never_on_status() -> None:
    client = Client(World(seed=4).bis)
    for _ in range(200):
        client.say("[NoOperation /Echo=1]")
    bare = sum(not answer.endswith("\n") for answer in client.answers)
    assert 30 <= bare <= 90  # three in ten
    assert all(text.endswith("\n") for text in client.status)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("[nooperation /echo=1]", "[NOOPERATION_YES]"),
        ("[NoOperation /Echo=1 /Nonsense=7]\n", "[NOOPERATION_YES]"),
        ("rubbish[NoOperation]", "[NOOPERATION_YES]"),
        ("[MakeCoffee]", "[MAKECOFFEE_NO]"),
        ("[Drive]", "[DRIVE_NO]"),
        ("[Drive /Omega=fast]", "[DRIVE_NO]"),
        ("[Drive /Omega=1000]", "[DRIVE_NO]"),
        ("[Shutter]", "[SHUTTER_NO]"),
        ("[SetGeneratorStatus /kV=90 /mA=50]", "[SETGENERATORSTATUS_NO]"),
        ("[Scan /Filename=a.sfrm /ScanTime=1]", "[SCAN_NO]"),
        ("[__init__]", "[__INIT___NO]"),
        ("[]", "[_NO]"),
    ],
)
@in_virtual_time
async def test_what_it_takes_and_what_it_refuses(text: str, answer: str) -> None:
    client = Client(World(omit_lf=0.0).bis)
    assert client.say(text) == answer


@in_virtual_time
async def test_a_slave_may_ask_and_may_not_operate() -> None:
    world = World()
    master, slave = Client(world.bis), Client(world.bis)
    assert slave.say("[Shutter /Status=0]") == "[SHUTTER_YES]", "where nobody holds it, all may operate"
    assert master.say("[RestrictAccess /Lock=1]") == "[RESTRICTACCESS_YES]"
    assert slave.heard("RESTRICTACCESSSTATUS")[-1] == "[RESTRICTACCESSSTATUS /LOCKED=1]"
    for verb in ("[Drive /Omega=1]", "[HardAbort]", "[SafetyShutter /Status=0]"):
        assert slave.say(verb).endswith("_MV]")
    assert slave.say("[GetAxesPositions]") == "[GETAXESPOSITIONS_YES]"
    assert slave.say("[RestrictAccess /Lock=1]") == "[RESTRICTACCESS_NO]"
    assert slave.say("[RestrictAccess /Lock=1 /Override=1]") == "[RESTRICTACCESS_YES]"
    assert master.say("[Drive /Omega=1]") == "[DRIVE_MV]"
    slave.leave()
    assert master.heard("RESTRICTACCESSSTATUS")[-1] == "[RESTRICTACCESSSTATUS /LOCKED=0]"
    assert master.say("[Drive /Omega=1]") == "[DRIVE_YES]"


@in_virtual_time
async def test_a_drive_tells_that_it_moves_and_its_angles_when_it_has_ended_to_all_clients() -> None:
    world = World()
    client, watcher = Client(world.bis), Client(world.bis)
    client.say("[Drive /2Theta=20 /Chi=10]")
    await asyncio.sleep(1.0)
    assert watcher.heard("DRIVESTATUS") == ["[DRIVESTATUS /MASK=9]"]
    assert len(watcher.heard("ANGLESTATUS")) == 1, "angles are not told while it moves"
    await asyncio.sleep(1.5)
    assert watcher.heard("DRIVESTATUS")[-1] == "[DRIVESTATUS /MASK=0]"
    assert watcher.heard("ANGLESTATUS")[-1] == "[ANGLESTATUS /ANGLES=20.00000 0.00000 0.00000 10.00000]"
    assert watcher.heard("INSTRUMENTQUEUE")[-2:] == [
        "[INSTRUMENTQUEUE /PROCESSING=1]",
        "[INSTRUMENTQUEUE /PROCESSING=0]",
    ]


@in_virtual_time
async def test_what_operates_waits_its_turn_and_what_asks_does_not() -> None:
    world = World(omit_lf=0.0)
    client = Client(world.bis)
    client.say("[Drive /Omega=100]")
    client.say("[SafetyShutter /Status=1]")
    await asyncio.sleep(1.0)
    assert not world.bis.safety_open
    client.say("[GetAxesLimits]")
    assert len(client.heard("AXESLIMITS")) == 1
    await asyncio.sleep(10.0)
    assert world.bis.safety_open


@in_virtual_time
async def test_a_hard_abort_stops_closes_and_forgets_and_a_soft_one_only_forgets() -> None:
    world = World()
    client = Client(world.bis)
    client.say("[SafetyShutter /Status=1]")
    await asyncio.sleep(0.1)
    client.say("[Drive /Omega=100]")
    client.say("[Drive /Phi=100]")
    await asyncio.sleep(1.0)
    client.say("[SoftAbort]")
    await asyncio.sleep(20.0)
    assert client.heard("ANGLESTATUS")[-1] == "[ANGLESTATUS /ANGLES=0.00000 100.00000 0.00000 0.00000]"
    client.say("[Drive /Omega=0]")
    await asyncio.sleep(1.0)
    client.say("[HardAbort]")
    assert client.heard("ANGLESTATUS")[-1] == "[ANGLESTATUS /ANGLES=0.00000 90.00000 0.00000 0.00000]"
    assert client.heard("SAFETYSHUTTERSTATUS")[-1] == "[SAFETYSHUTTERSTATUS /STATUS=0]"
    assert client.heard("MESSAGE")[-1] == "[MESSAGE /NOTE=Instrument is stopped. /LEVEL=Info]"
    assert not world.bis.safety_open


@in_virtual_time
async def test_a_paused_queue_waits_until_it_is_resumed() -> None:
    world = World()
    client = Client(world.bis)
    client.say("[PauseQueue]")
    client.say("[Drive /Omega=10]")
    await asyncio.sleep(5.0)
    assert client.heard("DRIVESTATUS") == []
    client.say("[ResumeQueue]")
    await asyncio.sleep(5.0)
    assert client.heard("DRIVESTATUS")[-1] == "[DRIVESTATUS /MASK=0]"


@in_virtual_time
async def test_the_generator_ramps_and_says_when_it_is_done() -> None:
    world = World()
    client = Client(world.bis)
    client.say("[SetGeneratorStatus /kV=40 /mA=10]")
    await asyncio.sleep(3.0)
    assert 20.0 < world.bis.kv < 40.0
    assert "/KVtarget=40.0 /MAtarget=10.0" in client.heard("GENERATORSTATUS")[1]
    await asyncio.sleep(10.0)
    assert client.heard("SETGENERATORSTATUS") == ["[SETGENERATORSTATUS /DONE=1 /KV=40.0 /MA=10.0]"]
    client.say("[SetGeneratorStatus /StandBy=1]")
    await asyncio.sleep(0.1)
    assert client.heard("GENERATORSTATUS")[-1] == "[GENERATORSTATUS /KV=20.0 /MA=5.0 /STANDBY=Yes]"


@in_virtual_time
async def test_a_door_that_opens_is_told_as_an_error_and_keeps_the_shutter_closed() -> None:
    world = World()
    client = Client(world.bis)
    client.say("[SafetyShutter /Status=1]")
    await asyncio.sleep(0.1)
    world.hutch.set_door(world.clock.now_s(), False)
    await asyncio.sleep(0.5)
    assert client.heard("SAFETYSHUTTERSTATUS")[-1] == "[SAFETYSHUTTERSTATUS /STATUS=0]"
    assert "/DOORLOCK=0" in client.heard("INSTRUMENTSTATUS")[-1]
    assert client.heard("MESSAGE")[-1].endswith("/LEVEL=Error]")
    client.say("[SafetyShutter /Status=1]")
    await asyncio.sleep(0.1)
    assert not world.bis.safety_open


@in_virtual_time
async def test_faults_are_asked_for_by_options(tmp_path: Path) -> None:
    world = World(omit_lf=0.0, refuse=["DRIVE"], lose_replies=[2], frames_dir=str(tmp_path), no_file=[0], truncate=[1])
    client = Client(world.bis)
    assert client.say("[Drive /Omega=1]") == "[DRIVE_NO]"
    assert client.say("[NoOperation]") == ""
    for number in range(3):
        client.say(f"[Scan /Filename=C:\\frames\\a{number}.sfrm /ScanTime=1 /Rescan=0]")
    await asyncio.sleep(10.0)
    sizes = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert sorted(sizes) == ["A1.SFRM", "A2.SFRM"]
    assert sizes["A1.SFRM"] < sizes["A2.SFRM"]


@pytest.mark.parametrize("name", ["../../evil.sfrm", "C:\\..\\..\\evil.sfrm", "/var/evil.sfrm"])
@in_virtual_time
async def test_frames_stay_in_their_folder_whatever_path_is_said(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    client = Client(World(frames_dir=str(folder)).bis)
    client.say(f"[Scan /Filename={name} /ScanTime=1]")
    await asyncio.sleep(5.0)
    assert [file.name for file in folder.iterdir()] == ["EVIL.SFRM"]
    assert [file.name for file in tmp_path.iterdir()] == ["frames"]
