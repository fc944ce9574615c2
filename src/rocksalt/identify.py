"""`rocksalt identify`: files in, what they show out; each answered for itself, in the form the contract fixes.

A file that can't be read gives its sentence, and the others are answered all the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np

from rocksalt.diffraction import wavelength as wavelengths
from rocksalt.diffraction.wavelength import WavelengthError
from rocksalt.formats.errors import FormatError
from rocksalt.formats.image_file import ImageFile
from rocksalt.formats.images import IMAGE_SUFFIXES, read_image
from rocksalt.formats.pattern_file import PatternFile
from rocksalt.formats.patterns import read_pattern
from rocksalt.values import LABELS, Estimate, FloatArray, Measured, Observation, Pattern, PhaseEstimate

AxisKind = Literal["2theta", "q", "d"]
_TEMPERATURE_SIGMA_K: Final = 1.0  # of a temperature told by a person, to the degree


class OptionError(ValueError):
    """An option that is wrong for every file; `str()` names the option, the rule and what would be right."""


class Model(Protocol):
    """What identification asks of a model."""

    def estimate(self, observation: Observation, *, salt: str | None = None) -> Estimate: ...


@dataclass(slots=True)
class _Asked:
    """The options, checked, and what is set up once for all files."""

    wavelength_angstrom: float | None
    temperature_k: Measured | None
    pressure_gpa: Measured | None
    poni: Path | None
    axis: AxisKind | None
    dataset: str | None
    integrators: dict[tuple[tuple[int, int], int, float], Any] = field(default_factory=dict)


def identify_files(
    paths: Sequence[Path | str],
    *,
    wavelength_angstrom: float | None = None,
    temperature_k: float | None = None,
    pressure_gpa: float | None = None,
    pressure_sigma_gpa: float | None = None,
    poni: Path | str | None = None,
    salts: Sequence[str] | None = None,
    axis: AxisKind | None = None,
    dataset: str | None = None,
    model: Model | None = None,
) -> list[dict[str, Any]]:
    """One result a file, in order: the contract's keys, or `{file, error}`. Strict JSON: no NaN, no infinity.

    salts narrows the search; with one salt, fraction and pressure are for it. `model` is the physics leg unless given.
    Raises OptionError where an option is wrong in itself, before any file is opened.
    """
    asked = _Asked(
        _checked_wavelength(wavelength_angstrom),
        _checked_temperature(temperature_k),
        _checked_pressure(pressure_gpa, pressure_sigma_gpa),
        None if poni is None else Path(poni),
        _checked_axis(axis),
        dataset,
    )
    wanted = tuple(salts or ())
    judge = _physics(wanted) if model is None else model
    salt = wanted[0] if len(wanted) == 1 else None
    results: list[dict[str, Any]] = []
    for number, path in enumerate(paths):
        try:
            pattern, notes = _pattern(Path(path), asked)
            seen = Observation(number, pattern, temperature_k=asked.temperature_k, gauge_gpa=asked.pressure_gpa)
            results.append(_result(str(path), judge.estimate(seen, salt=salt), notes))
        except (ValueError, ArithmeticError, OSError, MemoryError) as error:
            said = str(error) or type(error).__name__
            results.append(
                {"file": str(path), "error": said if said.startswith(str(Path(path))) else f"{path}: {said}"}
            )
    return results


def render(results: Sequence[Mapping[str, Any]]) -> str:
    """The results for a person: a paragraph a file, ending in a newline. Control characters are shown, not obeyed."""
    blocks = []
    for result in results:
        if "error" in result:
            blocks.append(f"not read  {result['error']}")
            continue
        label = result["label"]
        lines = [f"{label:<8}  {result['file']}  (probability {result['probabilities'][label]:.2f})"]
        lines += [f"    {_phase_line(phase)}" for phase in result["phases"]]
        lines += [f"    perhaps {_phase_line(phase)}" for phase in result["candidates"]]
        if result["microstrain"] is not None:
            lines.append(f"    microstrain {result['microstrain']:.1e}" + (", textured" if result["textured"] else ""))
        lines += [f"    - {reason}" for reason in result["reasons"]]
        blocks.append("\n".join(lines))
    text = "\n".join(blocks)
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text) + "\n"


# From file to pattern


def _pattern(path: Path, asked: _Asked) -> tuple[Pattern, list[str]]:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return _from_image(read_image(path, dataset=asked.dataset), asked)
    return _from_columns(read_pattern(path), asked)


def _from_columns(file: PatternFile, asked: _Asked) -> tuple[Pattern, list[str]]:
    notes = list(file.notes)
    kind = _axis_kind(file, asked, notes)
    if kind == "d" and file.axis[0] <= 0.0:
        raise FormatError(file.path, f"d reaches {file.axis[0]:g} Å; a spacing is above zero. Is the axis 2theta or q?")
    q = {"2theta": None, "q": file.axis, "d": 2.0 * np.pi / np.maximum(file.axis, 1e-12)}[kind]
    wavelength = _wavelength_of(file, asked, None if q is None else float(q.max()), notes)
    two_theta = file.axis if q is None else wavelengths.two_theta_from_q(q, wavelength)
    intensity, variance = file.intensity, _variance(file)
    if kind == "d":
        two_theta, intensity, variance = two_theta[::-1], intensity[::-1], variance[::-1]
    use = (two_theta > 0.0) & (two_theta < 180.0) & (variance > 0.0)
    if np.count_nonzero(use) < 3:
        raise FormatError(
            file.path, "fewer than three points lie between 0 and 180 deg and have an uncertainty above zero"
        )
    if not use.all():
        notes.append(
            f"{np.count_nonzero(~use)} points at 2θ outside 0 to 180 deg or with an uncertainty of 0 were left out"
        )
    two_theta = np.ascontiguousarray(two_theta[use])
    if q is None and not _confirmed(file.wavelength_angstrom, wavelength):
        wavelengths.require_plausible(wavelength, float(two_theta[-1]))
    return Pattern(
        two_theta, intensity[use].copy(), variance[use].copy(), wavelength, file.counts, str(file.path)
    ), notes


def _axis_kind(file: PatternFile, asked: _Asked, notes: list[str]) -> AxisKind:
    if asked.axis is not None and file.axis_kind is not None and asked.axis != file.axis_kind:
        raise FormatError(
            file.path,
            f"the file says that its axis is {file.axis_kind}, and --axis says {asked.axis}; leave the option out",
        )
    kind = asked.axis or file.axis_kind
    if kind is None:
        if file.axis[-1] > 180.0:
            raise FormatError(
                file.path,
                f"the axis reaches {file.axis[-1]:g}, which is no 2θ in degrees; say what it is by --axis q or d",
            )
        notes.append("the file does not name its axis: read as 2θ in degrees")
    return kind or "2theta"


def _wavelength_of(file: PatternFile, asked: _Asked, largest_q: float | None, notes: list[str]) -> float:
    stated = [("--wavelength", asked.wavelength_angstrom), (file.path.name, file.wavelength_angstrom)]
    found = wavelengths.one_of([(who, value) for who, value in stated if value is not None])
    if found is not None:
        value, who = found
        wavelengths.require_possible(value)
        if who != "--wavelength":
            notes.append(f"wavelength {value:.6g} Å as the file says")
        return value
    if largest_q is None:
        raise FormatError(file.path, "wavelength left out: the file does not say one; give --wavelength in Å")
    value = wavelengths.wavelength_for_q(largest_q)
    notes.append(f"the axis needs no wavelength and none was stated: angles and intensities are for {value:.4g} Å")
    return value


def _variance(file: PatternFile) -> FloatArray:
    """What the file states; else the intensity itself, which whoever fits must judge by its scatter (raw_counts)."""
    if file.sigma is not None:
        return file.sigma**2
    positive = file.intensity[file.intensity > 0.0]
    least = 1.0 if file.counts else 0.02 * float(np.median(positive)) if positive.size else 1.0
    return np.maximum(file.intensity, least)


def _confirmed(stated: float | None, value: float) -> bool:
    return stated is not None and abs(stated - value) <= wavelengths.AGREE * value


def _from_image(image: ImageFile, asked: _Asked) -> tuple[Pattern, list[str]]:
    from rocksalt.diffraction.integrate import Geometry, Integrator, clearer_way_up

    if asked.poni is None:
        raise FormatError(
            image.path, "a frame needs its geometry: give --poni, the file that pyFAI-calib2 or Dioptas saved"
        )
    if asked.axis not in {None, "2theta"}:
        raise FormatError(
            image.path, f"--axis {asked.axis} is for files of columns; the geometry gives a frame's angles"
        )
    geometry = Geometry.from_poni(asked.poni)
    geometry.require_shape(image.counts.shape)
    stated = [
        (asked.poni.name, geometry.wavelength_angstrom),  # first: distance and wavelength were calibrated together
        ("--wavelength", asked.wavelength_angstrom),
        (image.path.name, image.wavelength_angstrom),
    ]
    found = wavelengths.one_of([(who, value) for who, value in stated if value is not None])
    if found is None:
        raise WavelengthError(
            f"{image.path}: wavelength left out: neither frame nor PONI says one; give --wavelength in Å"
        )
    notes = list(image.notes)
    if found[1] != "--wavelength":
        notes.append(f"wavelength {found[0]:.6g} Å as {found[1]} says")
    if image.mask.all():
        raise FormatError(image.path, "every pixel of the frame is marked as not measured")
    geometry, turned = clearer_way_up(geometry, image.counts, image.mask)
    notes += [turned] if turned else []
    shape = (int(image.counts.shape[0]), int(image.counts.shape[1]))
    key = (shape, geometry.orientation, found[0])
    if key not in asked.integrators:
        asked.integrators[key] = Integrator(geometry, shape, wavelength_angstrom=found[0])
    saturation = None if image.saturation is None else image.saturation * image.frames
    pattern: Pattern = asked.integrators[key].pattern(
        image.counts, source=str(image.path), mask=image.mask, saturation=saturation
    )
    return pattern, notes


# From estimate to the contract's form


def _result(file: str, estimate: Estimate, notes: Sequence[str]) -> dict[str, Any]:
    unknown = estimate.label == "unknown"
    guesses = (*estimate.phases, *estimate.candidates) if unknown else estimate.candidates
    return {
        "file": file,
        "label": estimate.label,
        "probabilities": _probabilities(estimate.probabilities),
        "phases": [] if unknown else [_phase(phase) for phase in estimate.phases],
        "candidates": [_phase(phase) for phase in guesses],
        "microstrain": None if estimate.microstrain is None else _finite(estimate.microstrain.value),
        "textured": bool(estimate.textured),
        "reasons": [*estimate.reasons, *notes],
        "model": estimate.model,
    }


def _probabilities(given: Mapping[str, float]) -> dict[str, float]:
    """Exactly the four labels, summing to 1. Raises ValueError where the model gave none that can be used."""
    values = {label: float(given.get(label, 0.0)) for label in LABELS}
    total = sum(values.values())
    if set(given) - set(LABELS) or not all(math.isfinite(v) and v >= 0.0 for v in values.values()) or total <= 0.0:
        raise ValueError(f"the model gave no usable probabilities: {dict(given)}")
    return {label: value / total for label, value in values.items()}


def _phase(phase: PhaseEstimate) -> dict[str, Any]:
    return {
        "salt": phase.salt,
        "structure": phase.structure,
        "fraction": _finite(phase.fraction),
        "fraction_kind": phase.fraction_kind,
        "a_angstrom": _finite(phase.a_angstrom),
        "a_sigma": _finite(phase.a_sigma),
        "pressure_gpa": _finite(phase.pressure_gpa),
        "pressure_sigma": _finite(phase.pressure_sigma),
        "pressure_scale": phase.pressure_scale,
        "temperature_k": _finite(phase.temperature_k),
    }


def _finite(value: float | None) -> float | None:
    """A plain float, or None for what JSON has no word for."""
    return float(value) if value is not None and math.isfinite(value) else None


def _phase_line(phase: Mapping[str, Any]) -> str:
    parts = [f"{phase['salt']} {phase['structure']}"]
    for key, sigma, form, unit in (
        ("a_angstrom", "a_sigma", ".4f", "Å"),
        ("pressure_gpa", "pressure_sigma", ".2f", "GPa"),
    ):
        if phase[key] is not None:
            spread = "" if phase[sigma] is None else f" ± {phase[sigma]:{form}}"
            parts.append(f"{'a' if unit == 'Å' else 'P'} = {phase[key]:{form}}{spread} {unit}")
    if phase["pressure_gpa"] is not None and phase["pressure_scale"]:
        parts[-1] += f" ({phase['pressure_scale']})"
    if phase["fraction"] is not None:
        parts.append(f"{phase['fraction']:.0%} by {phase['fraction_kind']}")
    return ", ".join(parts)


# Options


def _checked_wavelength(value: float | None) -> float | None:
    if value is not None:
        try:
            wavelengths.require_possible(value)
        except WavelengthError as error:
            raise OptionError(f"--wavelength: {error}") from error
    return value


def _checked_temperature(value: float | None) -> Measured | None:
    if value is None:
        return None
    if not math.isfinite(value) or not 0.0 < value < 5000.0:
        raise OptionError(f"--temperature-k: {value:g} K is outside 0 to 5000 K; give kelvin (20 °C are 293.15)")
    return Measured(float(value), _TEMPERATURE_SIGMA_K)


def _checked_pressure(value: float | None, sigma: float | None) -> Measured | None:
    if value is None and sigma is None:
        return None
    if value is None or sigma is None:
        given, wanting = ("--pressure-gpa", "--pressure-sigma-gpa")[:: 1 if sigma is None else -1]
        raise OptionError(f"{given} was given without {wanting}: a pressure says something only with its uncertainty")
    if not math.isfinite(value) or not -1.0 < value < 1000.0:
        raise OptionError(f"--pressure-gpa: {value:g} GPa is outside -1 to 1000 GPa; give GPa (1 kbar is 0.1)")
    if not math.isfinite(sigma) or sigma <= 0.0:
        raise OptionError(f"--pressure-sigma-gpa: {sigma:g} GPa is no standard uncertainty; it is above zero")
    return Measured(float(value), float(sigma))


def _checked_axis(value: str | None) -> AxisKind | None:
    if value is None or value in {"2theta", "q", "d"}:
        return value  # type: ignore[return-value]  # the set is the type's
    raise OptionError(f"--axis: {value!r} is not known; it is 2theta (degrees), q (1/Å) or d (Å)")


def _physics(salts: tuple[str, ...]) -> Model:
    from rocksalt.inference.model import PhysicsModel

    try:
        return PhysicsModel(salts or None)
    except (ValueError, KeyError, LookupError) as error:
        raise OptionError(f"--salt: {error}") from error
