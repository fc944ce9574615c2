"""What radiation does to the crystal, and the instruments that look at it: tube, lamp, spectrometers, microscope.

Colour grows on a grid of its own, decided by the history of commands alone; the rest of the world only feels how much
the cells have swollen.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rocksalt.twin.chamber.doors import TubeDoor, TubeShutterDoor
from rocksalt.twin.chamber.doorways import TubeShutterWay, TubeWay
from rocksalt.twin.chamber.spectrum import layer_dose_gy
from rocksalt.twin.chamber.tube import Tube
from rocksalt.twin.optics.bands import View
from rocksalt.twin.optics.bench import Bench, view_of
from rocksalt.twin.optics.doors import LightsDoor, RubyDoor, SpectrometerDoor
from rocksalt.twin.optics.doorways import LightsWay, RubyWay, SpectrometerWay
from rocksalt.twin.optics.ruby import Ruby
from rocksalt.twin.sample import defect_law
from rocksalt.twin.sample.beams import MicroBeam
from rocksalt.twin.sample.defects import CELL_S, Defects, layer_edges_m

if TYPE_CHECKING:
    from rocksalt.twin.microscope.door import MicroscopeDoor
    from rocksalt.twin.microscope.instrument import Microscope
    from rocksalt.twin.twin_table import TubeTable
    from rocksalt.twin.world import World

COLOURED: Final = defect_law.SALTS
_GREEN_NM: Final = 546.0


class Colour:
    """The coloured crystal of a world. Its doors: `tube`, `tube_shutter`, `spectrometer`, `lights`, `ruby`,
    `microscope`.

    energy_kev, flux_per_m2   of the synchrotron's beam, photons a second and square metre
    """

    def __init__(self, world: World, table: TubeTable, energy_kev: float, flux_per_m2: float) -> None:
        self._world = world
        hidden, chance, salt = world.hidden, world.chance, world.salt.name
        thickness_m = 1e-6 * world.gasket.thickness_um(0.0)
        edges_m = layer_edges_m(thickness_m)
        self.generating = Tube(
            salt, edges_m, hidden.tube, chance,
            anode=table.anode, filters=((table.filter, table.filter_um),), distance_m=1e-3 * table.distance_mm,
        )  # fmt: skip
        self.guard(0.0)
        self._bench = Bench(salt, hidden.optics, chance, world.ambient_k)
        rate = layer_dose_gy(salt, np.array([energy_kev]), np.array([flux_per_m2]), edges_m)
        micro = MicroBeam(rate, world.hutch.lit_s, world.ripple)
        self.defects = Defects(
            salt, thickness_m, hidden.defects, world.temperature_k, [self.generating, micro], [self._bench.lights]
        )
        self.tube: TubeDoor = TubeWay(self.generating, self._advance, self._settle, world.tell_truth)
        self.tube_shutter: TubeShutterDoor = TubeShutterWay(
            self.generating, self._advance, self._settle, world.tell_truth
        )
        self.lights: LightsDoor = LightsWay(self._bench, self._advance, self._settle)
        self.spectrometer: SpectrometerDoor = SpectrometerWay(self._bench, self._advance, self._view, chance)
        ruby = Ruby(hidden.optics, chance, world.ambient_k)
        self.ruby: RubyDoor = RubyWay(ruby, self._advance, self._felt, chance)

    @cached_property
    def microscope(self) -> MicroscopeDoor:
        """Made when first stood at: its optics take a while."""
        return _MicroscopeWay(self)

    # --- what the world asks ------------------------------------------------------------------------------------------

    def swelling(self, at_s: float) -> float:
        """Relative growth of the cell's edge as the beam sees it, at the last node of the grid that is over: it takes
        many of them to become visible."""
        state = self.defects.state(at_s // CELL_S * CELL_S)
        return self.defects.seen(self.defects.swelling(state))

    def changes(self, after_s: float, until_s: float) -> list[float]:
        """Times after after_s, before until_s, at which the tube's voltage or its shutter turned a corner."""
        return self.generating.knots(after_s, until_s)

    def told(self, at_s: float, beam: bool, dose_gy: float) -> tuple[bool, bool, float]:
        """(high voltage on, X-rays on the sample, dose in Gy) with the tube's part; at_s is not after now."""
        hv, tube_beam = self.generating.generator.was_on(at_s), self.generating.beam(at_s)
        if self.generating.used:
            dose_gy = self.defects.seen(self.defects.state(at_s).dose_gy)
        return hv, beam or tube_beam, dose_gy

    def guard(self, at_s: float) -> None:
        """The hutch's door and permit, as the tube's interlocks feel them."""
        hutch = self._world.hutch
        self.generating.generator.interlock(at_s, hutch.door_closed)
        self.generating.generator.permit(at_s, hutch.permitted)

    def settle(self, at_s: float) -> None:
        """The crystal takes note of this moment, because something is about to change."""
        self.defects.settle(at_s)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _advance(self, at_s: float) -> float:
        now = self._world.advance(at_s)
        self.defects.advance(now)
        return now

    def _settle(self, at_s: float) -> float:
        now = self._world.advance(at_s)
        self.defects.settle(now)
        return now

    def _view(self, at_s: float) -> View:
        return view_of(self.defects, self.defects.state(at_s), self._world.temperature_k(at_s), self._volume(at_s))

    def _volume(self, at_s: float) -> float:
        """Of the first phase's cell under load, against that without."""
        first = self._world.lattices[0]
        return first.room_volume_a3(self._world.state(at_s)[0]) / first.phase.v0_a3

    def _felt(self, at_s: float) -> tuple[float, float]:
        return self._world.state(at_s)[0], self._world.temperature_k(at_s)


class _MicroscopeWay:
    """See `rocksalt.twin.microscope.door.MicroscopeDoor`. What could be counted is told to the truth, picture by
    picture."""

    def __init__(self, colour: Colour) -> None:
        from rocksalt.twin.microscope.instrument import Microscope

        world = colour._world
        self._colour, self._world = colour, world
        self._scope: Microscope = Microscope(
            world.hidden, world.chance, salt=world.salt.name, thickness_um=world.gasket.thickness_um(0.0)
        )
        self._focus_um, self._exposed = 0.0, 0

    @property
    def shape(self) -> tuple[int, int]:
        return self._scope.shape

    @property
    def um_per_px(self) -> float:
        return self._scope.um_per_px

    @property
    def most_counts(self) -> int:
        return self._scope.camera.most_counts

    def focus_um(self, at_s: float) -> float:
        self._colour._advance(at_s)
        return self._focus_um

    def set_focus(self, at_s: float, focus_um: float) -> None:
        if not np.isfinite(focus_um):
            raise ValueError(f"the focus was sent to {focus_um} um: a finite number is needed")
        self._colour._advance(at_s)
        self._focus_um = focus_um

    def expose(self, at_s: float, exposure_s: float) -> NDArray[np.uint16]:
        if not 0.0 < exposure_s < np.inf:
            raise ValueError(f"a picture of {exposure_s} s: a positive, finite time is needed")
        now = self._colour._advance(at_s + exposure_s)
        defects, hidden = self._colour.defects, self._world.hidden.microscope
        state = defects.state(now)
        per_layer = defects.features_per_um3(state, hidden.colloid_radius_um, hidden.loop_radius_um)
        colloids, loops = (defects.seen(layers) for layers in per_layer)
        bench = self._colour._bench
        wavelengths = bench.wavelengths_nm
        density = bench.crystal.optical_density(self._colour._view(now))
        green = float(np.interp(_GREEN_NM, wavelengths, density))
        rng = self._world.chance.stream("microscope.noise", self._exposed)
        given = (now, exposure_s, self._focus_um, colloids, loops)
        features = self._scope.truth(*given, optical_density=green)
        self._world.truth_line({
            "picture": self._exposed, "t_s": round(now, 6), "colloids_per_um3": colloids, "loops_per_um3": loops,
            "features": [[f.kind, round(f.row_px, 2), round(f.column_px, 2), f.resolvable] for f in features],
        })  # fmt: skip
        self._exposed += 1
        return self._scope.image(*given, rng, optical_density=green)
