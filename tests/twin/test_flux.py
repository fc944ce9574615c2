"""The flux monitor: light by spells, ripple by its integral, noise that belongs to the gate and not to who asks."""

from __future__ import annotations

from math import exp, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from rocksalt.time import Chance
from rocksalt.twin.departures import BeamDepartures, MonitorDepartures
from rocksalt.twin.surroundings.flux import Diode, absorbed_share, coulomb_per_photon, rippled_s

DARK_A = 2e-12
times = st.floats(0.0, 1e5)
Spell = tuple[float, float]


def diode(
    flux: float = 2e9, *, lit: tuple[Spell, ...] = ((0.0, 1e6),), ripple: float = 0.0, seed: int = 1, **hidden: float
) -> Diode:
    monitor = MonitorDepartures(**{"responsivity_relative": 0.0, "dark_a": DARK_A, "shunt_ohm": 1e9, **hidden})
    beam = BeamDepartures(1.0, 0.0, ripple, 70.0)

    def lit_s(low: float, high: float) -> list[Spell]:
        spells = [(max(on, low), min(off, high)) for on, off in lit]
        return [(on, off) for on, off in spells if off > on]

    return Diode(monitor, beam, 0.3, flux, 30.0, lit_s, Chance(seed), 298.0)


def test_silicon_absorbs_what_its_table_says() -> None:
    # Hubbell and Seltzer: 1.164 cm2/g of energy absorption in Si at 30 keV (from memory); 0.03 cm of 2.329 g/cm3.
    assert absorbed_share(30.0) == pytest.approx(1.0 - exp(-1.164 * 0.03 * 2.329), rel=0.03)
    assert 0.98 < absorbed_share(8.0) < 1.0


def test_a_photon_at_the_sample_is_worth_its_pairs() -> None:
    share = absorbed_share(30.0)
    assert coulomb_per_photon(30.0) == pytest.approx(30_000 / 3.66 * 1.602177e-19 * share / (1.0 - share), rel=1e-6)
    assert diode().mean_a(0.0, 1.0) - DARK_A == pytest.approx(2e9 * coulomb_per_photon(30.0))
    assert 1e-7 < diode().mean_a(0.0, 1.0) < 1e-6


@given(low=times, length=st.floats(1e-3, 500.0), amplitude=st.floats(0.0, 0.2), period=st.floats(5.0, 5000.0))
@settings(max_examples=60, deadline=None)
def test_the_ripples_integral_is_exact(low: float, length: float, amplitude: float, period: float) -> None:
    beam = BeamDepartures(1.0, 0.0, amplitude, period)
    numeric, _ = quad(lambda t: 1.0 + amplitude * np.sin(2.0 * pi * t / period + 0.3), low, low + length, limit=400)
    assert rippled_s(low, low + length, beam, 0.3) == pytest.approx(numeric, rel=1e-6)


@given(start=st.floats(0.0, 500.0), cut=st.floats(0.01, 0.99), length=st.floats(0.1, 600.0))
@settings(max_examples=60, deadline=None)
def test_two_gates_end_to_end_hold_the_charge_of_the_one_over_both(start: float, cut: float, length: float) -> None:
    box = diode(lit=((3.0, 40.0), (55.0, 55.5), (300.0, 900.0)), ripple=0.05)
    first, second = cut * length, (1.0 - cut) * length
    parts = first * box.mean_a(start, first) + second * box.mean_a(start + first, second)
    assert length * box.mean_a(start, length) == pytest.approx(parts, rel=1e-9)


def test_only_light_within_the_gate_counts() -> None:
    box = diode(lit=((10.0, 20.0),))
    full = box.mean_a(12.0, 1.0) - DARK_A
    assert box.mean_a(0.0, 10.0) == DARK_A
    assert box.mean_a(19.5, 1.0) - DARK_A == pytest.approx(0.5 * full)
    assert box.mean_a(0.0, 40.0) - DARK_A == pytest.approx(0.25 * full)


def test_the_noise_is_poissons_with_light_and_the_resistors_without() -> None:
    bright = np.array([diode(1e6).current_a(0.5 * gate, 0.5) for gate in range(1500)])
    photons = 1e6 * absorbed_share(30.0) / (1.0 - absorbed_share(30.0)) * 0.5
    assert bright.std() / (bright.mean() - DARK_A) == pytest.approx(1.0 / sqrt(photons), rel=0.08)
    dark = np.array([diode(0.0, shunt_ohm=1e8).current_a(0.5 * gate, 0.5) for gate in range(1500)])
    johnson_a = sqrt(2.0 * 1.380649e-23 * 298.0 / (1e8 * 0.5))
    shot_a = sqrt(1.602177e-19 * DARK_A / 0.5)
    assert dark.std() == pytest.approx(sqrt(johnson_a**2 + shot_a**2), rel=0.08)
    assert dark.mean() == pytest.approx(DARK_A, abs=4.0 * dark.std() / sqrt(1500))
    assert np.abs(np.corrcoef(bright[:-1], bright[1:])[0, 1]) < 0.1


def test_a_gate_has_its_own_noise_whoever_asks_and_another_length_has_another() -> None:
    assert diode().current_a(3.0, 0.1) == diode().current_a(3.0, 0.1) != diode(seed=2).current_a(3.0, 0.1)
    deviation = [diode().current_a(3.0, seconds) - diode().mean_a(3.0, seconds) for seconds in (0.1, 0.2)]
    assert deviation[0] != pytest.approx(sqrt(2.0) * deviation[1], rel=0.01)


def test_a_very_bright_beam_is_no_trouble_to_the_counter() -> None:
    assert diode(1e20).current_a(0.0, 10.0) == pytest.approx(diode(1e20).mean_a(0.0, 10.0), rel=1e-6)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_gate_without_a_length_is_refused(make, seconds: float) -> None:
    with pytest.raises(ValueError, match="gate of"):
        make(1).flux.current_a(0.0, seconds)
    with pytest.raises(ValueError, match="gate of"):
        diode().current_a(0.0, seconds)


# --- in the world


def test_the_monitor_sees_the_shutter_and_the_true_flux(make) -> None:
    world = make(1)
    dark = world.flux.current_a(0.0, 1.0)
    world.enclosure.request_shutter(10.0, True)
    bright = world.flux.current_a(11.0, 10.0)
    true_flux = 2e9 * world.hidden.beam.flux_relative * (1.0 + world.hidden.monitor.responsivity_relative)
    wanted_a = true_flux * coulomb_per_photon(12.398419843 / world.lattices[0].wavelength_angstrom)
    assert bright == pytest.approx(wanted_a, rel=1.1 * world.hidden.beam.ripple + 1e-3)
    assert abs(dark) < 1e-3 * bright
    # The blade clears the beam at half its travel of 0.1 s.
    assert world.flux.current_a(10.0, 0.1) == pytest.approx(0.5 * bright, rel=0.02 + world.hidden.beam.ripple)


def test_the_answer_is_the_same_whoever_asked_before_and_whenever_it_is_asked(make) -> None:
    asked, quiet = make(3, tier="hostile"), make(3, tier="hostile")
    for world in (asked, quiet):
        world.enclosure.request_shutter(5.0, True)
        world.enclosure.request_shutter(8.0, False)
        world.enclosure.request_shutter(20.0, True)
        for at_s in np.arange(20.0, 60.0, 0.7):
            if world is asked:
                world.flux.current_a(float(at_s), 0.3)
                world.camera.cutoff_counts(1.0)
    gates = [(0.0, 1.0), (4.0, 6.0), (19.0, 30.0), (45.3, 0.06)]
    assert [asked.flux.current_a(*gate) for gate in gates] == [quiet.flux.current_a(*gate) for gate in reversed(gates)][
        ::-1
    ]


def test_an_open_door_is_dark(make) -> None:
    world = make(2)
    world.enclosure.request_shutter(0.0, True)
    world.enclosure.set_door(5.0, False)
    assert abs(world.flux.current_a(6.0, 1.0)) < 1e-3 * world.flux.current_a(1.0, 1.0)


def test_tiers_tell_monitors_apart_and_the_truth_file_has_them(make) -> None:
    assert len({make(seed).hidden.monitor.responsivity_relative for seed in range(5)}) == 5
    assert make(1, tier="hostile").hidden.monitor.dark_a > 10.0 * make(1).hidden.monitor.dark_a
    assert set(make(1).hidden.as_json()["monitor"]) == {"responsivity_relative", "dark_a", "shunt_ohm"}
