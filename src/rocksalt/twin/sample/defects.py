"""Colour centres in depth: state per layer, taken forward under any beams, light and temperature.

It goes from node to node of a grid of time that only the history of commands decides, exactly where the conditions are
constant; a question between two nodes is answered by a trial step that is thrown away. So nothing depends on who asked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, inf, log
from typing import Final

import numpy as np

from rocksalt.crystals import colour_centres, dose_profile
from rocksalt.crystals.tables import PHASES, ions
from rocksalt.twin.departures import DefectDepartures
from rocksalt.twin.sample.beams import LIGHT_EV, Beam, Light
from rocksalt.twin.sample.defect_law import COLLOID_HALF_PER_CM3, F_CROWD, TO_M_HEAT, TO_M_LIGHT, Law
from rocksalt.values import FloatArray

LAYERS: Final = 32
CELL_S: Final = 32.0
LIT_S: Final = 8.0
STRONG_S: Final = 2.0
FINE_S: Final = 0.5
_STRONG_GY_PER_S: Final = 2e3  # above it, as in a focused beam, eight seconds would be too much dose at once
_SAME_K: Final = 0.1
_REMEMBER_S: Final = 1800.0
_DOSE, _FILLED, _STABLE, _LOOSE, _M, _R, _COLLOID = range(7)
# Atoms of the metals, 1/cm^3 at room temperature, from their handbook densities.
_METAL_PER_CM3: Final = {"Li": 4.63e22, "Na": 2.54e22, "K": 1.33e22, "Rb": 1.08e22, "Cs": 8.5e21}


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What there is in each layer: Gy, and centres per cubic centimetre. All (layers,).

    filled, stable, loose   F centres in vacancies that were there, of parted pairs, of pairs that still may fade
    m, r                    F2 centres; in LiF r are F3+, elsewhere R
    colloid                 metal atoms in colloids
    """

    values: FloatArray
    salt: str

    @property
    def dose_gy(self) -> FloatArray:
        return np.asarray(self.values[_DOSE])

    @property
    def filled(self) -> FloatArray:
        return np.asarray(self.values[_FILLED])

    @property
    def stable(self) -> FloatArray:
        return np.asarray(self.values[_STABLE])

    @property
    def loose(self) -> FloatArray:
        return np.asarray(self.values[_LOOSE])

    @property
    def f(self) -> FloatArray:
        """All F centres."""
        return np.asarray(self.values[_FILLED : _LOOSE + 1].sum(axis=0))

    @property
    def m(self) -> FloatArray:
        return np.asarray(self.values[_M])

    @property
    def r(self) -> FloatArray:
        return np.asarray(self.values[_R])

    @property
    def n(self) -> FloatArray:
        """N centres: a little of F times R."""
        return 1e-20 * self.f * self.r

    @property
    def colloid(self) -> FloatArray:
        return np.asarray(self.values[_COLLOID])


class Defects:
    """The crystal's colour. `advance` before questions, `settle` before anything that bears on it changes.

    salt, thickness_m   the crystal; its layers are thinner towards the lit surface (n + 1 edges: `edges_m`)
    beams, lights       whatever shines on it; they remember their own past
    kelvin              its temperature at a time not before the last `settle`
    """

    def __init__(
        self,
        salt: str,
        thickness_m: float,
        hidden: DefectDepartures,
        kelvin: Callable[[float], float],
        beams: Sequence[Beam] = (),
        lights: Sequence[Light] = (),
        layers: int = LAYERS,
    ) -> None:
        self.salt = salt
        self.edges_m = layer_edges_m(thickness_m, layers)
        self.centres_m = 0.5 * (self.edges_m[1:] + self.edges_m[:-1])
        self.widths_m = np.diff(self.edges_m)
        self.beams, self.lights = list(beams), list(lights)
        self._hidden, self._kelvin = hidden, kelvin
        self._law = Law(salt, hidden)
        self._times = [0.0]
        self._states: list[FloatArray] = [np.zeros((7, layers))]
        self._trial: tuple[float, FloatArray] = (-inf, self._states[0])
        self._band: tuple[float, FloatArray] | None = None

    # --- time -------------------------------------------------------------------------------------------------------

    def advance(self, at_s: float) -> None:
        """Take note of all cells of the grid that are over at at_s."""
        while (cell_end := (floor(self._times[-1] / CELL_S) + 1) * CELL_S) <= at_s:
            self._note(cell_end)

    def settle(self, at_s: float) -> None:
        """Take note of this very moment, for a command is about to change beam, light or temperature."""
        self.advance(at_s)
        if at_s > self._times[-1]:
            self._note(at_s)

    def state(self, at_s: float) -> State:
        """State at a time: of the present exactly, of the past (half an hour) straight between two nodes."""
        if at_s < self._times[-1]:
            place = max(bisect_right(self._times, at_s), 1)
            (t0, t1), (one, other) = self._times[place - 1 : place + 1], self._states[place - 1 : place + 1]
            part = min(max((at_s - t0) / (t1 - t0), 0.0), 1.0)
            return State(one + part * (other - one), self.salt)
        self.advance(at_s)
        if self._trial[0] != at_s:
            self._trial = at_s, self._taken(at_s)[-1][1]
        return State(self._trial[1], self.salt)

    def _note(self, at_s: float) -> None:
        for time_s, values in self._taken(at_s):
            self._times.append(time_s)
            self._states.append(values)
        if self._times[len(self._times) // 2] < at_s - _REMEMBER_S:
            half = len(self._times) // 2
            del self._times[:half], self._states[:half]

    def _taken(self, at_s: float) -> list[tuple[float, FloatArray]]:
        """The way of the last node's state to at_s, step by step: (time, values)."""
        values, start_s = self._states[-1], self._times[-1]
        knots = {t for beam in self.beams for t in beam.knots(start_s, at_s)}
        knots.update(t for light in self.lights for t in light.knots(start_s, at_s))
        marks = [start_s, *sorted(knots), at_s]
        way = [(start_s, values)] if at_s <= start_s else []
        for start, end in pairwise(marks):
            for following in self._cuts(start, end):
                values = self._step(values, start, following)
                way.append((following, values))
                start = following
        return way

    def _cuts(self, start_s: float, end_s: float) -> list[float]:
        """Ends of the steps from knot to knot, at multiples of the step: half a second while the dose rate moves, eight
        while it is lit, two in a focused beam; halved until the temperature moves little in each."""
        if end_s <= start_s:
            return []
        middle_k = self._kelvin(0.5 * (start_s + end_s))
        moves_k = max(abs(self._kelvin(start_s) - middle_k), abs(self._kelvin(end_s) - middle_k))
        k_per_s = moves_k / max(0.5 * (end_s - start_s), 1e-9)
        if any(beam.moving(start_s, end_s) for beam in self.beams):
            step = FINE_S
        else:
            doses = [dose for beam in self.beams if (dose := beam.dose_gy(start_s, end_s)) is not None]
            if any(float(dose.max()) > _STRONG_GY_PER_S * (end_s - start_s) for dose in doses):
                step = STRONG_S
            elif doses or any(light.photons(start_s, end_s) is not None for light in self.lights):
                step = LIT_S
            else:
                step = CELL_S
        while step > FINE_S and k_per_s * step > _SAME_K:
            step *= 0.5
        first = floor(start_s / step + 1e-9) + 1
        inner = [number * step for number in range(first, ceil(end_s / step)) if number * step < end_s - 1e-9]
        return [*inner, end_s]

    # --- physics ----------------------------------------------------------------------------------------------------

    def _step(self, values: FloatArray, start_s: float, end_s: float) -> FloatArray:
        """Constant conditions: every population relaxes exactly, x' = gain - loss x."""
        law, seconds = self._law, end_s - start_s
        kelvin = self._kelvin(0.5 * (start_s + end_s))
        rates = law.rates(kelvin)
        doses = [dose for beam in self.beams if (dose := beam.dose_gy(start_s, end_s)) is not None]
        bleaching = self._bleaching(values, start_s, end_s, kelvin, rates.bleach)
        if not doses and bleaching is None and not values[_FILLED : _COLLOID + 1].any():
            return values
        dose = sum(doses[1:], doses[0]) if doses else np.zeros(values.shape[1])
        rate = dose / seconds
        total = values[_DOSE] + dose
        saturation = rates.saturation * np.sqrt(1.0 + (total - 0.5 * dose) / law.late_gy)
        made = rates.made_per_gy * rate
        gain, loss = np.zeros((2, 3, values.shape[1]))
        gain[0] = rates.filling_per_gy * rate * law.vacancies_per_cm3
        loose = self._hidden.loose_share
        gain[1], gain[2] = (1.0 - loose) * made, loose * made
        fades = np.array([[0.0], [0.0], [rates.fading]])
        freed = rates.annealing + (0.0 if bleaching is None else bleaching)
        grown = np.stack([gain[0] / law.vacancies_per_cm3, gain[1] / saturation, made / (0.5 * saturation)])
        loss = grown + fades + freed
        before = values[_FILLED : _LOOSE + 1]
        after = _relaxed(before, gain, loss, seconds)
        # What was lost, in all, is what came in and isn't there; over the whole rate it is the time that centres
        # lasted, and each way out has its rate's share of it.
        lasted = (np.maximum(before + gain * seconds - after, 0.0) / np.maximum(loss, 1e-300)).sum(axis=0)
        by_heat = lasted * rates.annealing
        by_light = 0.0 if bleaching is None else lasted * bleaching
        result = np.empty_like(values)
        result[_DOSE] = total
        result[_FILLED : _LOOSE + 1] = after
        f = 0.5 * (before.sum(axis=0) + after.sum(axis=0))
        to_colloid = f / (f + COLLOID_HALF_PER_CM3)
        pairing = 0.5 * (TO_M_HEAT * (1.0 - to_colloid) * by_heat + TO_M_LIGHT * by_light) / seconds
        goal = self._m_goal(f, rate)
        aggregating = np.where(rate > 0.0, rates.aggregating, 0.0)
        m_loss = aggregating + rates.m_annealing
        result[_M] = _relaxed(values[_M], aggregating * goal + pairing, m_loss, seconds)
        m = 0.5 * (values[_M] + result[_M])
        result[_R] = _relaxed(values[_R], aggregating * f * (law.typical.r_direct + law.r_cm3 * m), m_loss, seconds)
        result[_COLLOID] = _relaxed(
            values[_COLLOID], to_colloid * by_heat / seconds, np.full_like(f, rates.colloid_annealing), seconds
        )
        return result

    def _m_goal(self, f: FloatArray, rate: FloatArray) -> FloatArray:
        """M in balance with F at this dose rate (Gy/s): some are made as such, more by neighbours as F grow dense."""
        slowness = np.maximum(rate, 1e-6) ** self._hidden.aggregate_exponent
        dense = self._law.m_cm3 * slowness * f
        return np.asarray(f * (self._law.typical.m_direct + dense / (1.0 + F_CROWD * dense)))

    def _bleaching(
        self, values: FloatArray, start_s: float, end_s: float, kelvin: float, share: float
    ) -> FloatArray | None:
        """Rate (1/s) at which light takes electrons from the F centres of each layer; the layers before it shade it."""
        shining = [light for source in self.lights if (light := source.photons(start_s, end_s)) is not None]
        if not shining:
            return None
        photons = sum(shining[1:], shining[0])
        if self._band is None or self._band[0] != kelvin:
            unit = 1e16
            density = colour_centres.optical_density(self.salt, np.asarray(unit), 10.0, LIGHT_EV, max(kelvin, 1.0))
            self._band = kelvin, density * log(10.0) / unit
        cross_cm2 = self._band[1]
        absorbed = float(np.trapezoid(cross_cm2 * photons, LIGHT_EV))
        f = values[_FILLED : _LOOSE + 1].sum(axis=0)
        depth = np.cumsum(f * self.widths_m) * 100.0 - 0.5 * f * self.widths_m * 100.0
        # One mean cross-section for the shade: that of the light that matters, weighted by its own absorption.
        mean = float(np.trapezoid(cross_cm2**2 * photons, LIGHT_EV)) / max(absorbed, 1e-300)
        return np.asarray(share * absorbed * np.exp(-np.minimum(mean * depth, 700.0)))

    # --- what others see --------------------------------------------------------------------------------------------

    def seen(self, quantity: FloatArray, weight: FloatArray | None = None) -> float:
        """Mean of a quantity (layers,) over the volume, or as a channel with this weight at `centres_m` sees it."""
        part = self.widths_m if weight is None else self.widths_m * weight
        return float((quantity * part).sum() / part.sum())

    def diffraction_weight(self, energy_kev: float, *, theta_deg: float, through: bool = True) -> FloatArray:
        """Weight of each layer in a diffracted line: through the plate, or back from the lit surface."""
        thickness = float(self.edges_m[-1]) if through else None
        return dose_profile.diffraction_weight(
            self.salt, energy_kev, self.centres_m, theta_deg=theta_deg, thickness_m=thickness
        )

    def swelling(self, state: State) -> FloatArray:
        """Relative growth of the cell's edge in each layer. Centres in vacancies that were there swell nothing (Lin
        1956 saw a delay); loose pairs swell more than parted ones."""
        pairs = self._hidden.pair_swells * state.stable + self._hidden.loose_swells * state.loose
        return colour_centres.swelling(self.salt, pairs + 2.0 * state.m)

    def microstrain(self, state: State) -> FloatArray:
        """Of loops and clusters, in each layer."""
        return colour_centres.microstrain(state.dose_gy) * self._hidden.loop_strain

    def columns_per_cm2(self, state: State) -> FloatArray:
        """Centres in the way of light through the plate: F, M, R (F3+ in LiF), N, colloidal atoms; (5,)."""
        rows = np.stack([state.f, state.m, state.r, state.n, state.colloid])
        return np.asarray(rows @ self.widths_m * 100.0)

    def features_per_um3(
        self, state: State, colloid_radius_um: float, loop_radius_um: float
    ) -> tuple[FloatArray, FloatArray]:
        """What a microscope could count in each layer, 1/um^3: colloids and decorated loops of these radii.

        Colloids hold the metal that has gathered; loops the interstitials that the stable centres left, whose part in
        large loops grows with the dose as the late stage sets in. Orders of magnitude, unconfirmed.
        """
        per_um3 = 1e-12
        sphere = 4.0 / 3.0 * np.pi * colloid_radius_um**3 * per_um3 * _METAL_PER_CM3[ions(self.salt)[0]]
        row = next(row for row in PHASES.values() if row.salt == self.salt)
        plate = np.pi * (1e4 * loop_radius_um) ** 2 / (row.v0_a3 / row.z) ** (2.0 / 3.0)
        gathered = state.dose_gy / (state.dose_gy + self._law.late_gy)
        return state.colloid * per_um3 / sphere, state.stable * gathered * per_um3 / plate


def layer_edges_m(thickness_m: float, layers: int = LAYERS) -> FloatArray:
    """Boundaries (layers + 1,) from the lit surface, closer together there. Raises ValueError for no thickness."""
    if not 0.0 < thickness_m < np.inf:
        raise ValueError(f"the crystal is {thickness_m:g} m thick; that must be positive")
    return np.asarray(thickness_m * np.linspace(0.0, 1.0, layers + 1) ** 2)


def _relaxed(x: FloatArray, gain: FloatArray, loss: FloatArray, seconds: float) -> FloatArray:
    """x' = gain - loss x over `seconds`, exactly; loss may be 0."""
    lost = np.expm1(-loss * seconds)
    lasting = np.where(loss * seconds > 1e-12, lost / np.minimum(-loss, -1e-300), seconds)
    return np.asarray(x + x * lost + gain * lasting)
