"""A night told by hand: journal entries of a run that found a transition, patterns drawn from cells, no instrument."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rocksalt.config.campaign import Campaign
from rocksalt.config.station import Station
from rocksalt.crystals import eos, structure, tables
from rocksalt.storage import journal, records
from rocksalt.storage.history import History, fold
from rocksalt.storage.journal import Entry
from rocksalt.storage.reduced import ReducedFile
from rocksalt.storage.run_folder import RunFolder
from rocksalt.values import (
    Dose,
    Estimate,
    Exposure,
    Finish,
    FrameRef,
    Label,
    Measure,
    Measured,
    Measurement,
    Pattern,
    PhaseEstimate,
    Reading,
)

CONFIG = Path(__file__).parents[2] / "config"
WAVELENGTH = 0.4133
SCALE = "ruby, Dewaele 2012"


@dataclass
class Pen:
    """Writes journal entries by hand; `t_s` is the experiment time, which the writer moves."""

    entries: list[Entry] = field(default_factory=list)
    t_s: float = 0.0
    frames: int = 0

    def write(self, kind: str, **data: Any) -> None:
        at = f"2026-03-06T{18 + int(self.t_s // 3600):02d}:{int(self.t_s % 3600 // 60):02d}:00.000Z"
        self.entries.append(Entry(len(self.entries), kind, round(self.t_s, 6), at, data))

    @property
    def history(self) -> History:
        return fold(self.entries)

    def keep(self, folder: Path) -> RunFolder:
        """The journal as a file in a run folder."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = RunFolder(folder)
        kept.journal.write_bytes(b"".join(journal.encode(entry) for entry in self.entries))
        return kept

    def begin(self, *, campaign: str = "kbr-transition", **station: Any) -> None:
        wanted = Campaign.model_validate(tomllib.loads((CONFIG / "campaigns/kbr-transition.toml").read_text()))
        plugged = Station.model_validate(tomllib.loads((CONFIG / "stations/simulated-dac.toml").read_text()))
        self.write(
            "begun", version=1, run="kbr-night", rocksalt="0.1.0", mode="virtual", seed=0,
            campaign={**wanted.model_dump(mode="json"), "campaign": campaign}, campaign_sha256="ab" * 32,
            station={**plugged.model_dump(mode="json"), "twin": None, **station}, station_sha256="cd" * 32, poni="",
        )  # fmt: skip
        self.write("state", state="preparing", why="begun")
        self.t_s += 4.0
        for name in ("membrane", "temperature", "interlock", "detector"):
            self.write("connected", device=name, identity=f"{name} number 1")
        self.write("state", state="running", why="every instrument is connected")

    def measure(
        self, number: int, bar: float, estimate: Estimate | None, *, reason: str = "a step", runner_up: str = "a hold",
        repeats: int = 0, missing: tuple[int, ...] = (), exposure_s: float = 1.0,
    ) -> None:  # fmt: skip
        """One measurement from intent to done: two frames, a reading of each instrument, and what the model said."""
        measurement = Measurement(number, {"membrane_bar": bar}, (Exposure("detector", exposure_s, 2),), 60.0)
        self.write("intend", **records.plain(Measure(measurement, reason, runner_up)))
        for attempt in range(repeats + 1):
            self.t_s += 90.0
            self.write("reached", setpoint="membrane_bar", target=bar)
            for name, value, unit in (("membrane_bar", bar + 0.004, "bar"), ("temperature_k", 300.02, "K")):
                self.write("reading", **records.plain(Reading(name, value, unit, self.t_s)))
            first = self.frames
            self.frames += 2
            self.t_s += 2.0 * exposure_s
            self.write("dose", measurement=number, **records.plain(Dose(2.6e4 * exposure_s, 5.2e3 * exposure_s)))
            for index in range(2):
                if index in missing and attempt == repeats:
                    continue
                ref = FrameRef(
                    first + index, number, first // 2 + 1, index, "frames/frames_000001.h5", first + index,
                    f"{first + index:064x}", exposure_s, self.t_s,
                )  # fmt: skip
                self.write("acknowledged", **records.plain(ref))
            gone = [first + index for index in missing] if attempt == repeats else []
            self.write("series", series=first // 2 + 1, measurement=number, first_number=first, taken=2, missing=gone)
            for frame in gone:
                self.write("alarm", what=f"frame {frame} was lost between the detector and the writer")
            if attempt < repeats:
                self.write("repeated", measurement=number, why="the shutter closed during the exposure")
        self.t_s += 1.0
        if estimate is None:
            self.write("late", measurement=number, why="the model was late: the fallback plan goes on")
        else:
            self.write("estimated", estimate=records.plain(estimate))
        self.write("done", measurement=number)

    def end(self, status: str, why: str, finish: Finish | None = None) -> None:
        if finish is not None:
            self.write("finish", **records.plain(finish))
        self.t_s += 3.0
        self.write("state", state=status, why=why)
        self.write("ended", status=status, exit=0, why=why, duration_s=self.t_s)


def estimate(number: int, pressure_gpa: float, fraction: float, noise: float = 0.0) -> Estimate:
    """What a model would say of KBr at this pressure with this much B2; `noise` moves the cells apart, in GPa."""
    label: Label = "B1" if fraction < 0.03 else "B2" if fraction > 0.97 else "mixture"
    phases = []
    for name, share, apart in (("B1", 1.0 - fraction, noise), ("B2", fraction, -noise)):
        if share < 0.03:
            continue
        row = tables.phase("KBr", name)
        a = eos.cell_angstrom(row, pressure_gpa + apart, 300.0)
        phases.append(
            PhaseEstimate(
                "KBr", name, share, 0.02, "volume", a, 6e-4, pressure_gpa + apart, 0.02, SCALE, 300.0  # type: ignore[arg-type]
            )
        )  # fmt: skip
    odds = {name: 0.97 if name == label else 0.01 for name in ("B1", "B2", "mixture", "unknown")}
    return Estimate(
        number, label, odds, tuple(phases), (), Measured(pressure_gpa, 0.015), Measured(fraction, 0.02), None, False,
        ("lines of KBr",), "physics-1", SCALE,
    )  # fmt: skip


def unknown(number: int) -> Estimate:
    """A pattern that says nothing."""
    odds = {"B1": 0.01, "B2": 0.01, "mixture": 0.01, "unknown": 0.97}
    why = ("nothing diffracts: no peak stands five sigma above the scatter of the pattern",)
    return Estimate(number, "unknown", odds, (), (), None, None, None, False, why, "physics-1")


def turn(level_gpa: float) -> tuple[float, float]:
    """(pressure, fraction) where the load without collapse is level_gpa: a logistic, and 0.2 GPa lost by turning."""
    fraction = 1.0 / (1.0 + math.exp(-(level_gpa - 1.95) / 0.045))
    return level_gpa - 0.2 * fraction, fraction


def transition(**other: Any) -> dict[str, Any]:
    """A transition as the summary states it."""
    return {
        "salt": "KBr", "branch": "up",
        "definition": "mean sample pressure at which the B2 volume fraction first passes 0.5",
        "pressure_gpa": 1.853, "sigma_stat": 0.017, "sigma_scale": 0.031, "scale": SCALE, "gauge": None,
        "temperature_k": 300.02, "rate_gpa_per_min": 0.031, "onset_gpa": 1.79, **other,
    }  # fmt: skip


def spend_the_night(pen: Pen) -> None:
    """Twenty measurements that find it: a late model, an unknown, a repeat, a lost frame, a hold, on the way."""
    rng = np.random.default_rng(7)
    pen.begin()
    levels = [0.02, 0.4, 0.78, 1.1, 1.38, 1.6, 1.74, 1.82, 1.86, 1.9, 1.93, 1.95, 1.97, 2.0, 2.05, 2.1, 2.18, 2.28]
    for number, level in enumerate(levels):
        pressure, fraction = turn(level)
        said: Estimate | None = estimate(
            number,
            pressure + 0.012 * rng.standard_normal(),
            min(max(fraction + 0.012 * rng.standard_normal(), 0.0), 1.0),
            0.02 * rng.standard_normal(),
        )
        said = None if number == 3 else unknown(number) if number == 5 else said
        reason = f"no B2 yet; a step of {level:.2f} GPa keeps the chance of jumping over the onset at 9%"
        pen.measure(
            number, level / 0.0487, said, reason=reason, runner_up="a step of 0.30 GPa: 21%", repeats=number == 7,
            missing=(1,) if number == 9 else (), exposure_s=3.0 if number > 7 else 1.0,
        )  # fmt: skip
        if number == 11:
            pen.write("held", hold="link membrane", why="membrane: no answer within 2 s")
            pen.write("state", state="held", why="membrane: no answer within 2 s")
            pen.t_s += 240.0
            pen.write("released", hold="link membrane", why="membrane is back: 94.81 bar as before")
            pen.write("state", state="running", why="every hold is released")
    goal = Finish("goal", "P50 = 1.85(2) GPa, 95 % within 1.82 to 1.89, within the 0.05 GPa asked for", "another look")
    pen.end("finished", goal.reason, goal)


def write_patterns(folder: RunFolder, history: History) -> None:
    """reduced.h5 of a history: Gaussian lines of its cells on a background, with counting noise and a gap."""
    rng = np.random.default_rng(11)
    two_theta = np.linspace(4.0, 22.0, 1400)
    file = ReducedFile(folder.reduced, poni="")
    for point in history.points:
        if point.estimate is None:
            continue
        counts = 60.0 + 40.0 * np.exp(-two_theta / 8.0)
        for phase in point.estimate.phases:
            row = tables.phase(phase.salt, phase.structure)
            lines = structure.lines(row, phase.a_angstrom, WAVELENGTH, 22.0)
            strength = lines.intensity_per_volume * structure.lorentz_area_detector(lines.two_theta_deg)
            for place, height in zip(lines.two_theta_deg, strength * phase.fraction * 4.0, strict=True):
                counts = counts + height * np.exp(-0.5 * ((two_theta - place) / 0.035) ** 2)
        seen = rng.poisson(counts).astype(float)
        seen[700:704] = np.nan
        pattern = Pattern(two_theta, seen, np.maximum(counts, 1.0), WAVELENGTH, True, "by hand")
        file.append(point.measurement.number, pattern)
    file.close()
