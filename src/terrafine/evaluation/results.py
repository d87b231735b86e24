"""The shape of `results.json` and of the pictures beside it: what evaluation writes and the report reads.

    Results
    ├── reference, coarse, settings          what was compared, and how
    ├── verdict                              one sentence for the whole comparison
    ├── candidates[]                         best first; each a `Scores` with a name, a path and a verdict
    │   ├── elevation, by_slope, by_elevation, by_class
    │   ├── terrain, spectrum, consistency, uncertainty, hydrology
    │   └── shift_m                          what co-registration moved it by
    └── baselines{bicubic, back_projected}   each a `Scores` over the same pixels

Any part may be absent or None: the report leaves out what was not measured and states it. Numbers are plain Python
floats and ints, metres unless the key states another unit; what is undefined is None, never NaN, so that the file is
strict JSON.
Pictures are small arrays held in `Figures`; nothing in them is needed to read the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Required, TypedDict

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FORMATS",
    "Baselines",
    "Candidate",
    "Consistency",
    "Elevation",
    "Figures",
    "Histogram",
    "Raster",
    "Reliability",
    "Results",
    "Scores",
    "Spectrum",
    "Stratum",
    "Terrain",
    "TerrainMeasure",
    "Threshold",
    "Uncertainty",
    "Verdict",
    "Window",
    "finite",
]

FORMATS = {
    "elevation": "terrafine-evaluation/1",
    "classes": "terrafine-classes/1",
    "images": "terrafine-images/1",
}
"""The value of `format` in results.json, for each thing compared; the number grows when a key changes its meaning."""

Interval = list[float]
"""[lower, upper] of a 95 % interval."""


class Histogram(TypedDict):
    """Counts of errors between consecutive edges; `below` and `above` hold what lies outside the edges."""

    edges_m: list[float]
    counts: list[int]
    below: int
    above: int


class Threshold(TypedDict):
    """Fraction of pixels whose |error| exceeds a threshold."""

    threshold_m: float
    fraction: float


class Elevation(TypedDict, total=False):
    """Statistics of candidate minus reference in metres; le90 and le95 are percentiles of |error|."""

    n: Required[int]
    bias: float | None
    median: float | None
    mae: float | None
    rmse: float | None
    nmad: float | None
    sd: float | None
    le90: float | None
    le95: float | None
    psnr: float | None
    """10 log10(ΔS² / MSE) with ΔS = max − min of the reference."""
    candidate_min: float | None
    candidate_max: float | None
    candidate_sd: float | None
    reference_min: float | None
    reference_max: float | None
    reference_sd: float | None
    beyond: list[Threshold]
    histogram: Histogram
    intervals: dict[str, Interval]
    """95 % intervals by spatial block bootstrap, by the name of the statistic, for example {"rmse": [3.9, 4.3]}."""


class Stratum(Elevation, total=False):
    """Elevation statistics of one slope class, elevation band or land class; bounds in degrees or metres."""

    label: Required[str]
    lower: float | None
    upper: float | None


class TerrainMeasure(TypedDict, total=False):
    """One derived surface: its unit, RMSE, and fraction of unexplained variance (1 − r²)."""

    unit: str
    n: int
    bias: float | None
    rmse: float | None
    fuv: float | None


class Terrain(TypedDict, total=False):
    """Derived surfaces by name (slope, aspect, plan_curvature, …) and the extracted lines."""

    method: str
    measures: dict[str, TerrainMeasure]
    valleys: dict[str, float | None]
    """precision, recall, f1 of valley cells, and the tolerance in cells."""
    ridges: dict[str, float | None]


class Spectrum(TypedDict, total=False):
    """Radially averaged spectra, one value a wavelength, longest first."""

    wavelength_m: Required[list[float]]
    power_reference: list[float]
    power_candidate: list[float]
    ratio: list[float | None]
    coherence: list[float | None]
    effective_resolution_m: float | None
    """Wavelength where coherence first falls below 0.5; None where it never does."""
    invented_fraction: float | None
    """Share of the candidate's energy, at wavelengths shorter than the effective resolution, that is not coherent."""


class Consistency(TypedDict, total=False):
    """Block mean of the candidate minus the coarse input, in metres."""

    n: int
    bias: float | None
    rmse: float | None
    max_abs: float | None
    within: float | None
    """Fraction of coarse cells within `tolerance_m`."""
    tolerance_m: float


class Reliability(TypedDict):
    """How often the reference fell within the central interval that should hold it with probability `nominal`."""

    nominal: float
    observed: float | None


class Uncertainty(TypedDict, total=False):
    """Judgement of a σ band: coverage of the central 68 and 90 % intervals, and the reliability diagram.

    multiples   half width over σ by probability, where the file or the user gave it; elsewhere it is the Gaussian one
    """

    n: int
    coverage_68: float | None
    coverage_90: float | None
    mean_sigma: float | None
    multiples: dict[str, float] | str
    reliability: list[Reliability]


class Verdict(TypedDict, total=False):
    """A plain sentence, and the numbers that it states."""

    sentence: Required[str]
    better: bool | None
    """True, False, or None where the interval includes 1 or no baseline is at hand."""
    baseline: str
    """The stronger baseline that the sentence compares with: "bicubic" or "back_projected"."""
    rmse_ratio: float | None
    rmse_ratio_interval: Interval | None


class Scores(TypedDict, total=False):
    """Everything measured on one surface against the reference; `hydrology` is laid out in `evaluation.hydrology`."""

    elevation: Required[Elevation]
    by_slope: list[Stratum]
    by_elevation: list[Stratum]
    by_class: list[Stratum]
    terrain: Terrain | None
    spectrum: Spectrum | None
    consistency: Consistency | None
    uncertainty: Uncertainty | None
    hydrology: dict[str, Any] | None
    shift_m: dict[str, float] | None
    """{"x": east, "y": north, "z": up}: what was added to the candidate's position before differencing."""


class Candidate(Scores, total=False):
    """One compared surface; `name` is unique among candidates and keys its pictures."""

    name: Required[str]
    path: str
    rank: int
    verdict: Verdict


class Baselines(TypedDict, total=False):
    """Interpolations of the coarse input, scored on the same pixels as the candidates."""

    bicubic: Scores
    back_projected: Scores


class Raster(TypedDict, total=False):
    """One input file as it was read."""

    path: str
    width: int
    height: int
    crs: str
    pixel_size_m: list[float]
    """[x, y], means over the rows."""
    vertical_datum: str | None


class Results(TypedDict, total=False):
    """One evaluation: the whole of `results.json`."""

    format: Required[str]
    terrafine: str
    reference: Required[Raster]
    coarse: Raster | None
    settings: dict[str, Any]
    """Every option that shaped the numbers, shown as a table at the end of the page."""
    notes: list[str]
    """Sentences that a reader must know: masks applied, datums converted, measures that were left out and why."""
    verdict: Required[Verdict]
    candidates: Required[list[Candidate]]
    baselines: Baselines
    gates: list[dict[str, Any]]
    """What the gates ask of each candidate: candidate, kind, key, limit, value, passed."""


@dataclass(frozen=True)
class Window:
    """A part of the extent as the page shows it; arrays are (y, x) on one grid, NaN at nodata, at most 640 per side.

    Attributes
    ----------
    title
        Text under the picture.
    pixel_size_m
        Metres (x, y) of a cell.
    reference
        Elevations of the reference in metres.
    surfaces
        Elevations in metres by name: candidates, and "bicubic" and "back_projected" if there are baselines.
    streams
        Boolean masks by the same names and "reference".
    streams_area_km2
        Contributing area at which the streams begin.
    """

    title: str
    pixel_size_m: tuple[float, float]
    reference: NDArray[np.floating[Any]]
    surfaces: dict[str, NDArray[np.floating[Any]]]
    streams: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    streams_area_km2: float | None = None


@dataclass(frozen=True)
class Figures:
    """The pictures of one evaluation: the whole extent, averaged if large, and a detail at full resolution.

    Attributes
    ----------
    overview, detail
        The two windows; no detail for a small extent.
    detail_box
        Position of the detail in the overview: left, top, right, bottom as shares of its sides.
    """

    overview: Window
    detail: Window | None = None
    detail_box: tuple[float, float, float, float] | None = None
    """Where the detail lies in the overview: left, top, right, bottom as shares of its sides."""


def finite(value: Any) -> float | None:
    """Return a float for strict JSON.

    Parameters
    ----------
    value
        A number.

    Returns
    -------
    float or None
        None if it is not finite.
    """
    number = float(value)
    return number if math.isfinite(number) else None
