"""All on the image that isn't the sample: anvils, gasket, air, beam stop, put together.

Everything is in photons a second at the station's flux. It is worked out once: nothing of it moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rocksalt.time import Chance
from rocksalt.twin.departures import Departures
from rocksalt.twin.picture import anvils, background, gasket, matter, strength
from rocksalt.twin.picture.geometry import Geometry, Rays
from rocksalt.twin.picture.stop import past_the_stop
from rocksalt.values import FloatArray


@dataclass(frozen=True, slots=True)
class Scene:
    """rate_per_s: counts a second of everything but the sample. `seen` multiplies the sample's rings, which come as
    photons into a pixel that the sample looks at squarely: polarisation, solid angle, salt, anvil and seat that absorb,
    Kossel lines, beam stop, the sensor's efficiency. Both (rows, columns)."""

    rate_per_s: FloatArray
    seen: FloatArray


def build(
    geometry: Geometry, nominal: Geometry, rays: Rays, hidden: Departures, polarisation: float, chance: Chance, *,
    flux_ph_per_s: float, thickness_um: float, salt: str,
) -> Scene:  # fmt: skip
    """The scene of this twin: `geometry` is the real one; the beam stop was aligned on the nominal one.

    flux_ph_per_s is the true flux at the sample, which fills `filling` of thickness_um of the beam's path. Raises
    UnknownPhase for a salt that isn't in the table.
    """
    energy_kev = matter.KEV_ANGSTROM / geometry.wavelength_angstrom
    salt_atoms, salt_m = strength.salt_atoms(salt), 1e-6 * thickness_um * hidden.scene.filling
    tiles = anvils.Tiles(rays)
    upstream, downstream = anvils.pair(hidden.anvils)
    pixel_rad = geometry.pixel_m / geometry.distance_m
    out = background.transmitted(downstream.thickness_m, background.DIAMOND, energy_kev, rays.two_theta_deg)

    per_sr = background.smooth(rays, hidden, energy_kev, geometry.distance_m, salt_atoms, salt_m)
    per_sr += anvils.clouds(downstream, tiles, energy_kev) * downstream.thickness_m * out
    visible = gasket.visible_m(rays, hidden, energy_kev, upstream.thickness_m)
    per_sr += anvils.clouds(upstream, tiles, energy_kev) * visible * out
    per_sr += gasket.rings(geometry, rays, hidden, energy_kev, chance) * out

    crossed = anvils.behind_the_seat(rays, hidden.anvils)
    crossed *= 1.0 + anvils.kossel(downstream, tiles, energy_kev, hidden.anvils, pixel_rad)
    stopped = past_the_stop(nominal, hidden) * strength.counted(energy_kev, rays.cos_incidence)
    polarised = strength.polarised(rays.two_theta_deg, rays.azimuth_rad, polarisation)
    seen = polarised * rays.cos_incidence**3 * stopped * crossed
    rate = flux_ph_per_s * strength.pixel_steradian(geometry) * per_sr * seen
    rate += flux_ph_per_s * anvils.spots(geometry, rays, hidden.anvils, energy_kev, chance) * stopped
    through_salt = float(np.exp(-matter.attenuation_per_m(salt_atoms, energy_kev) * salt_m))
    return Scene(rate, np.asarray(seen * out * through_salt))
