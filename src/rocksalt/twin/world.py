"""The world of one experiment: cell, sample, hutch, heater and camera, taken forward in experiment time when asked.

Mechanics and kinetics go on a fixed grid of time, so that nothing depends on when or how often anybody asks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from math import ceil, inf, pi, sin
from pathlib import Path
from typing import Any, Final

from rocksalt.crystals import absorption
from rocksalt.time import Chance
from rocksalt.twin import departures, doors, doorways
from rocksalt.twin.cell.gas import Gas
from rocksalt.twin.cell.piston import Cell
from rocksalt.twin.picture.geometry import Geometry, read_poni
from rocksalt.twin.picture.render import Glimpse, Renderer
from rocksalt.twin.sample import transformation
from rocksalt.twin.sample.lattice import Lattice, Shrinkage
from rocksalt.twin.surroundings.hutch import Hutch
from rocksalt.twin.surroundings.oven import Oven
from rocksalt.twin.tiers import Tier, tier
from rocksalt.twin.truth import Truth
from rocksalt.values import FloatArray

STEP_S: Final = 0.25
_LEAP: Final = 240
_REMEMBER_S: Final = 1800.0
_ONSET: Final = 0.05
_HALF: Final = 0.5
_NOTICE_GPA: Final = 0.001
_NOTICE_SHARE: Final = 0.002
_BLUR_GPA: Final = 0.004
_BLUR_SHARE: Final = 0.004
_MOST_PARTS: Final = 8
_USUAL_FLUX_PH_PER_S: Final = 2.0e9
_ROOM_K: Final = 298.0
_KEV_ANGSTROM: Final = 12.398419843


class World:
    """One twin. `membrane`, `thermal`, `enclosure`, `camera` are its doors (`rocksalt.twin.doors`).

    sample                KBr, so far
    tier                  how unkind (`rocksalt.twin.tiers`)
    nominal               the geometry that the experimenter believes in
    flux_ph_per_s         what the station file says; the true flux departs from it
    size_m, thickness_m   beam, horizontal and vertical, and sample along the beam
    gpa_per_bar           the station's prior for the load curve
    transition            "draw" or "none" (B1 to the end)
    truth                 where to write what really happens; None for nowhere
    """

    def __init__(  # a world has that many circumstances
        self,
        sample: str,
        tier: Tier,
        twin_seed: int,
        *,
        nominal: Geometry,
        flux_ph_per_s: float = _USUAL_FLUX_PH_PER_S,
        size_m: tuple[float, float] = (30e-6, 30e-6),
        thickness_m: float = 30e-6,
        polarisation: float = 0.98,
        gpa_per_bar: float = 0.055,
        transition: str = "draw",
        truth: Truth | None = None,
    ) -> None:
        if sample != "KBr":
            raise ValueError(f"[twin] sample = {sample!r}: the twin knows KBr only, so far")
        if transition not in ("draw", "none"):
            raise ValueError(f"[twin] transition = {transition!r}: it is draw or none")
        self.chance = Chance(twin_seed)
        self.hidden = hidden = departures.draw(tier, self.chance)
        real_angstrom = nominal.wavelength_angstrom * (1.0 + hidden.beam.wavelength_relative)
        lattices = (
            Lattice(sample, "B1", hidden, self.chance, real_angstrom),
            Lattice(sample, "B2", hidden, self.chance, real_angstrom),
        )
        self._shrinkage = Shrinkage(*lattices)
        shares = transformation.spread(hidden.cell.gradient_gpa, hidden.cell.gradient_skew, hidden.sample.barrier_gpa)
        self.gas = Gas(hidden.cell.supply_bar, hidden.cell.leak_bar_per_min)
        self.hutch = Hutch()
        self.oven = Oven(_ROOM_K + hidden.surroundings.ambient_k)
        law = _law(hidden, shares, transforms=transition == "draw")
        self.cell = Cell(hidden, gpa_per_bar, self.chance, transformation.Transformation(law, shares))
        self.nominal = nominal
        self._make_renderer = partial(
            Renderer, nominal, hidden, lattices, shares, polarisation, 1e6 * thickness_m, self.chance,
            flux_ph_per_s=flux_ph_per_s, salt=sample,
        )  # fmt: skip
        self._dose_gy_per_s = absorption.dose_rate_gy_per_s(
            sample, flux_ph_per_s * hidden.beam.flux_relative, _KEV_ANGSTROM / real_angstrom,
            beam_size_m=size_m, thickness_m=thickness_m,
        )  # fmt: skip
        self._phase = float(self.chance.stream("beam.ripple").uniform(0.0, 2.0 * pi))

        self._now_s = 0.0
        self._steps = 0
        # The state after each step at which it changed; quiet times take no room.
        self._kept_steps: list[int] = [0]
        start = (self.cell.state.pressure_gpa, self.cell.transformation.transformed)
        self._kept: list[tuple[float, FloatArray]] = [start]
        self._dose_gy, self._dose_until_s = 0.0, 0.0
        self._truth = truth
        self._told: tuple[float, float] = (-inf, -inf)
        self._onset_gpa: float | None = None
        self._p50_gpa: float | None = None
        self._summed_up = False

        self.membrane: doors.MembraneDoor = doorways.Membrane(self)
        self.thermal: doors.ThermalDoor = doorways.Thermal(self)
        self.enclosure: doors.EnclosureDoor = doorways.Enclosure(self)
        self.camera: doors.CameraDoor = doorways.Camera(self)
        self.tell_truth(0.0)

    @cached_property
    def renderer(self) -> Renderer:
        """Made when the first image is wanted: most of what a world costs to begin with."""
        return self._make_renderer()

    # --- time ---------------------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """The furthest that anybody has asked for."""
        return self._now_s

    def advance(self, at_s: float) -> float:
        """Take the world to at_s, or nowhere if that is past; returns the world's time. Raises ValueError for NaN or
        infinity."""
        if not -inf < at_s < inf:
            raise ValueError(f"the twin was asked for {at_s} s: experiment time is a finite number of seconds")
        target = max(at_s, self._now_s)
        for change_s in self.hutch.changes(self._now_s, target):
            self._step_to(change_s)
            self.tell_truth(change_s)
        self._step_to(target)
        self._now_s = target
        return target

    def _step_to(self, at_s: float) -> None:
        last = int(at_s // STEP_S)
        while self._steps < last:
            step = self._steps + 1
            at = step * STEP_S
            pressure, fraction = self._kept[-1][0], self.fraction_b2(*self._kept[-1])
            if abs(pressure - self._told[0]) > _NOTICE_GPA or abs(fraction - self._told[1]) > _NOTICE_SHARE:
                self.tell_truth(at)
            moved = self.cell.advance(self.gas.bar(at), STEP_S, self._shrinkage.relative(pressure))
            if not moved:
                # Between commands the gas only rises or only falls: if friction holds at the far end, it always does.
                far = min(last, step + _LEAP)
                step = far if self.cell.holds(self.gas.bar(far * STEP_S)) else step
            self._steps = step
            if moved:
                self._keep(step, pressure, fraction)

    def _keep(self, step: int, pressure_before: float, fraction_before: float) -> None:
        state = (self.cell.state.pressure_gpa, self.cell.transformation.transformed)
        self._kept_steps.append(step)
        self._kept.append(state)
        fraction = self.fraction_b2(*state)
        if self._p50_gpa is None and fraction >= _ONSET:
            if self._onset_gpa is None:
                self._onset_gpa = _crossing(_ONSET, fraction_before, fraction, pressure_before, state[0])
            if fraction >= _HALF:
                self._p50_gpa = _crossing(_HALF, fraction_before, fraction, pressure_before, state[0])
                self._sum_up()
        if len(self._kept) > 4 * _REMEMBER_S / STEP_S:
            forget = bisect_right(self._kept_steps, step - int(_REMEMBER_S / STEP_S)) - 1
            del self._kept[:forget], self._kept_steps[:forget]

    # --- state --------------------------------------------------------------------------------------------------------

    def state(self, at_s: float) -> tuple[float, FloatArray]:
        """Mean pressure (GPa) and transformed share of each bin at a time not after now: straight between two steps of
        the grid, one step late, so that it never waits for a command that hasn't been given."""
        step = int(at_s // STEP_S)
        part = at_s / STEP_S - step
        (p0, x0), (p1, x1) = self._after(step - 1), self._after(step)
        return p0 + part * (p1 - p0), x0 if x0 is x1 else x0 + part * (x1 - x0)

    def _after(self, step: int) -> tuple[float, FloatArray]:
        return self._kept[max(bisect_right(self._kept_steps, step) - 1, 0)]

    def fraction_b2(self, pressure_gpa: float, transformed: FloatArray) -> float:
        """Volume fraction of B2: a little less than the molar share, for it is the denser phase."""
        share = float(transformed.sum()) / transformed.size
        if share == 0.0:
            return 0.0
        b2 = share * (1.0 - self._shrinkage.strain(pressure_gpa))
        return b2 / (b2 + 1.0 - share)

    def dose_gy(self, at_s: float) -> float:
        """Dose in the illuminated volume since the start, at a time not before the last question."""
        lit = self.hutch.lit_s(self._dose_until_s, at_s)
        self._dose_gy += self._dose_gy_per_s * sum(end - start for start, end in lit)
        self._dose_until_s = max(at_s, self._dose_until_s)
        return self._dose_gy

    def glimpses(self, start_s: float, end_s: float) -> list[Glimpse]:
        """What the beam saw of the sample within an exposure that is over: more than one where the sample moved."""
        found = []
        for low, high in self.hutch.lit_s(start_s, end_s):
            (p0, x0), (p1, x1) = self.state(low), self.state(high)
            change = max(abs(p1 - p0) / _BLUR_GPA, abs(float(x1.mean() - x0.mean())) / _BLUR_SHARE)
            parts = min(max(ceil(change), 1), _MOST_PARTS)
            for part in range(parts):
                middle = low + (high - low) * (part + 0.5) / parts
                pressure, transformed = self.state(middle)
                light = (high - low) / parts * self._ripple(middle)
                fraction = self.fraction_b2(pressure, transformed)
                found.append(Glimpse(light, pressure, transformed, fraction, self._kelvin(middle)))
        return found

    def _kelvin(self, at_s: float) -> float:
        # The oven forgets what was before its last command; an exposure that spans one takes it as it began.
        return self.oven.sample_k(max(at_s, self.oven.since_s))

    def _ripple(self, at_s: float) -> float:
        return 1.0 + self.hidden.beam.ripple * sin(2.0 * pi * at_s / self.hidden.beam.ripple_s + self._phase)

    # --- truth --------------------------------------------------------------------------------------------------------

    def tell_truth(self, at_s: float) -> None:
        """Write the state line for this time, which is now or the moment being passed."""
        pressure, transformed = self.state(at_s)
        fraction = self.fraction_b2(pressure, transformed)
        self._told = (pressure, fraction)
        position = self.hutch.position(at_s)
        self.truth_line(
            {
                "t_s": round(at_s, 6),
                "sample_pressure_gpa": round(pressure, 6),
                "fraction_b2": round(fraction, 6),
                "shutter": "open" if position >= 1.0 else "closed" if position <= 0.0 else "moving",
                "hv": False,
                "door": "closed" if self.hutch.door_closed else "open",
                "beam": self.hutch.beam(at_s),
                "dose_gy": round(self.dose_gy(at_s), 3),
            }
        )

    def truth_line(self, line: dict[str, Any]) -> None:
        """Write any line of the truth file."""
        if self._truth is not None:
            self._truth.write(line)

    def _sum_up(self) -> None:
        if not self._summed_up:
            self._summed_up = True
            self.truth_line({
                "onset_gpa": self._onset_gpa, "p50_gpa": self._p50_gpa, "departures": self.hidden.as_json(),
            })  # fmt: skip

    @property
    def transition_gpa(self) -> tuple[float | None, float | None]:
        """(onset, P50) so far: mean pressure at which the B2 fraction first passed 0.05 and 0.5."""
        return self._onset_gpa, self._p50_gpa

    def close(self) -> None:
        """End of the experiment: the truth is summed up, with null for what never happened, and its file closed."""
        self._sum_up()
        if self._truth is not None:
            self._truth.close()


def _law(hidden: departures.Departures, shares: transformation.Spread, *, transforms: bool) -> transformation.Law:
    sample = hidden.sample
    law = transformation.Law(inf, -inf, sample.tau0_s, sample.p0_gpa, sample.avrami)
    if not transforms:
        return law
    forward = transformation.forward_for_p50(law, shares, sample.p50_gpa, hidden.cell.collapse_gpa)
    return replace(law, forward_gpa=forward, reverse_gpa=forward - sample.dead_band_gpa)


def _crossing(level: float, before: float, after: float, pressure_before: float, pressure_after: float) -> float:
    part = 1.0 if after == before else min(max((level - before) / (after - before), 0.0), 1.0)
    return round(pressure_before + part * (pressure_after - pressure_before), 6)


def world_from_station(  # the tables of a station file that bear on the world
    twin_table: Mapping[str, Any],
    beam: Mapping[str, Any],
    detector_shape: tuple[int, int],
    poni_text: str,
    load_curve_prior: Mapping[str, Any],
    twin_seed: int,
    truth: str | Path | None,
) -> World:
    """The world that a station file's tables [twin], [beam] and [load_curve] describe, as plain mappings.

    [twin] has `sample`, `tier`, and may have `transition` ("draw", or "none") and `thickness_um` (30). Raises
    ValueError for anything else in it, and for values that no twin has. `truth` is a path (/dev/null will do) or None.
    """
    known = ("sample", "tier", "transition", "thickness_um")
    if unknown := [key for key in twin_table if key not in known]:
        raise ValueError(f"[twin] {unknown[0]}: there is no such key; the twin knows {', '.join(known)}")
    size_um = beam.get("size_um", (30.0, 30.0))
    nominal = read_poni(poni_text, (int(detector_shape[0]), int(detector_shape[1])))
    return World(
        str(twin_table.get("sample", "KBr")),
        tier(str(twin_table.get("tier", "clean"))),
        twin_seed,
        nominal=nominal,
        flux_ph_per_s=float(beam.get("flux_ph_per_s", _USUAL_FLUX_PH_PER_S)),
        size_m=(1e-6 * float(size_um[0]), 1e-6 * float(size_um[1])),
        thickness_m=1e-6 * float(twin_table.get("thickness_um", 30.0)),
        polarisation=float(beam.get("polarisation", 0.98)),
        gpa_per_bar=float(load_curve_prior["gpa_per_bar"]),
        transition=str(twin_table.get("transition", "draw")),
        truth=None if truth is None else Truth(truth),
    )
