"""The command line. Thin: each command reads its arguments, calls the room that does the work, and says how it ended.

Exit status: 0 done; 1 failed, station safe; 2 wrong configuration or usage; 3 stopped by a person; 4 stopped by safety.
Everything heavy is imported inside the commands: `rocksalt --help` answers at once.
"""

from __future__ import annotations

import json
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rocksalt.daemon.stopping import Stopping

app = typer.Typer(
    name="rocksalt",
    help="Runs diffraction experiments on alkali-halide crystals by itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich alone would take a third of the start-up
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, everything else to standard error.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
StationFile = Annotated[Path, typer.Argument(help="The station file.", metavar="STATION")]


class Axis(StrEnum):
    """What the first column of a pattern is."""

    two_theta = "2theta"
    q = "q"
    d = "d"


def say(text: str) -> None:
    """To standard error: for a person."""
    print(text, file=sys.stderr, flush=True)


def _broken_off(number: int, frame: object) -> None:
    say("rocksalt: stopped by Ctrl-C")
    sys.exit(3)


def main() -> None:
    """The entry point: errors become one readable message and an exit status."""
    debug = "--debug" in sys.argv[1:]
    from rocksalt.cli.answers import answer

    try:
        signal.signal(signal.SIGINT, _broken_off)  # typer would make exit status 1 of it
        app(standalone_mode=True)
    except SystemExit:
        raise
    except Exception as error:
        if debug:
            raise
        message, status = answer(error)
        say(message)
        sys.exit(status)


def _listening() -> Stopping:
    """Hear Ctrl-C and SIGTERM from here on: before the heavy imports, which take longer than a second thought."""
    from rocksalt.daemon.stopping import Stopping

    stopping = Stopping()
    stopping.listen()
    return stopping


@app.command()
def run(
    campaign: Annotated[Path, typer.Argument(help="The campaign file: what to find out.", metavar="CAMPAIGN")],
    station: Annotated[Path, typer.Option("--station", help="The station file: what is plugged in.")],
    data: Annotated[Path, typer.Option("--data", help="Where run folders go.")] = Path("data"),
    name: Annotated[str, typer.Option("--run", help="Name of the run; default: campaign and date.")] = "",
    simulate: Annotated[bool, typer.Option("--simulate", help="Start simulated instruments and run on them.")] = False,
    virtual: Annotated[bool, typer.Option("--virtual", help="Run on simulated instruments in virtual time.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything the daemon leaves to chance.")] = 0,
    twin_seed: Annotated[int, typer.Option("--twin-seed", min=0, help="Seed of the simulated sample.")] = 0,
    truth: Annotated[Path | None, typer.Option("--truth", help="Write what the simulated sample truly did.")] = None,
    speed: Annotated[
        float, typer.Option("--speed", help="Experiment seconds a second, for simulated instruments.")
    ] = 1.0,
    faults: Annotated[Path | None, typer.Option("--faults", help="Faults of the simulated instruments.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a campaign on a station."""
    stopping = _listening()
    from rocksalt.cli.running import Request, run_campaign

    request = Request(
        campaign, station, data, name, simulate, virtual, seed, twin_seed, truth, speed, faults, quiet=as_json
    )
    outcome = run_campaign(request, stopping)
    stopping.deafen()
    if as_json:
        print(json.dumps(outcome.summary, indent=2))
    raise typer.Exit(outcome.exit)


@app.command()
def simulate(
    station: StationFile,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only these devices.")] = None,
    twin_seed: Annotated[int, typer.Option("--twin-seed", min=0, help="Seed of the simulated sample.")] = 0,
    speed: Annotated[float, typer.Option("--speed", help="Experiment seconds a second.")] = 1.0,
    faults: Annotated[Path | None, typer.Option("--faults", help="Faults of the simulated instruments.")] = None,
    truth: Annotated[Path | None, typer.Option("--truth", help="Write what the simulated sample truly did.")] = None,
    any_port: Annotated[bool, typer.Option("--any-port", help="Free ports, whatever the station file says.")] = False,
    with_parent: Annotated[bool, typer.Option("--until-eof", help="Also end when standard input closes.")] = False,
    debug: Debug = False,
) -> None:
    """Play the instruments of a station, on 127.0.0.1, until SIGTERM. Prints one line of JSON when ready."""
    stopping = _listening()
    from rocksalt.cli.playing import serve_simulators

    serve_simulators(
        station, only or [], twin_seed=twin_seed, speed=speed, faults=faults, truth=truth, any_port=any_port,
        until_eof=with_parent, stopping=stopping,
    )  # fmt: skip


@app.command()
def check(
    campaign: Annotated[Path, typer.Argument(help="The campaign file.", metavar="CAMPAIGN")],
    station: Annotated[Path, typer.Option("--station", help="The station file.")],
    debug: Debug = False,
) -> None:
    """Check a campaign against a station, without connecting to anything."""
    from rocksalt.cli.files import read_both

    read_both(campaign, station, simulated=False)
    say(f"{campaign} can be run on {station}")


@app.command()
def devices(station: StationFile, as_json: Json = False, debug: Debug = False) -> None:
    """Connect to every instrument of a station and say who answers."""
    stopping = _listening()
    from rocksalt.cli.probing import probe

    results, status = probe(station, stopping)
    if as_json:
        print(json.dumps({"devices": results}))
    else:
        for result in results:
            print(f"{result['device']:<14} {result.get('identity') or result.get('error')}")
    raise typer.Exit(status)


class Verb(StrEnum):
    """What `rocksalt device` can do."""

    identify = "identify"
    read = "read"
    set = "set"
    expose = "expose"
    stop = "stop"
    safe = "safe"


@app.command()
def device(
    station: StationFile,
    name: Annotated[str, typer.Argument(help="The device's name in the station file.", metavar="NAME")],
    verb: Annotated[Verb, typer.Argument(help="What to do.")],
    value: Annotated[str | None, typer.Argument(help="For set: the target, in the device's unit.")] = None,
    frames: Annotated[int, typer.Option("--frames", min=1, help="For expose.")] = 1,
    exposure_s: Annotated[float, typer.Option("--exposure-s", help="For expose: seconds of one frame.")] = 1.0,
    out: Annotated[Path | None, typer.Option("--out", help="For expose: folder for the frames.")] = None,
    speed: Annotated[float, typer.Option("--speed", help="Of simulators that run faster than time.")] = 1.0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Talk to one instrument of a station."""
    stopping = _listening()
    from rocksalt.cli.probing import do

    result, status = do(
        station,
        name,
        verb.value,
        value=value,
        frames=frames,
        exposure_s=exposure_s,
        out=out,
        speed=speed,
        stopping=stopping,
    )
    if as_json:
        print(json.dumps(result))
    else:
        print("  ".join(f"{key}: {item}" for key, item in result.items()))
    raise typer.Exit(status)


@app.command()
def identify(
    files: Annotated[
        list[Path], typer.Argument(help="Patterns (.xy .xye .asc .chi .xrdml) or frames (.tif .cbf .h5).")
    ],
    wavelength: Annotated[float | None, typer.Option("--wavelength", help="In ångström.")] = None,
    temperature_k: Annotated[float | None, typer.Option("--temperature-k")] = None,
    pressure_gpa: Annotated[float | None, typer.Option("--pressure-gpa", help="From an independent gauge.")] = None,
    pressure_sigma_gpa: Annotated[float | None, typer.Option("--pressure-sigma-gpa")] = None,
    poni: Annotated[Path | None, typer.Option("--poni", help="Calibration, for frames.")] = None,
    salt: Annotated[list[str] | None, typer.Option("--salt", help="Only these salts come into question.")] = None,
    axis: Annotated[Axis | None, typer.Option("--axis", help="What the first column is.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Path inside an HDF5 file.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say which salts and phases a pattern or a frame shows, or that it can't be said."""
    from rocksalt.identify import identify_files, render

    results = identify_files(
        [str(file) for file in files],
        wavelength_angstrom=wavelength,
        temperature_k=temperature_k,
        pressure_gpa=pressure_gpa,
        pressure_sigma_gpa=pressure_sigma_gpa,
        poni=None if poni is None else str(poni),
        salts=salt or None,
        axis=None if axis is None else axis.value,
        dataset=dataset,
    )
    print(json.dumps({"results": results}, allow_nan=False) if as_json else render(results))
    raise typer.Exit(1 if any("error" in result for result in results) else 0)


class Structure(StrEnum):
    """The phases that the table of crystals knows."""

    B1 = "B1"
    B2 = "B2"


@app.command()
def crystal(
    salt: Annotated[str, typer.Argument(help="The salt: NaCl, KBr, CsI…", metavar="SALT")],
    phase: Annotated[
        Structure, typer.Option("--phase", case_sensitive=False, help="B1 (rock salt) or B2 (caesium chloride).")
    ],
    pressure_gpa: Annotated[float | None, typer.Option("--pressure-gpa", help="On the phase's own scale.")] = None,
    volume_a3: Annotated[float | None, typer.Option("--volume-a3", help="Of the cubic cell, in Å³.")] = None,
    temperature_k: Annotated[float, typer.Option("--temperature-k")] = 300.0,
    wavelength: Annotated[float | None, typer.Option("--wavelength", help="In ångström: for the lines.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what is known of a crystal: cell, volume, stiffness, strain and lines, with the source and its scale."""
    from rocksalt.cli.crystal import crystal_answer, render

    answer = crystal_answer(
        salt,
        phase.value,
        pressure_gpa=pressure_gpa,
        volume_a3=volume_a3,
        temperature_k=temperature_k,
        wavelength_angstrom=wavelength,
    )
    print(json.dumps(answer, allow_nan=False) if as_json else render(answer))


@app.command()
def status(folder: Annotated[Path, typer.Argument(metavar="RUN")], as_json: Json = False, debug: Debug = False) -> None:
    """Say where a run stands."""
    from rocksalt.monitor.status import status_of

    found = status_of(folder)
    print(json.dumps(found) if as_json else "\n".join(f"{key}: {value}" for key, value in found.items()))


@app.command()
def stop(
    folder: Annotated[Path, typer.Argument(metavar="RUN")],
    within_s: Annotated[float, typer.Option("--within-s", min=0, help="Seconds to wait for its end.")] = 300.0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Stop a live run: shutter closed, pressure held, files closed, summary written. Waits for its end."""
    from rocksalt.monitor.status import stop_run

    found = stop_run(folder, within_s=within_s)
    if as_json:
        print(json.dumps(found))
    else:
        say(f"{folder} is {found['state']}")


@app.command()
def report(folder: Annotated[Path, typer.Argument(metavar="RUN")], debug: Debug = False) -> None:
    """Write summary.json, run.nxs and report.html of a run again, from its journal and its frames."""
    from rocksalt.monitor.closing import close_run

    closed = close_run(folder)
    print(closed.report)
