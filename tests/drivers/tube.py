"""A tube behind a generator's door: the twin's own, with warning and ramps, shining on nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from rocksalt.time import Chance
from rocksalt.twin.chamber.generator import Generator, Rating


@dataclass
class Tube:
    """160 kV, 30 mA, 3 kW. `shift_kv` is what its reading is off by; `on_kv`, `on_ma`: it is on from the start."""

    rating: Rating = field(default_factory=Rating)
    on_kv: float | None = None
    on_ma: float = 10.0
    shift_kv: float = 0.0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """As it was at the beginning."""
        self.generator = Generator(self.rating, Chance(1).stream("tube"), 0.0, 0.0)
        self.shift_kv = 0.0
        if self.on_kv is not None:
            self.generator.set(-1000.0, kv=self.on_kv, ma=self.on_ma)
            assert self.generator.switch(-1000.0, True)

    @property
    def ratings(self) -> tuple[float, float, float]:
        return self.rating.max_kv, self.rating.max_ma, self.rating.max_kw

    def set_kv(self, at_s: float, kv: float) -> None:
        self.generator.set(at_s, kv=kv)

    def set_ma(self, at_s: float, ma: float) -> None:
        self.generator.set(at_s, ma=ma)

    def setpoints(self, at_s: float) -> tuple[float, float]:
        return self.generator.kv_setpoint, self.generator.ma_setpoint

    def high_voltage(self, at_s: float, on: bool) -> bool:
        return self.generator.switch(at_s, on)

    def is_on(self, at_s: float) -> bool:
        self.generator.go_to(at_s)
        return self.generator.on

    def imminent(self, at_s: float) -> bool:
        return self.generator.imminent(at_s)

    def kv(self, at_s: float) -> float:
        self.generator.go_to(at_s)
        return self.generator.at(at_s)[0] + self.shift_kv

    def ma(self, at_s: float) -> float:
        self.generator.go_to(at_s)
        return self.generator.at(at_s)[1]

    def interlock_closed(self, at_s: float) -> bool:
        return self.generator.interlock_closed and self.generator.permitted

    def set_interlock(self, at_s: float, closed: bool) -> None:
        self.generator.interlock(at_s, closed)

    def permit(self, at_s: float, on: bool) -> None:
        self.generator.permit(at_s, on)

    def fault(self, at_s: float) -> str:
        return self.generator.fault

    def trip(self, fault: str) -> None:
        """A fault that latches, as an arc would."""
        self.generator.fault = fault

    def clear_faults(self, at_s: float) -> None:
        self.generator.clear(at_s)
