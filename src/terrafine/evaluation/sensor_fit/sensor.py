"""A registered and fitted pair as a sensor model with its uncertainty, and what the user should know of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import GridError, UsageError
from terrafine.evaluation.sensor_fit.fit import Known, SensorSamples, fit_sensor
from terrafine.evaluation.sensor_fit.pair import Pair
from terrafine.evaluation.sensor_fit.registration import Registration, register
from terrafine.evaluation.sensor_fit.residuals import collect
from terrafine.raster.products.model import SensorModel, SensorUncertainty
from terrafine.raster.protocol import RasterSource

__all__ = ["FittedSensor", "fit_pair"]

F64 = NDArray[np.float64]
_COARSEST = 1.25  # cells of the reference per coarse cell of the same area, above which it cannot serve
_FINER = 1.5  # coarse cells per reference cell, below which the two share the difference
_EXACT = (0.15, 0.002)  # blur in cells, noise as a share of the cell: below both, cells are block means
_TYPICAL = 0.2  # slope at which noise is judged


@dataclass(frozen=True, slots=True)
class FittedSensor:
    """Result of a fit.

    Attributes
    ----------
    sensor, uncertainty
        The sensor model for square cells of `cell_m`, and its standard errors.
    cell_m
        Side of a square of the area of a coarse cell, in metres.
    shift
        How far the coarse grid lies from the reference.
    cells, blocks
        Cells and bootstrap blocks compared.
    notes
        What limits the result.
    """

    sensor: SensorModel
    uncertainty: SensorUncertainty
    cell_m: float
    shift: Registration
    cells: int
    blocks: int
    notes: tuple[str, ...]


def fit_pair(
    coarse: RasterSource,
    reference: RasterSource,
    *,
    reference_sensor: SensorModel | None = None,
    points: bool = False,
    draws: int = 200,
    seed: int = 0,
) -> FittedSensor:
    """Register a coarse DEM on a reference and fit its sensor model.

    Parameters
    ----------
    coarse, reference
        Open DEMs of one ground in metres.
    reference_sensor
        Sensor model of the reference, whose blur is added and whose noise is taken off; None for a reference that is
        far better.
    points
        Whether cells of the reference are heights at points rather than means over its cells.
    draws, seed
        Bootstrap samples and their seed.

    Returns
    -------
    FittedSensor
        The sensor model with its uncertainty.

    Raises
    ------
    GridError
        For a reference that is coarser, does not overlap, or shows other ground.
    EmptyError
        For too few common cells.
    UsageError
        For a reference sensor with more noise than the two differ.
    """
    pair = Pair(coarse, reference, points=points)
    cell, ratio = math.sqrt(pair.size[0] * pair.size[1]), math.sqrt(pair.ratio[0] * pair.ratio[1])
    if ratio < 1 / _COARSEST:
        raise GridError(
            f"{reference.paths[0]}: its cells of {cell / ratio:.3g} m are coarser than those of {coarse.paths[0]}, "
            f"{cell:.3g} m; expected a finer reference"
        )
    shift = register(pair)
    residuals = collect(pair, shift)
    samples = fit_sensor(residuals, Known(reference_sensor, pair.ratio), draws, seed)
    if samples.claimed > 0.8:
        raise UsageError(
            f"the product of the reference states {100 * samples.claimed:.0f} % of the variance by which "
            f"{coarse.paths[0]} differs from it, so that nothing can be fitted to the rest; give another "
            "reference_product=NAME, or none"
        )
    reach = ratio**-2 / 12.0  # variance of the mean over a cell of the reference, in coarse cells²
    added = 0.0 if reference_sensor is None else (reference_sensor.psf_cells / ratio) ** 2
    sensor, uncertainty = _model(samples, added, reach, residuals.step, cell)
    notes = _notes(samples, uncertainty, sensor, ratio, reference_sensor)
    return FittedSensor(sensor, uncertainty, cell, shift, samples.cells, samples.blocks, notes)


def _model(
    samples: SensorSamples, added: float, reach: float, step: float, cell: float
) -> tuple[SensorModel, SensorUncertainty]:
    """Means and standard errors; how much of its cell the reference stands for is part of the error of the blur."""
    blur = float(samples.blur[0]) + added
    error = math.hypot(float(samples.blur[1:].std()), reach)
    psf = math.sqrt(max(blur, 0.0))
    psf_error = (math.sqrt(max(blur + error, 0.0)) - math.sqrt(max(blur - error, 0.0))) / 2.0
    flat, slope, correlation = (float(v[0]) for v in (samples.flat, samples.slope, samples.correlation))
    noise = flat + slope * _TYPICAL
    exact = psf < _EXACT[0] and noise < _EXACT[1] * cell
    sensor = SensorModel(round(psf, 3), round(flat, 3), round(slope, 3), round(correlation, 3), step, exact)
    spread = [round(float(v[1:].std()), 3) for v in (samples.flat, samples.slope, samples.correlation)]
    return sensor, SensorUncertainty(round(psf_error, 3), *spread)


def _notes(
    samples: SensorSamples,
    uncertainty: SensorUncertainty,
    sensor: SensorModel,
    ratio: float,
    reference_sensor: SensorModel | None,
) -> tuple[str, ...]:
    notes = []
    if ratio < _FINER and reference_sensor is None:
        notes.append(
            f"the reference is only {ratio:.2g} times finer and its own noise is not known: all of the difference is "
            "attributed to the coarse DEM, so that noise is an upper bound and point spread is relative to the "
            "reference. State the reference's product with reference_product=NAME"
        )
    if uncertainty.psf_cells > 0.5 * max(sensor.psf_cells, 0.2):
        notes.append(
            f"the point spread, {sensor.psf_cells:.2g} ± {uncertainty.psf_cells:.2g} cells, is hardly identifiable "
            "from this pair: a finer reference or steeper ground would show it"
        )
    if float(samples.blur[0]) < 0 and sensor.psf_cells == 0:
        notes.append("the coarse DEM is sharper than the reference averaged over its cells: point spread 0 was taken")
    if samples.blocks < 30:
        notes.append(f"the errors rest on {samples.blocks} blocks of the ground; expected 30 or more for reliable ones")
    notes.append(
        "differences of the ground between the two, such as canopy, roofs and changes, count as noise of the product"
    )
    return tuple(notes)
