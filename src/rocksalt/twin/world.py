"""The world of one experiment: cell, sample, hutch, stage and camera, taken forward in experiment time when asked.

Mechanics and kinetics go on a fixed grid of time, everything else is a function of time that only commands change, so
that nothing depends on when or how often anybody asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from math import ceil, inf, pi, sin
from pathlib import Path
from typing import Any, Final

from rocksalt.crystals.intermediate import B33
from rocksalt.crystals.transition import TRANSITIONS
from rocksalt.time import Chance
from rocksalt.twin import departures, doors, doorways, making
from rocksalt.twin.cell.gas import Gas
from rocksalt.twin.cell.gasket import Drift, Gasket
from rocksalt.twin.cell.medium import medium as medium_named
from rocksalt.twin.cell.piston import Cell
from rocksalt.twin.chamber.doors import TubeDoor, TubeShutterDoor
from rocksalt.twin.colour import COLOURED, Colour
from rocksalt.twin.history import STEP_S, History, Moment
from rocksalt.twin.microscope.door import MicroscopeDoor
from rocksalt.twin.optics.doors import LightsDoor, RubyDoor, SpectrometerDoor
from rocksalt.twin.picture.geometry import Geometry, read_poni
from rocksalt.twin.picture.render import Glimpse, Renderer
from rocksalt.twin.sample import transformation
from rocksalt.twin.sample.lattice import Shrinkage
from rocksalt.twin.sample.salt import Salt, salt
from rocksalt.twin.surroundings.flux import Diode
from rocksalt.twin.surroundings.hutch import Hutch
from rocksalt.twin.surroundings.stage import Stage
from rocksalt.twin.telling import Teller
from rocksalt.twin.tiers import Tier, tier
from rocksalt.twin.truth import Truth
from rocksalt.twin.twin_table import TubeTable, TwinTable, read
from rocksalt.values import FloatArray

_LEAP: Final = 240
_BLUR_GPA: Final = 0.004
_BLUR_SHARE: Final = 0.004
_MOST_PARTS: Final = 8
_USUAL_FLUX_PH_PER_S: Final = 2.0e9
_ROOM_K: Final = 298.0


class World:
    """One twin. `membrane`, `thermal`, `enclosure`, `camera`, `flux` are its doors (`rocksalt.twin.doors`); `tube`,
    `tube_shutter`, `lights`, `spectrometer`, `ruby` and `microscope` those of the crystal's colour (`twin.colour`).

    sample                a salt of the table. Where that has one phase only, nothing transforms; the caesium salts are
                          B2 from the start, and their fraction of B2 is 1
    tier                  how unkind (`rocksalt.twin.tiers`)
    nominal               the geometry that the experimenter believes in
    flux_ph_per_s         what the station file says; the true flux departs from it
    size_m, thickness_m   beam, horizontal and vertical, and sample along the beam at no load
    gpa_per_bar           the station's prior for the load curve
    transition            "draw" or "none" (B1 to the end)
    medium, coldest_k, tube   as `rocksalt.twin.twin_table` has them
    truth                 where to write what really happens; None for nowhere

    Raises ValueError for what no twin has, saying which and what is allowed.
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
        medium: str = "methanol-ethanol",
        coldest_k: float | None = None,
        tube: TubeTable | None = None,
        truth: Truth | None = None,
    ) -> None:
        asked = TwinTable(sample, tier.name, transition, 1e6 * thickness_m, medium, coldest_k, tube or TubeTable())
        making.check_beam(flux_ph_per_s, size_m, polarisation)
        self.chance = Chance(twin_seed)
        self.salt: Salt = salt(sample, gpa_per_bar)
        self.hidden = hidden = self.salt.suited(departures.draw(tier, self.chance))
        self.ambient_k = _ROOM_K + hidden.surroundings.ambient_k
        self.lattices = making.phases(self.salt, hidden, self.chance, nominal, gpa_per_bar)
        top_gpa = min(lattice.phase.range_gpa[1] for lattice in self.lattices)
        self._shrinkage = Shrinkage(*self.lattices, self.salt.anchor_gpa, top_gpa)
        shares = transformation.spread(hidden.cell.gradient_gpa, hidden.cell.gradient_skew, hidden.sample.barrier_gpa)
        self.gas = Gas(hidden.cell.supply_bar, hidden.cell.leak_bar_per_min)
        self.hutch = Hutch()
        self.stage = Stage(self.ambient_k, coldest_k, hidden.surroundings.lag_relative)
        self.transforms = asked.transition == "draw" and self.salt.p50_gpa is not None
        law = making.law(self.salt, hidden, shares, self.ambient_k, transforms=self.transforms)
        self.cell = Cell(
            hidden, gpa_per_bar, self.chance,
            transformation.Transformation(
                law, shares, from_the_start=self.salt.structures == ("B2",)
            ),
            medium_named(medium), ambient_k=self.ambient_k, embedded_gpa=self.salt.embedded_gpa,
            isochoric_gpa=self.lattices[0].thermal_gpa,
        )  # fmt: skip
        self.nominal = nominal
        self._make_renderer = partial(
            Renderer,
            nominal,
            hidden,
            self.lattices,
            shares,
            polarisation,
            asked.thickness_um,
            self.chance,
            flux_ph_per_s=flux_ph_per_s,
            salt=self.salt.name,
        )
        self.gasket = Gasket(asked.thickness_um, hidden.cell.thinning_per_gpa)
        self._dose_rate = making.dose_rate(
            self.salt, flux_ph_per_s * hidden.beam.flux_relative, self.lattices[0].wavelength_angstrom, size_m,
            asked.thickness_um,
        )  # fmt: skip
        self._tube = asked.tube
        self._flux_ph_per_s = flux_ph_per_s * hidden.beam.flux_relative
        self._energy_kev = making.KEV_ANGSTROM / self.lattices[0].wavelength_angstrom
        self._flux_per_m2 = self._flux_ph_per_s / (size_m[0] * size_m[1])
        beam_um = (1e6 * size_m[0], 1e6 * size_m[1])
        wander = float(self.chance.stream("cell.wander").uniform(0.0, 2.0 * pi))
        self._drift = Drift(hidden.cell, self.ambient_k, beam_um, wander)
        self._phase = float(self.chance.stream("beam.ripple").uniform(0.0, 2.0 * pi))

        self._now_s = 0.0
        self._steps = 0
        state = self.cell.state
        first = self._gy_per_s(state.pressure_gpa)
        self._history = History(
            Moment(state.pressure_gpa, self.cell.transformation.transformed, state.solid, first, 0.0),
            self.hutch.light_s,
        )
        self._teller = Teller(truth, hidden, transforms=self.transforms)

        self.membrane: doors.MembraneDoor = doorways.Membrane(self)
        self.thermal: doors.ThermalDoor = doorways.Thermal(self)
        self.enclosure: doors.EnclosureDoor = doorways.Enclosure(self)
        self.camera: doors.CameraDoor = doorways.Camera(self)
        self.tell_truth(0.0)

    def ripple(self, at_s: float) -> float:
        """The synchrotron's flux at a time, relative to its mean."""
        return 1.0 + self.hidden.beam.ripple * sin(2.0 * pi * at_s / self.hidden.beam.ripple_s + self._phase)

    @cached_property
    def renderer(self) -> Renderer:
        """Made when the first image is wanted: most of what a world costs to begin with."""
        return self._make_renderer()

    @cached_property
    def flux(self) -> doors.FluxDoor:
        """The flux monitor; made when first asked for."""
        diode = Diode(
            self.hidden.monitor, self.hidden.beam, self._phase, self._flux_ph_per_s, self._energy_kev,
            self.hutch.lit_s, self.chance, self.ambient_k,
        )  # fmt: skip
        return doorways.Flux(self, diode)

    @cached_property
    def colour(self) -> Colour | None:
        """What radiation does to the crystal, and what looks at it; made when first asked for. None for the salts whose
        colour nobody described."""
        if self.salt.name not in COLOURED:
            return None
        return Colour(self, self._tube, self._energy_kev, self._flux_per_m2)

    @property
    def _colour_so_far(self) -> Colour | None:
        """None until somebody asked for it: before, its tube and lamp were never touched."""
        found: Colour | None = self.__dict__.get("colour")
        return found

    def _coloured(self, door: str) -> Colour:
        if self.colour is None:
            raise ValueError(
                f"[twin] sample = {self.salt.name!r}: the {door} needs a salt whose colour centres are known: "
                f"{', '.join(COLOURED)}"
            )
        return self.colour

    @property
    def tube(self) -> TubeDoor:
        """The irradiation tube. This door and the next five raise ValueError for a salt without known colour."""
        return self._coloured("tube").tube

    @property
    def tube_shutter(self) -> TubeShutterDoor:
        """The tube's own shutter."""
        return self._coloured("tube's shutter").tube_shutter

    @property
    def lights(self) -> LightsDoor:
        """Lamp, its shutter, the stage that brings the sample into the light, and the pump."""
        return self._coloured("lamp").lights

    @property
    def spectrometer(self) -> SpectrometerDoor:
        """Absorption and luminescence."""
        return self._coloured("spectrometer").spectrometer

    @property
    def ruby(self) -> RubyDoor:
        """The ruby's spectrometer and laser."""
        return self._coloured("ruby").ruby

    @property
    def microscope(self) -> MicroscopeDoor:
        """The microscope; KBr alone so far."""
        return self._coloured("microscope").microscope

    @property
    def p50_gpa(self) -> float:
        """Where a slow ramp of the load at room temperature (0.1 GPa/min, for KBr) was drawn to cross half B2. Raises
        ValueError for a salt that doesn't transform."""
        return self.salt.drawn_p50_gpa(self.hidden.sample.p50_place)

    def _gy_per_s(self, pressure_gpa: float) -> float:
        first = self.lattices[0]
        density = first.phase.v0_a3 / first.room_volume_a3(pressure_gpa)
        return self._dose_rate.gy_per_s(self.gasket.thickness_um(pressure_gpa), density)

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
        changes = self.hutch.changes(self._now_s, target)
        if (colour := self._colour_so_far) is not None:
            changes = sorted({*changes, *colour.changes(self._now_s, target)})
        for change_s in changes:
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
            before = self._history.last
            pressure, fraction = before.pressure_gpa, self.fraction_b2(before.pressure_gpa, before.transformed)
            if self._teller.is_news(pressure, fraction):
                self.tell_truth(at)
            moved = self.cell.advance(
                self.gas.bar(at), self.stage.sample_k(at), STEP_S, self._shrinkage.relative(pressure)
            )
            if not moved and self.stage.still(at):
                # Between commands the gas only rises or only falls: if friction holds at the far end, it always does.
                far = min(last, step + _LEAP)
                step = far if self.cell.holds(self.gas.bar(far * STEP_S)) else step
            self._steps = step
            if moved:
                state, transformed = self.cell.state, self.cell.transformation.transformed
                now = state.pressure_gpa
                self._history.keep(step, now, transformed, state.solid, self._gy_per_s(now))
                self._teller.step((pressure, fraction), (now, self.fraction_b2(now, transformed)))

    # --- state --------------------------------------------------------------------------------------------------------

    def state(self, at_s: float) -> tuple[float, FloatArray]:
        """Mean pressure (GPa) and transformed share of each bin at a time not after now: straight between two steps of
        the grid. Raises ValueError for a time that hasn't come, or none."""
        pressure, transformed, _ = self._history.state(self._past(at_s))
        return pressure, transformed

    def fraction_b2(self, pressure_gpa: float, transformed: FloatArray) -> float:
        """Volume fraction of B2: a little less than the molar share, for it is the denser phase."""
        share = float(transformed.sum()) / transformed.size
        if share == 0.0:
            return 0.0
        b2 = share * (1.0 - self._shrinkage.strain(pressure_gpa))
        return b2 / (b2 + 1.0 - share)

    def stray_share(self, pressure_gpa: float, transformed: FloatArray) -> float:
        """Volume share of the stray structure (B33) on the way from B1 to B2, 0 for a salt in which none was seen.

        It stands where a bin is half way: the tier's share of what is neither one nor the other, at B33's own volume
        (between the phases; `rocksalt.crystals.intermediate`).
        """
        known = TRANSITIONS.get(self.salt.name)
        if known is None or known.intermediate != "B33" or not self.transforms:
            return 0.0
        half_way = float((4.0 * transformed * (1.0 - transformed)).sum()) / transformed.size
        molar = self.hidden.sample.stray_share * half_way
        b2 = float(transformed.sum()) / transformed.size
        mixture = 1.0 - b2 * self._shrinkage.strain(pressure_gpa)
        stray = molar * B33.volume
        return stray / (stray + (1.0 - molar) * mixture)

    def dose_gy(self, at_s: float) -> float:
        """Dose of the synchrotron's beam in the illuminated volume since the start, at a time not after now. Raises
        ValueError otherwise."""
        return self._history.dose_gy(self._past(at_s))

    def temperature_k(self, at_s: float) -> float:
        """Temperature of the sample at any time, as the commands so far have it."""
        return self.stage.sample_k(at_s)

    def thickness_um(self, at_s: float) -> float:
        """Thickness of the sample along the beam at a time not after now (um)."""
        return self.gasket.thickness_um(self.state(at_s)[0])

    def position_um(self, at_s: float) -> tuple[float, float]:
        """Where the hole's middle stands against the beam, horizontal and vertical (um), at a time not after now."""
        return self._drift.position_um(at_s, self.state(at_s)[0], self.temperature_k(at_s))

    def solid(self, at_s: float) -> float:
        """How much of the pressure medium is frozen, 0 to 1, at a time not after now."""
        return self._history.state(self._past(at_s))[2]

    def _past(self, at_s: float) -> float:
        if not 0.0 <= at_s <= self._now_s:
            raise ValueError(f"the state at {at_s} s was asked for: the twin knows 0 to {self._now_s} s; advance first")
        return at_s

    def glimpses(self, start_s: float, end_s: float) -> list[Glimpse]:
        """What the beam saw of the sample within an exposure that is over: more than one where the sample moved."""
        found = []
        for low, high in self.hutch.lit_s(start_s, end_s):
            (p0, x0), (p1, x1) = self.state(low), self.state(high)
            change = max(abs(p1 - p0) / _BLUR_GPA, abs(float(x1.mean() - x0.mean())) / _BLUR_SHARE)
            parts = min(max(ceil(change), 1), _MOST_PARTS)
            for part in range(parts):
                middle = low + (high - low) * (part + 0.5) / parts
                light = (high - low) / parts * self.ripple(middle)
                found.append(self._glimpse(middle, light))
        return found

    def _glimpse(self, at_s: float, light_s: float) -> Glimpse:
        pressure, transformed, solid = self._history.state(at_s)
        kelvin = self.temperature_k(at_s)
        return Glimpse(
            light_s, pressure, transformed, self.fraction_b2(pressure, transformed), kelvin,
            stray=self.stray_share(pressure, transformed),
            gradient=self.cell.gradient(pressure, solid),
            thickness_um=self.gasket.thickness_um(pressure),
            deviatoric_gpa=self.cell.deviatoric_gpa(solid),
            hit=self._drift.hit(self._drift.position_um(at_s, pressure, kelvin)),
            swelling=0.0 if self.colour is None else self.colour.swelling(at_s),
        )  # fmt: skip

    def guard_tube(self, at_s: float) -> None:
        """The hutch's door or permit has changed, which the tube's interlocks feel."""
        if (colour := self._colour_so_far) is not None:
            colour.settle(at_s)
            colour.guard(at_s)

    # --- truth --------------------------------------------------------------------------------------------------------

    def tell_truth(self, at_s: float) -> None:
        """Write the state line for this time, which is now or the moment being passed."""
        pressure, transformed, _ = self._history.state(at_s)
        fraction = self.fraction_b2(pressure, transformed)
        hv, beam, dose = False, self.hutch.beam(at_s), self._history.dose_gy(at_s)
        if (colour := self._colour_so_far) is not None:
            hv, beam, dose = colour.told(at_s, beam, dose)
        self._teller.tell(at_s, pressure, fraction, self.hutch, hv=hv, beam=beam, dose_gy=dose)

    def truth_line(self, line: dict[str, Any]) -> None:
        """Write any line of the truth file."""
        self._teller.line(line)

    @property
    def transition_gpa(self) -> tuple[float | None, float | None]:
        """(onset, P50) so far: mean pressure at which the B2 fraction first passed 0.05 and 0.5."""
        return self._teller.onset_gpa, self._teller.p50_gpa

    def close(self) -> None:
        """End of the experiment: the truth is summed up, with null for what never happened, and its file closed."""
        self._teller.close()


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

    What [twin] may hold stands in `rocksalt.twin.twin_table`. Raises ValueError for anything else in it, and for values
    that no twin has. `truth` is a path (/dev/null will do) or None.
    """
    asked = read(twin_table)
    size_um, flux = beam.get("size_um", (30.0, 30.0)), beam.get("flux_ph_per_s")
    nominal = read_poni(poni_text, (int(detector_shape[0]), int(detector_shape[1])))
    return World(
        asked.sample,
        tier(asked.tier),
        twin_seed,
        nominal=nominal,
        flux_ph_per_s=_USUAL_FLUX_PH_PER_S if flux is None else float(flux),
        size_m=(1e-6 * float(size_um[0]), 1e-6 * float(size_um[1])),
        thickness_m=1e-6 * asked.thickness_um,
        polarisation=float(beam.get("polarisation", 0.98)),
        gpa_per_bar=float(load_curve_prior["gpa_per_bar"]),
        transition=asked.transition,
        medium=asked.medium,
        coldest_k=asked.coldest_k,
        tube=asked.tube,
        truth=None if truth is None else Truth(truth),
    )
