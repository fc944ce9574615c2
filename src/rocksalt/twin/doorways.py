"""The world's side of the doors: objects that bring the world to the asked time, then ask or tell one part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rocksalt.twin.picture.render import Renderer
from rocksalt.twin.surroundings.flux import Diode

if TYPE_CHECKING:
    from rocksalt.twin.world import World


class Membrane:
    """See `rocksalt.twin.doors.MembraneDoor`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def gas_bar(self, at_s: float) -> float:
        return self._world.gas.bar(self._world.advance(at_s))

    def supply_bar(self, at_s: float) -> float:
        return self._world.gas.supply_bar(self._world.advance(at_s))

    def ramp(self, at_s: float, target_bar: float, rate_bar_per_s: float) -> None:
        self._world.gas.ramp(self._world.advance(at_s), target_bar, rate_bar_per_s)

    def hold(self, at_s: float) -> None:
        self._world.gas.hold(self._world.advance(at_s))

    def vent(self, at_s: float, rate_bar_per_s: float) -> None:
        self._world.gas.ramp(self._world.advance(at_s), 0.0, rate_bar_per_s)


class Thermal:
    """See `rocksalt.twin.doors.ThermalDoor`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def sample_k(self, at_s: float) -> float:
        return self._world.stage.sample_k(self._world.advance(at_s))

    def heat(self, at_s: float, setpoint_k: float, rate_k_per_min: float) -> None:
        self._world.stage.heat(self._world.advance(at_s), setpoint_k, rate_k_per_min)

    def off(self, at_s: float) -> None:
        self._world.stage.off(self._world.advance(at_s))

    def heater_percent(self, at_s: float) -> float:
        return self._world.stage.heater_percent(self._world.advance(at_s))


class Enclosure:
    """See `rocksalt.twin.doors.EnclosureDoor`. What a person or the shutter does is written to the truth at once."""

    def __init__(self, world: World) -> None:
        self._world = world

    def request_shutter(self, at_s: float, open: bool) -> None:
        now = self._world.advance(at_s)
        self._world.hutch.request(now, open)
        self._world.tell_truth(now)

    def shutter_open(self, at_s: float) -> bool:
        return self.shutter_switches(at_s)[0]

    def shutter_switches(self, at_s: float) -> tuple[bool, bool]:
        position = self._world.hutch.position(self._world.advance(at_s))
        return position >= 1.0, position <= 0.0

    def door_closed(self, at_s: float) -> bool:
        self._world.advance(at_s)
        return self._world.hutch.door_closed

    def set_door(self, at_s: float, closed: bool) -> None:
        now = self._world.advance(at_s)
        self._world.hutch.set_door(now, closed)
        self._world.guard_tube(now)
        self._world.tell_truth(now)

    def permit(self, at_s: float, on: bool) -> None:
        now = self._world.advance(at_s)
        self._world.hutch.permit(now, on)
        self._world.guard_tube(now)
        self._world.tell_truth(now)

    def permitted(self, at_s: float) -> bool:
        self._world.advance(at_s)
        return self._world.hutch.permitted


class Camera:
    """See `rocksalt.twin.doors.CameraDoor`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._exposed = 0

    @property
    def shape(self) -> tuple[int, int]:
        return self._world.nominal.shape

    @property
    def mask(self) -> NDArray[np.bool_]:
        return self._world.renderer.mask.copy()

    def cutoff_counts(self, seconds: float) -> int:
        return Renderer.cutoff_counts(seconds)

    def expose(self, start_s: float, seconds: float) -> NDArray[np.uint32]:
        if not 0.0 < seconds < float("inf"):
            raise ValueError(f"an exposure of {seconds} s: a positive, finite time is needed")
        world = self._world
        world.advance(start_s + seconds)
        rng = world.chance.stream("camera.noise", self._exposed)
        self._exposed += 1
        return world.renderer.frame(world.glimpses(start_s, start_s + seconds), seconds, rng)

    def sent(self, frame: int, sha256: str, chunk_sha256: str, series: int, image: int) -> None:
        self._world.truth_line(
            {"frame": frame, "sha256": sha256, "chunk_sha256": chunk_sha256, "series": series, "image": image}
        )


class Flux:
    """See `rocksalt.twin.doors.FluxDoor`."""

    def __init__(self, world: World, diode: Diode) -> None:
        self._world, self._diode = world, diode

    def current_a(self, start_s: float, seconds: float) -> float:
        if not 0.0 < seconds < float("inf"):
            raise ValueError(f"a gate of {seconds} s: a positive, finite time is needed")
        self._world.advance(start_s + seconds)
        return self._diode.current_a(start_s, seconds)
