"""Frame to pattern: pyFAI's azimuthal integration with Poisson's variance, spikes kept out, and spots measured.

Set up once for a geometry, then a few milliseconds a frame on one thread. Each pixel goes whole into one bin: the
variance is then honest and bins do not correlate. On six simulated frames of 514 x 1030 pixels with lines of 1.9 and
3.7 pixels sigma at 1.5 bins a pixel: reduced chi² against the truth 1.17 and 1.03, correlation of neighbours 0.05 and
0.00; with pixels split by their bounding box 5.4 and 1.5, 0.81 and 0.69.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from rocksalt.diffraction.geometry import Geometry, GeometryError
from rocksalt.diffraction.rings import SECTORS, Rings
from rocksalt.diffraction.wavelength import WavelengthError, one_of
from rocksalt.formats.image_file import mask_of
from rocksalt.values import FloatArray, Pattern

BINS_PER_PIXEL: Final = 1.5
_DUMMY: Final = -1e30  # below any count; exact in 32 bits, so that pyFAI's comparison holds


@dataclass(frozen=True, slots=True)
class _Engine:
    """pyFAI's sparse matrix and what multiplies into every frame: solid angle and polarisation, (rows, columns)."""

    csr: Any
    poisson: Any
    solid_angle: NDArray[np.float32]
    polarisation: NDArray[np.float32] | None
    two_theta_deg: FloatArray


class Integrator:
    """Integrates frames of one shape on one geometry. Not thread-safe: one a thread."""

    def __init__(
        self,
        geometry: Geometry,
        shape: tuple[int, int],
        *,
        wavelength_angstrom: float | None = None,
        mask: NDArray[np.bool_] | None = None,
        bins: int | None = None,
        polarisation: float | None = 0.99,
        splitting: Literal["no", "bbox", "full"] = "no",
        spikes: bool = True,
        calibration_sigma: float | None = None,
    ) -> None:
        """Precompute the way of every pixel.

        shape           (rows, columns) of every frame to come
        wavelength_angstrom  where the PONI states none; where it does, it must agree within 1e-3 and the PONI's is used
        mask            (rows, columns), True where a pixel is never to be used (pixel mask, beam stop)
        bins            number of 2θ bins; by default 1.5 a pixel over the range of the detector
        polarisation    degree of linear polarisation along the rows; 0.0 for an unpolarised beam, None: no correction
        splitting       how a pixel at the border of two bins is shared; anything but "no" correlates the bins
        spikes          keep saturated pixels, diamond spots and zingers out (see Rings.spikes)
        calibration_sigma  handed on to every pattern: how well distance and wavelength are known, relative

        Raises GeometryError for another shape than the detector's, WavelengthError for none or two that disagree.
        """
        self.geometry = geometry
        self.shape = (int(shape[0]), int(shape[1]))
        self.wavelength_angstrom = agreed_wavelength(geometry, wavelength_angstrom)
        ai = geometry.integrator(self.shape)
        if mask is not None and mask.shape != self.shape:
            raise GeometryError(
                f"the mask has shape {mask.shape} and the frames {self.shape}; both count rows, columns"
            )
        self._mask = np.zeros(self.shape, dtype=bool) if mask is None else np.array(mask, dtype=bool)
        if self._mask.all():
            raise GeometryError("the mask leaves no pixel to integrate")
        two_theta = np.asarray(ai.center_array(self.shape, unit="2th_deg"), dtype=np.float64)
        if bins is None:
            bins = default_bins(two_theta, self._mask)
        self._engine = _set_up(ai, self.shape, self._mask, bins, polarisation, splitting)
        norm = self._engine.solid_angle * (1.0 if self._engine.polarisation is None else self._engine.polarisation)
        azimuth = np.asarray(ai.center_array(self.shape, unit="chi_rad"), dtype=np.float64)
        self._rings = Rings(two_theta, azimuth, norm, self._mask, self._engine.two_theta_deg)
        self._spikes = spikes
        self._calibration_sigma = calibration_sigma

    @property
    def two_theta_deg(self) -> FloatArray:
        """(bins,) centres of the bins, degrees."""
        return self._engine.two_theta_deg

    def pattern(
        self,
        counts: NDArray[Any],
        *,
        source: str = "",
        mask: NDArray[np.bool_] | None = None,
        saturation: float | None = None,
    ) -> Pattern:
        """One frame's pattern: mean counts of a pixel at normal incidence, with Poisson's variance.

        counts       (rows, columns); negative in signed, largest in unsigned integer types means not measured
        mask         (rows, columns), True where this frame's pixel is not to be used
        saturation   counts from which on a pixel no longer counts; it and its neighbours are left out
        Bins that no pixel reached are NaN in intensity and variance. Raises GeometryError for another shape.
        """
        if counts.shape != self.shape:
            self.geometry.require_shape(counts.shape)
            raise GeometryError(f"the frame has shape {counts.shape}, the integrator was made for {self.shape}")
        unmeasured = mask_of(counts)
        if mask is not None:
            unmeasured = unmeasured | mask
        unmeasured |= self._mask
        signal = counts.astype(np.float32)
        signal[unmeasured] = 0.0
        live = signal.size - int(np.count_nonzero(unmeasured))
        saturated = signal >= saturation if saturation is not None else None
        fraction = 0.0 if saturated is None or not live else int(np.count_nonzero(saturated)) / live
        sectors = self._rings.sectors(signal, unmeasured)
        if self._spikes:
            spikes = self._rings.spikes(signal, sectors, saturated)
            if len(spikes):
                flat = unmeasured.reshape(-1)
                spikes = spikes[~flat[spikes]]
                sectors = self._rings.without(sectors, signal, spikes)
                flat[spikes] = True
        signal[unmeasured] = _DUMMY
        intensity, variance = self._integrate(signal)
        return Pattern(
            two_theta_deg=self._engine.two_theta_deg,
            intensity=intensity,
            variance=variance,
            wavelength_angstrom=self.wavelength_angstrom,
            raw_counts=True,
            source=source,
            azimuthal_variation=sectors.variation(),
            saturated_fraction=fraction,
            calibration_sigma=self._calibration_sigma,
        )

    def _integrate(self, signal: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
        engine = self._engine
        result = engine.csr.integrate_ng(
            signal,
            error_model=engine.poisson,
            dummy=_DUMMY,
            delta_dummy=0.0,
            solidangle=engine.solid_angle,
            polarization=engine.polarisation,
        )
        reached = np.asarray(result.count) > 0
        intensity = np.where(reached, np.asarray(result.intensity, dtype=np.float64), np.nan)
        variance = np.where(reached, np.asarray(result.sem, dtype=np.float64) ** 2, np.nan)
        return intensity, variance


def agreed_wavelength(geometry: Geometry, given_angstrom: float | None) -> float:
    """The wavelength, Å: the PONI's, which the distance was calibrated with, before the caller's.

    Raises WavelengthError where there is none, or where the two differ by more than 1e-3.
    """
    stated = [(geometry.source, geometry.wavelength_angstrom), ("the caller", given_angstrom)]
    found = one_of([(who, value) for who, value in stated if value is not None])
    if found is None:
        raise WavelengthError(f"{geometry.source} states no wavelength; give --wavelength")
    return found[0]


def default_bins(two_theta_deg: FloatArray, mask: NDArray[np.bool_]) -> int:
    """1.5 bins for each pixel along a radius: from the median step of 2θ between pixels that lie beside each other."""
    across, along = np.gradient(two_theta_deg)
    step = float(np.median(np.hypot(across, along)[~mask]))
    span = float(np.ptp(two_theta_deg[~mask]))
    return max(round(BINS_PER_PIXEL * span / step), 16)


def clearer_way_up(geometry: Geometry, counts: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[Geometry, str]:
    """The geometry as it is, or turned over where the rings are plainly clearer so, with the sentence that says so.

    PONIs of Dioptas are made on images turned upside down, and their text does not say so. The measure is how far the
    sectors' patterns are from one another, which is least with the right geometry; the text stands unless the other way
    is better by a fifth.
    """
    here, there = (_disagreement(each, counts, mask) for each in (geometry, geometry.turned_over()))
    if there < 0.8 * here:
        return geometry.turned_over(), (
            "the rings are clearer with the rows of the image turned over, as Dioptas does it: taken so "
            f"(sectors differ by {100 * there:.1f} % instead of {100 * here:.1f} %)"
        )
    return geometry, ""


def _disagreement(geometry: Geometry, counts: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """`Sectors.disagreement` of a frame on this geometry, in bins of a pixel and a third."""
    shape = (int(counts.shape[0]), int(counts.shape[1]))
    ai = geometry.integrator(shape)
    two_theta = np.asarray(ai.center_array(shape, unit="2th_deg"), dtype=np.float64)
    azimuth = np.asarray(ai.center_array(shape, unit="chi_rad"), dtype=np.float64)
    edges = np.linspace(two_theta[~mask].min(), two_theta[~mask].max(), default_bins(two_theta, mask) // 2 + 1)
    solid_angle = np.asarray(ai.solidAngleArray(shape), dtype=np.float32)
    rings = Rings(two_theta, azimuth, solid_angle, mask, 0.5 * (edges[1:] + edges[:-1]))
    signal = np.where(mask, 0, counts).astype(np.float32)
    return rings.sectors(signal, mask).disagreement()


def _set_up(
    ai: Any, shape: tuple[int, int], mask: NDArray[np.bool_], bins: int, polarisation: float | None, splitting: str
) -> _Engine:
    from pyFAI.containers import ErrorModel

    csr = ai.setup_sparse_integrator(
        shape, bins, mask=mask.astype(np.int8), unit="2th_deg", split=splitting, algo="CSR", empty=0.0
    )
    return _Engine(
        csr=csr,
        poisson=ErrorModel.POISSON,
        solid_angle=np.ascontiguousarray(ai.solidAngleArray(shape), dtype=np.float32),
        polarisation=None
        if polarisation is None
        else np.ascontiguousarray(ai.polarization(shape, polarisation), dtype=np.float32),
        two_theta_deg=np.degrees(np.asarray(csr.bin_centers, dtype=np.float64)),
    )


__all__ = ["SECTORS", "Geometry", "GeometryError", "Integrator", "agreed_wavelength", "clearer_way_up", "default_bins"]
