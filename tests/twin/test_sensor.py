"""The sensor by itself: where it has no pixels, which of them misbehave, and how photons become counts."""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocksalt.time import Chance
from rocksalt.twin import departures
from rocksalt.twin.picture.counting import DeadTime
from rocksalt.twin.picture.sensor import DEAD, GAP, MASKED, NOISY, Sensor
from rocksalt.twin.tiers import tier

DATA = Path(os.environ.get("ROCKSALT_DATA", Path(__file__).parents[2] / "../shared/data"))
REAL = DATA / "measured/dac/CeO2_Pilatus1M.tif"
EIGER, PILATUS = (514, 1030), (1043, 981)
PLAIN = replace(
    departures.draw(tier("realistic"), Chance(0)).sensor,
    gain_pixel=0.0, gain_chip=0.0, dead_pixels=0, hot_masked=0, hot_unmasked=0, noisy_unmasked=0, dead_time_ns=100.0,
    background_per_hour=0.0, zingers_per_min=0.0,
)  # fmt: skip


def sensor(shape=EIGER, seed=0, **hidden):
    return Sensor(shape, replace(PLAIN, **hidden), Chance(seed))


def rng(seed=0):
    return Chance(seed).stream("test")


@pytest.mark.parametrize(
    ("shape", "gaps"),
    [
        (EIGER, 514 * 4),
        ((512, 1028), 512 * 4),
        ((1065, 1030), 37 * 1030 + 1028 * 4),
        ((1062, 1028), 38 * 1028 + 1024 * 4),
        (PILATUS, 1043 * 981 - 10 * 195 * 487),
        ((1024, 1024), 0),
    ],
)
def test_gaps_are_the_detectors_own(shape, gaps):
    flags = sensor(shape).flags
    assert int((flags & GAP != 0).sum()) == gaps
    if gaps:
        # The halves of a detector are mirror images of each other.
        assert np.array_equal(flags & GAP, (flags & GAP)[::-1, ::-1])


def test_gaps_between_pilatus_modules_are_17_rows_and_7_columns():
    gap = sensor(PILATUS).flags & GAP != 0
    rows, columns = np.flatnonzero(gap.all(axis=1)), np.flatnonzero(gap.all(axis=0))
    assert columns.tolist() == list(range(487, 494))
    assert rows.tolist() == [row for first in (195, 407, 619, 831) for row in range(first, first + 17)]


@settings(deadline=None, max_examples=25)
@given(shape=st.tuples(st.integers(1, 300), st.integers(1, 300)), seed=st.integers(0, 100))
def test_a_detector_of_any_shape_counts(shape, seed):
    hidden = departures.draw(tier("hostile"), Chance(seed)).sensor
    some = Sensor(shape, hidden, Chance(seed))
    image = some.counts(np.full(shape[0] * shape[1], 50.0), 1.0, rng(seed))
    assert image.shape == shape
    assert image.dtype == np.uint32
    assert np.array_equal(image == MASKED, some.mask)


def test_as_many_pixels_are_dead_and_known_to_be_hot_as_the_departures_say():
    for shape, times in ((EIGER, 1.0), (PILATUS, 1043 * 981 / 514 / 1030)):
        flags = sensor(shape, dead_pixels=300, hot_masked=80).flags
        dead, noisy = int((flags & DEAD != 0).sum()), int((flags & NOISY != 0).sum())
        # Some fall on the same place; a speck of six on each 500K.
        assert times * 306 - 6 <= dead <= times * 306 + 6
        assert times * 80 - 3 <= noisy <= times * 80 + 1


def test_hot_pixels_count_in_the_dark_and_steadily():
    one = sensor(hot_unmasked=30)
    hot = one.dark_per_s > 1.0
    assert 25 <= hot.sum() <= 30
    dark = one.dark_per_s.ravel()
    frames = np.array([one.counts(2.0 * dark, 2.0, rng(n))[hot] for n in range(40)], dtype=np.float64)
    rates = one.dark_per_s[hot]
    assert np.allclose(frames.mean(axis=0), 2.0 * rates, rtol=0.02, atol=5.0 * np.sqrt(2.0 * rates.max() / 40) * 0.2)
    assert (frames.var(axis=0, ddof=1) / frames.mean(axis=0)).mean() == pytest.approx(1.0, abs=0.2)
    assert one.counts(0.0 * dark, 2.0, rng())[~hot & ~one.mask].max() == 0


def test_noisy_pixels_come_and_go():
    one = sensor(noisy_unmasked=40)
    assert 35 <= one.flickering.size <= 40
    frames = np.array(
        [one.counts(np.zeros(EIGER).ravel(), 1.0, rng(n)).ravel()[one.flickering] for n in range(60)], dtype=np.float64
    )
    # A rate that is gamma-distributed with shape 1/2: the variance is mean + 2 mean^2.
    mean, variance = frames.mean(axis=0), frames.var(axis=0, ddof=1)
    assert np.median(mean / one.flicker_per_s) == pytest.approx(1.0, abs=0.15)
    assert np.median((variance - mean) / mean**2) == pytest.approx(2.0, abs=0.8)


def test_natural_radiation_is_what_the_departures_say():
    one = sensor(background_per_hour=0.09)
    image = one.counts(3600.0 * one.dark_per_s.ravel(), 3600.0, rng())
    good = image[~one.mask]
    assert good.mean() == pytest.approx(0.09, rel=0.03)
    assert good.max() <= 5


def test_gain_scatters_between_pixels_and_between_chips():
    one = sensor((512, 1024), gain_pixel=0.01, gain_chip=0.05)
    chips = np.where(one.mask, np.nan, one.gain).reshape(2, 256, 4, 256)
    inside, middles = np.nanstd(chips, axis=(1, 3)), np.nanmean(chips, axis=(1, 3))
    assert np.allclose(inside, 0.01, rtol=0.02)
    assert 0.02 < middles.std() < 0.09
    assert not sensor().gain[sensor().mask].any()
    assert (sensor().gain[~sensor().mask] == 1.0).all()


def test_zingers_come_at_their_rate_shutter_or_no_shutter():
    one = sensor(zingers_per_min=90.0, zinger_px=1.0)
    dark = np.zeros(EIGER).ravel()
    frames = [one.counts(dark, 1.0, rng(n))[~one.mask] for n in range(60)]
    struck = np.mean([image.any() for image in frames])
    # Poisson: no hit with probability exp(-1.5) = 0.22; a few fall into the gap.
    assert struck == pytest.approx(0.777, abs=0.16)
    many = [one.zingers(10.0, rng(n)) for n in range(200)]
    tracks = np.array([_tracks(hits.places, EIGER[1]) for hits in many])
    assert tracks.mean() == pytest.approx(15.0, rel=0.08)
    assert tracks.var() / tracks.mean() == pytest.approx(1.0, abs=0.3)


def _tracks(places, columns):
    """Number of clusters: pixels that touch belong together."""
    left, found = set(places.tolist()), 0
    while left:
        found, edge = found + 1, [left.pop()]
        while edge:
            at = edge.pop()
            for step in (1, columns - 1, columns, columns + 1):
                for near in (at + step, at - step):
                    if near in left:
                        left.remove(near)
                        edge.append(near)
    return found


def test_zingers_are_short_tracks_of_log_normal_counts():
    one = sensor(zingers_per_min=6000.0, zinger_counts=50.0, zinger_sigma_ln=1.3, zinger_px=1.5)
    hits = one.zingers(20.0, rng())
    logs = np.log(hits.counts)
    assert np.median(logs) == pytest.approx(np.log(50.0), abs=0.1)
    assert logs.std() == pytest.approx(1.3, abs=0.1)
    assert 1000 < hits.counts.max() <= 10_000
    # A track of length L crosses 1 + L (|cos| + |sin|) pixels, 1 + 6 / pi on average; it may step over corners.
    assert 2.0 < hits.places.size / 2000 < 3.0
    twice = replace(PLAIN, zingers_per_min=6000.0, zinger_px=1.5)
    assert Sensor((1028, 1030), twice, Chance(0)).zingers(20.0, rng()).places.size > 1.8 * hits.places.size


def test_the_zingers_of_a_frame_can_be_told_from_its_beginning():
    one = sensor(zingers_per_min=600.0)
    hits = one.zingers(1.0, rng(4))
    image = one.counts(np.zeros(EIGER).ravel(), 1.0, rng(4)).ravel()
    alive = ~one.mask.ravel()[hits.places]
    assert hits.places.size > 5
    assert np.array_equal(image[hits.places][alive], hits.counts[alive])
    rest = np.ones(image.size, dtype=bool)
    rest[hits.places] = False
    assert not image[rest & ~one.mask.ravel()].any()


def counted(photons_per_s, tau_s, seconds, retrigger, chance):
    """One pixel, photon by photon. The signal stands for tau after each. Without retrigger a count is where it rises;
    with it a pixel is deaf for tau after each count, and counts at the end of that if the signal stands then."""
    times = np.sort(chance.uniform(0.0, seconds, chance.poisson(photons_per_s * seconds))).tolist()
    if not retrigger:
        return 1 + sum(late - early > tau_s for early, late in pairwise(times))
    counts, at = 0, times[0]
    while at < seconds:
        counts, ready = counts + 1, at + tau_s
        after = bisect_right(times, ready)
        if times[after - 1] > at:
            at = ready
        elif after < len(times):
            at = times[after]
        else:
            break
    return counts


@pytest.mark.parametrize("retrigger", [False, True])
@pytest.mark.parametrize("x", [0.05, 0.4, 1.0, 2.0])
def test_counts_are_lost_as_they_are_when_photons_are_followed_one_by_one(retrigger, x):
    law, seconds = DeadTime(1e-7, retrigger), 5e-4
    seen = np.array([counted(x / 1e-7, 1e-7, seconds, retrigger, rng(n)) for n in range(120)], dtype=np.float64)
    rate = np.array(x / 1e-7)
    mean = float(law.counted_per_s(rate)) * seconds
    assert seen.mean() == pytest.approx(mean, abs=4.0 * np.sqrt(seen.var() / seen.size) + 1.0)
    # 120 numbers give a variance to 13 %.
    assert seen.var() / seen.mean() == pytest.approx(1.0 - float(law.regularity(rate)), rel=0.45, abs=0.01)


def test_without_retrigger_the_paralysable_formula_holds():
    law = DeadTime(120e-9, False)
    rates = np.geomspace(1e3, 1e8, 50)
    assert np.allclose(law.counted_per_s(rates), rates * np.exp(-rates * 120e-9), rtol=1e-12)
    assert law.counted_per_s(np.linspace(1e6, 1e8, 9901)).max() == pytest.approx(1.0 / 120e-9 / np.e, rel=1e-6)


@pytest.mark.parametrize("retrigger", [False, True])
def test_corrected_counts_have_the_right_mean_and_a_little_more_scatter(retrigger):
    law = DeadTime(1e-7, retrigger)
    for rate in (3e4, 1e6, 3e6):
        x = rate * 1e-7
        counts = law.draw(np.full(40_000, 0.1 * rate), 0.1, rng())
        assert counts.mean() == pytest.approx(0.1 * rate, rel=5e-4)
        excess = counts.var() / counts.mean()
        bound = np.exp(x) * (1.0 - 2.0 * x * np.exp(-x)) / (1.0 - x) ** 2 if not retrigger else 1.0 + 0.5 * x * x
        assert excess == pytest.approx(bound, abs=0.035)
        assert np.array_equal(counts, np.rint(counts))


@pytest.mark.parametrize(("shape", "retrigger"), [(EIGER, True), (PILATUS, False)])
def test_nothing_jumps_where_the_dead_time_begins_to_count(shape, retrigger):
    one = sensor(shape)
    assert one.layout.retrigger == retrigger
    edge = one.dead_time.harmless_per_s * 0.01
    good = ~one.mask
    for mean in (0.98 * edge, 1.02 * edge):
        image = one.counts(np.full(good.size, mean), 0.01, rng())[good].astype(np.float64)
        assert image.mean() == pytest.approx(mean, rel=4.0 / np.sqrt(mean * image.size) + 1e-6)
        assert image.var() / image.mean() == pytest.approx(1.0, abs=0.009)


def test_beyond_the_cutoff_a_retriggering_pixel_stays_saturated_and_a_paralysed_one_falls_back():
    for shape, paralysed in ((EIGER, False), (PILATUS, True)):
        one = sensor(shape)
        mean = np.zeros(shape)
        rates = np.array([1e6, 3.5e6, 5e6, 5e7, 3e8])
        mean[10, 10:15] = 0.5 * rates
        image = one.counts(mean.ravel(), 0.5, rng())
        limit = one.cutoff_counts(0.5)
        found = image[10, 10:15]
        assert np.allclose(found[:2], 0.5 * rates[:2], rtol=0.01)
        assert found[2] == limit
        assert (found[3:] < limit).all() == paralysed
        assert (found[3:] == limit).all() != paralysed
        assert image[~one.mask].max() == limit


@pytest.mark.parametrize("seconds", [1e-6, 1e-4, 0.01, 3600.0])
def test_no_count_passes_the_cutoff_however_short_or_long(seconds):
    one = sensor((40, 40), zingers_per_min=1e6 / seconds, hot_unmasked=30_000)
    image = one.counts(np.geomspace(1.0, 1e9, 1600) * seconds, seconds, rng())
    assert image.max() == one.cutoff_counts(seconds)
    assert one.cutoff_counts(seconds) == min(int(4e6 * seconds), 2**32 - 2)


@pytest.mark.skipif(not REAL.is_file(), reason="the folder of real measurements is absent (ROCKSALT_DATA)")
def test_a_real_pilatus_has_its_gaps_where_the_twin_has_them():
    import fabio

    assert np.array_equal(fabio.open(REAL).data == -1, sensor(PILATUS).flags & GAP != 0)
