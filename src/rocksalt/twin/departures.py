"""What this twin hides: how its sample, cell, beam and detector differ from the tables and files that the model reads.

All is drawn from the twin seed at the beginning, each number from a stream of its own, and told in the truth file. What
each is drawn from is written in `tiers.toml`, a section for each class here, a line for each of its fields. Gigapascals
are KBr's in a cell of 0.055 GPa a bar; `rocksalt.twin.sample.salt` makes them another salt's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import sqrt
from typing import Any, TypeVar

from rocksalt.time import Chance
from rocksalt.twin import tiers


@dataclass(frozen=True, slots=True)
class CellDepartures:
    """From gas to sample. GPa at the sample.

    gain_relative    what a bar gives, relative to the station's prior; it falls by `stiffening` towards 150 bar
    grip             share of the pressure that friction adds on the way back: the gasket has flowed
    stick_slip_gpa   longest slip of the piston; creep_share of each arrives late, within creep_s
    collapse_gpa     pressure lost to a whole transformation
    blow_out_*       the gasket gives way at blow_out_at_bar where luck (0 to 1) is below the tier's share
    gradient_gpa     one sigma of the local pressures, leaning by gradient_skew
    thinning_per_gpa the sample's thickness falls as 1 / (1 + thinning P)
    thermal_gpa_per_k   what heating adds: the cell's expansion against the sample's; either sign
    isochoric_share  share of the sample's thermal pressure that a frozen medium makes it feel
    solid_*          factors on friction, thermal_gpa_per_k, gradient and deviatoric stress where the medium is frozen
    drift_*          how far load and heat move the sample against the beam, and in which direction
    wander_um        of the mount, with a period of wander_s; hole_um: radius of the gasket's hole
    """

    gain_relative: float
    stiffening: float
    offset_gpa: float
    friction_gpa: float
    grip: float
    stick_slip_gpa: float
    creep_share: float
    creep_s: float
    collapse_gpa: float
    supply_bar: float
    leak_bar_per_min: float
    blow_out_share: float
    blow_out_luck: float
    blow_out_at_bar: float
    gradient_gpa: float
    gradient_skew: float
    thinning_per_gpa: float
    thermal_gpa_per_k: float
    isochoric_share: float
    solid_friction: float
    solid_thermal: float
    solid_gradient: float
    solid_stress: float
    drift_um_per_gpa: float
    drift_um_per_k: float
    drift_load_rad: float
    drift_heat_rad: float
    wander_um: float
    wander_s: float
    hole_um: float

    @property
    def blow_out_bar(self) -> float | None:
        """Gas pressure at which the gasket gives way; None where it never does."""
        return self.blow_out_at_bar if self.blow_out_luck < self.blow_out_share else None


@dataclass(frozen=True, slots=True)
class SampleDepartures:
    """The sample's own.

    p50_place        where in the salt's range a slow ramp (0.1 GPa/min, for KBr) crosses half B2, 0 to 1
    barrier_gpa      one sigma of the local transition pressures; p0, tau0, avrami, dead_band, activation, slope,
                     closing: see transformation.Law
    stray_share      of the half-transformed volume of a salt that goes by B33, how much is B33
    deviatoric_gpa   the uniaxial stress t of Singh (1998)
    eos_*_gpa        by how much the true pressure of the volume that the table calls 2 GPa is higher: half of the error
                     is common to both phases, which come from one laboratory; within +- eos_limit_gpa
    eos_other_*      another published set, where there is one, if luck (0 to 1) is below the tier's share
    k0p_*            shift of K0', anticorrelated with K0 through the condition above
    elastic_relative error of the elastic constants as far as they move lines
    grains_per_deg   diffracting grains a degree of ring at multiplicity 12, with log-normal power and a mosaic's width
    fibre_*          March-Dollase parameter of a (100) fibre along the load axis; in_plane its lopsidedness
    line_intensity   half-width of the factors on each line's intensity, which have streams of their own
    grain_strain     one sigma of the grains' own lattice strains: spots stand off their ring
    """

    p50_place: float
    barrier_gpa: float
    p0_gpa: float
    tau0_s: float
    avrami: float
    dead_band_gpa: float
    activation_ev: float
    slope_gpa_per_k: float
    closing_k: float
    stray_share: float
    deviatoric_gpa: float
    eos_common_gpa: float
    eos_own_b1_gpa: float
    eos_own_b2_gpa: float
    eos_limit_gpa: float
    eos_other_luck: float
    eos_other_share: float
    k0p_b1: float
    k0p_b2: float
    elastic_relative: float
    grains_per_deg: float
    grain_sigma_ln: float
    mosaic_deg: float
    fibre_b1: float
    fibre_b2: float
    in_plane: float
    in_plane_axis_rad: float
    line_intensity: float
    debye_waller_a2: float
    crystallite_a: float
    microstrain: float
    grain_strain: float

    def eos_error_gpa(self, structure: str) -> float:
        """Error of the table's pressures of "B1" or "B2" near 2 GPa."""
        own = self.eos_own_b1_gpa if structure == "B1" else self.eos_own_b2_gpa
        return min(max(sqrt(0.5) * (self.eos_common_gpa + own), -self.eos_limit_gpa), self.eos_limit_gpa)


@dataclass(frozen=True, slots=True)
class BeamDepartures:
    """Flux and wavelength relative to the station file's; the flux ripples with an amplitude and a period."""

    flux_relative: float
    wavelength_relative: float
    ripple: float
    ripple_s: float


@dataclass(frozen=True, slots=True)
class CalibrationDepartures:
    """Where the detector stands, against its calibration."""

    distance_relative: float
    centre_row_px: float
    centre_column_px: float
    tilt1_rad: float
    tilt2_rad: float


@dataclass(frozen=True, slots=True)
class ProfileDepartures:
    """The instrument's line: width, tail (0 Gaussian to Lorentzian and beyond), and how lopsided."""

    width_deg: float
    tail: float
    asymmetry: float


@dataclass(frozen=True, slots=True)
class SceneDepartures:
    """What else is on the way: how much salt, air, beam stop.

    filling             share of the station's thickness_um that is salt; the rest is medium
    diffuse_relative    error of the smooth background's cross sections as a whole
    air_mm              air that the beam crosses behind the cell
    halo_per_sr         small-angle scattering of slits and windows at 1 degree, falling with the cube of the angle
    stop_*              the beam stop's shadow on the detector; stop_leak is what is counted within it
    arm_*               its arm: width of the shadow, transmission, direction (0 along the rows, pi/2 along the columns)
    """

    filling: float
    diffuse_relative: float
    air_mm: float
    halo_per_sr: float
    stop_radius_mm: float
    stop_soft_mm: float
    stop_leak: float
    arm_width_mm: float
    arm_transmission: float
    arm_azimuth_rad: float


@dataclass(frozen=True, slots=True)
class AnvilDepartures:
    """Two diamonds and the downstream one's seat.

    *_mm, *_rad      thickness along the beam; how the table's (100) leans and turns from the beam
    spot*            Bragg spots: number, decades of the flux in their core, how far drawn out
    kossel_*         Kossel lines: dip of 111, width, bright side
    seat_*           its cone's half-angle and how far that is off, transmission deep in it, degrees to get there
    """

    upstream_mm: float
    downstream_mm: float
    upstream_tilt1_rad: float
    upstream_tilt2_rad: float
    upstream_spin_rad: float
    downstream_tilt1_rad: float
    downstream_tilt2_rad: float
    downstream_spin_rad: float
    spots: int
    spot_faint: float
    spot_bright: float
    spot_streak_mm: float
    kossel_depth: float
    kossel_width_deg: float
    kossel_bright: float
    seat_opening_deg: float
    seat_ramp_deg: float
    seat_transmission: float
    seat_off_deg: float
    seat_off_rad: float


@dataclass(frozen=True, slots=True)
class GasketDepartures:
    """kind 0 rhenium, 1 tungsten, 2 steel; tails is the share of the flux that meets it within the indentation, which
    is thickness_um thick from hole_um to indented_um from the axis and opaque beyond; the beam is beam_off_um from the
    axis, towards the azimuth beam_off_rad. Its grains are few, strained and broadened."""

    kind: int
    tails: float
    thickness_um: float
    hole_um: float
    indented_um: float
    beam_off_um: float
    beam_off_rad: float
    grains_per_deg: float
    strain: float
    microstrain: float


@dataclass(frozen=True, slots=True)
class SensorDepartures:
    """The sensor. Numbers of pixels and of zingers are for 500K pixels.

    gain_*               one sigma of what the flat field leaves, from pixel to pixel and from chip to chip
    dead_pixels          that count nothing; hot_masked count too much: the instrument knows of both
    hot_unmasked         count without light, steadily, and noisy_unmasked by fits: it does not know of them
    dead_time_ns         length of a pulse. Unconfirmed; of the order of 100 ns for detectors of this kind
    background_per_hour  counts an hour and pixel of natural radiation; an EIGER module has 0.07 (DECTRIS's page on
                         dark current)
    zinger*              rarer hits that free more charge: a minute, counts of a pixel (median, log-normal scatter) and
                         mean length of their tracks. Unconfirmed: none of it was measured by us
    """

    gain_pixel: float
    gain_chip: float
    dead_pixels: int
    hot_masked: int
    hot_unmasked: int
    noisy_unmasked: int
    dead_time_ns: float
    background_per_hour: float
    zingers_per_min: float
    zinger_counts: float
    zinger_sigma_ln: float
    zinger_px: float


@dataclass(frozen=True, slots=True)
class SurroundingsDepartures:
    """ambient_k: the room above 298 K; lag_relative: how late the sample follows heater and cold head."""

    ambient_k: float
    lag_relative: float


@dataclass(frozen=True, slots=True)
class MicroscopeDepartures:
    """What grows in the crystal where a microscope looks, and the microscope.

    colloid_arrangement  0 Poisson, 1 Thomas, 2 hard core; loop_arrangement likewise
    *_radius_um          medians of log-normal radii, *_sigma_ln their widths; specks are what decorates a loop
    cluster_*            of Thomas arrangements; loops' clusters are wider by loop_cluster_ratio, their parents fewer by
                         its cube
    *_core_um            least distances of hard-core arrangements
    loop_110_share       of the loops lie on {110}, the others on {100}
    speck_apart_um       between two specks of a loop
    magnification_relative, rotation_deg   of the image, against what the experimenter believes
    focus_*, stage_*     where the focus stands when its scale says 0, and how far it and the stage wander
    lamp_*               brightness against the nominal one, and its slow ripple
    vignetting, uneven   light lost in the corners, and the slope of the light across the field
    *_dust, bubbles, scratches, steps   numbers in the field: on the sensor, on the crystal's faces, in it
    """

    colloid_arrangement: int
    colloid_radius_um: float
    colloid_sigma_ln: float
    colloid_core_um: float
    cluster_um: float
    cluster_per_um3: float
    loop_arrangement: int
    loop_radius_um: float
    loop_sigma_ln: float
    loop_core_um: float
    loop_cluster_ratio: float
    loop_110_share: float
    speck_radius_um: float
    speck_apart_um: float
    magnification_relative: float
    rotation_deg: float
    focus_error_um: float
    focus_wander_um: float
    stage_wander_um: float
    lamp_relative: float
    lamp_ripple: float
    vignetting: float
    uneven: float
    read_noise_e: float
    gain_pixel: float
    hot_pixels: int
    sensor_dust: int
    crystal_dust: int
    bubbles: int
    scratches: int
    steps: int


@dataclass(frozen=True, slots=True)
class TubeDepartures:
    """The irradiation tube.

    output_relative       photons against what Kramers' law and the distance give
    kv_relative, ma_relative   true against displayed; filter_relative: true thickness of the filters
    drift, drift_s        slow wave of the output, amplitude and period; warm_up: extra at first, gone with warm_up_s
    arcs_per_hour         of high voltage; arc_trips: share of them that ends in a latched fault
    """

    output_relative: float
    kv_relative: float
    ma_relative: float
    filter_relative: float
    drift: float
    drift_s: float
    warm_up: float
    warm_up_s: float
    arcs_per_hour: float
    arc_trips: float


@dataclass(frozen=True, slots=True)
class DefectDepartures:
    """How this crystal colours, against `sample.defect_law.Typical` of its salt. `_ln`: logarithm of a factor.

    pair_cost_ln, vacanc*_ln   energy for a centre, vacancies that were there and the energy to fill one
    saturation_ln, late_ln     stable centres in the end; dose after which even that grows
    loose_share, fade_ln       pairs that may still fade, and the time constant of it
    separate_ev, recombine_ev  shifts of the two energies that decide the best temperature
    aggregate_*                M and R for their F, how M falls with the dose rate, how fast it follows
    pair_swells, loose_swells  formula volumes a centre; loop_strain: microstrain against the order of magnitude
    """

    pair_cost_ln: float
    vacancies_ln: float
    vacancy_cost_ln: float
    saturation_ln: float
    late_ln: float
    loose_share: float
    fade_ln: float
    separate_ev: float
    recombine_ev: float
    aggregate_ln: float
    aggregate_exponent: float
    aggregate_s_ln: float
    anneal_relative: float
    bleach_ln: float
    pair_swells: float
    loose_swells: float
    loop_strain: float


@dataclass(frozen=True, slots=True)
class OpticsDepartures:
    """Lamp, spectrometer, bands, ruby.

    lamp_drift, lamp_warm_up   relative, with a period and a time constant; flicker: one sigma in an exposure of 0.1 s
    stray                 share of all light that reaches every pixel; nonlinear: counts missing at full scale, relative
    wavelength_*          true wavelength of a pixel against the instrument's own coefficients
    band_*, strength_relative  true bands against the tables: place, width, lopsidedness, oscillator strength
    k_share               K band against the F band's peak; scatter: optical density of cracks at 500 nm
    glow                  unspecific luminescence; emission_shift_ev, quench_ln: LiF's bands, concentration of quenching
    ruby_offset_nm        this ruby's R1 without load; ruby_scale_relative: error of the calibration's pressure
    ruby_stress_gpa       uniaxial stress at the chip for each 10 GPa; ruby_width_cm: width in the cold, 1/cm
    ruby_tail             Lorentzian share of the lines; ruby_background: of diamond, against R1's height at 300 K
    """

    lamp_drift: float
    lamp_drift_s: float
    lamp_warm_up: float
    lamp_warm_up_s: float
    flicker: float
    stray: float
    nonlinear: float
    bias_counts: float
    dark_counts_per_s: float
    read_counts: float
    pixel_gain: float
    hot_pixels: int
    wavelength_offset_nm: float
    wavelength_relative: float
    band_shift_ev: float
    band_width_relative: float
    band_skew: float
    strength_relative: float
    k_share: float
    scatter: float
    glow: float
    emission_shift_ev: float
    quench_ln: float
    ruby_brightness: float
    ruby_offset_nm: float
    ruby_scale_relative: float
    ruby_stress_gpa: float
    ruby_width_cm: float
    ruby_tail: float
    ruby_background: float


@dataclass(frozen=True, slots=True)
class MonitorDepartures:
    """The flux monitor: charge a photon against what 3.66 eV a pair and its thickness give, dark current, shunt."""

    responsivity_relative: float
    dark_a: float
    shunt_ohm: float


@dataclass(frozen=True, slots=True)
class Departures:
    """One draw. Angstrom, metre, radian, pixels, as the names say."""

    cell: CellDepartures
    sample: SampleDepartures
    beam: BeamDepartures
    calibration: CalibrationDepartures
    profile: ProfileDepartures
    scene: SceneDepartures
    anvils: AnvilDepartures
    gasket: GasketDepartures
    sensor: SensorDepartures
    surroundings: SurroundingsDepartures
    microscope: MicroscopeDepartures
    tube: TubeDepartures
    defects: DefectDepartures
    optics: OpticsDepartures
    monitor: MonitorDepartures

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, for the truth file."""
        return asdict(self)


def draw(tier: tiers.Tier, chance: Chance) -> Departures:
    """The departures of this seed in this tier."""

    def section(name: str, kind: type[_Section]) -> _Section:
        return _drawn(kind, name, tier.sections[name], chance)

    return Departures(
        section("cell", CellDepartures),
        section("sample", SampleDepartures),
        section("beam", BeamDepartures),
        section("calibration", CalibrationDepartures),
        section("profile", ProfileDepartures),
        section("scene", SceneDepartures),
        section("anvils", AnvilDepartures),
        section("gasket", GasketDepartures),
        section("sensor", SensorDepartures),
        section("surroundings", SurroundingsDepartures),
        section("microscope", MicroscopeDepartures),
        section("tube", TubeDepartures),
        section("defects", DefectDepartures),
        section("optics", OpticsDepartures),
        section("monitor", MonitorDepartures),
    )


_Section = TypeVar("_Section")


def _drawn(kind: type[_Section], section: str, spans: Mapping[str, tiers.Span], chance: Chance) -> _Section:
    """One section. Raises ValueError where the table and the class don't name the same departures."""
    whole = {field.name: field.type in (int, "int") for field in fields(kind)}  # type: ignore[arg-type]
    if different := sorted(whole.keys() ^ spans.keys()):
        raise ValueError(f"tiers.toml [{section}] and {kind.__name__} differ in {', '.join(different)}")
    # One stream a name, so that a departure that is added later leaves the others where they were.
    return kind(**{
        name: tiers.draw(spans[name], chance.stream(f"departure.{section}.{name}"), whole=whole[name]) for name in whole
    })  # fmt: skip
