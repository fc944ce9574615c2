"""What each channel sees of F centres, against the figures of the notes and against its own noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rocksalt.crystals import channels
from rocksalt.crystals.channels import Channel, Window, windows
from rocksalt.crystals.colour_centres import ColourCentreError, concentration_per_cm3, swelling
from rocksalt.crystals.tables import SALTS
from rocksalt.values import Measured


def window(salt: str, name: str, thickness_mm: float = 1.0, station: Channel | None = None) -> Window:
    (found,) = [w for w in windows(salt, thickness_mm, station) if w.channel.startswith(name)]
    return found


@pytest.mark.parametrize("salt", SALTS)
def test_every_salt_has_windows_that_say_why_they_end(salt: str) -> None:
    for found in windows(salt):
        assert found.below
        assert found.above
        if found.low_per_cm3 is None or found.high_per_cm3 is None:
            assert found.low_per_cm3 is found.high_per_cm3
        else:
            assert 0.0 < found.low_per_cm3 < found.high_per_cm3
    assert ("luminescence" in {w.channel.split(":")[0] for w in windows(salt)}) == (salt == "LiF")


def test_diffraction_sees_three_sigma_of_cell_and_heat_as_swelling() -> None:
    least = window("KBr", "diffraction: cell").low_per_cm3
    assert least is not None
    seen = float(swelling("KBr", np.asarray(least)))
    assert seen == pytest.approx(3.0 * np.hypot(1.5e-5, 38.4e-6 * 0.1), rel=0.02)
    blurred = window("KBr", "diffraction: cell", station=replace(Channel(), temperature_sigma_k=1.0)).low_per_cm3
    assert blurred is not None
    assert blurred > 2.5 * least


def test_absorption_ends_where_the_plate_is_black_and_a_thinner_one_begins_and_ends_later() -> None:
    thick, thin = window("NaCl", "absorption"), window("NaCl", "absorption", 0.02)
    assert thick.low_per_cm3 is not None
    assert thick.high_per_cm3 is not None
    assert thin.low_per_cm3 == pytest.approx(50.0 * thick.low_per_cm3)
    assert thick.high_per_cm3 == pytest.approx(concentration_per_cm3("NaCl", Measured(2.5, 0.0), 1.0).value)


def test_a_camera_is_blind_to_lithium_fluoride_and_not_to_potassium_bromide() -> None:
    assert window("LiF", "micrograph").low_per_cm3 is None
    assert "5.08 eV lies outside" in window("LiF", "micrograph").below
    assert window("KBr", "micrograph").low_per_cm3 is not None


def test_anion_sites_are_the_notes_sites() -> None:
    for salt, sites in {"LiF": 6.1e22, "NaCl": 2.2e22, "KCl": 1.6e22, "KBr": 1.4e22, "CsI": 1.05e22}.items():
        assert channels.anion_sites_per_cm3(salt) == pytest.approx(sites, rel=0.02)


def test_an_impossible_station_is_refused() -> None:
    with pytest.raises(ColourCentreError, match="cell_share is -1: it must lie in 0 to 1"):
        Channel(cell_share=-1.0)
    with pytest.raises(ColourCentreError, match=r"thickness \(mm\) is 0"):
        windows("KBr", 0.0)
