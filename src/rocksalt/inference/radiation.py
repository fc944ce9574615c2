"""Which wavelengths a stated wavelength stands for: one from a synchrotron, a doublet from an X-ray tube.

A tube's K-alpha is stated in the wild as its first component or as the weighted mean; both name the same radiation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_NEAR: Final = 4e-4  # relative; the mean of a doublet lies 8e-4 (Cu) to 3e-3 (Ag) above its first component
_SECOND: Final = 0.5  # intensity of K-alpha2 over K-alpha1: the statistical weight of the 2p levels, 2:4
TUNGSTEN_L: Final = 1.476340  # the filament's deposit on old anodes; Bearden, Rev. Mod. Phys. 39 (1967) 78


@dataclass(frozen=True, slots=True)
class Radiation:
    """What illuminates the sample: `components` are (wavelength in angstrom, weight), weights adding to 1.

    parasites   wavelengths in angstrom that a strong line may show up at once more, weakly: K-beta, tungsten
    tube        target of the X-ray tube, None where the beam is monochromatic
    """

    components: tuple[tuple[float, float], ...]
    parasites: tuple[float, ...] = ()
    tube: str | None = None

    @property
    def main(self) -> float:
        """The strongest component, angstrom: where a line's maximum stands."""
        return self.components[0][0]


# K-alpha1, K-alpha2, K-beta1,3 in angstrom: International Tables for Crystallography C (2004) table 4.2.2.4, with
# copper as in the NIST certificate of SRM 640.
_TARGETS: Final = {
    "Cu": (1.540598, 1.544426, 1.392250),
    "Co": (1.788996, 1.792835, 1.620826),
    "Mo": (0.709317, 0.713607, 0.632303),
    "Ag": (0.559422, 0.563813, 0.497082),
}


def readings_of(wavelength_angstrom: float) -> tuple[Radiation, ...]:
    """What the stated wavelength may mean, the likeliest first; the pattern decides between them.

    Raises ValueError where the wavelength is not a positive number of angstrom.
    """
    if not 0.01 < wavelength_angstrom < 10.0:
        raise ValueError(f"a wavelength of {wavelength_angstrom:g} angstrom is outside 0.01 to 10: check its unit")
    for target, (first, second, beta) in _TARGETS.items():
        mean = (first + _SECOND * second) / (1.0 + _SECOND)
        if min(abs(wavelength_angstrom / first - 1.0), abs(wavelength_angstrom / mean - 1.0)) < _NEAR:
            share = 1.0 / (1.0 + _SECOND)
            parasites = (beta, TUNGSTEN_L) if target == "Cu" else (beta,)
            doublet = Radiation(((first, share), (second, 1.0 - share)), parasites, target)
            return doublet, Radiation(((wavelength_angstrom, 1.0),), (), target)
    return (Radiation(((wavelength_angstrom, 1.0),)),)
