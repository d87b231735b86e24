"""How noisy one raster of a known product is: the level of its noise from its own spectrum, with the product as prior.

Power of at most 30 windows is explained as terrain and noise, as for a DEM of unknown origin, but with the point spread
and the correlation of the product. What the spectrum shows is the part of the error between a few cells; on the pair
that is kept for tuning it is `_SEEN` of the noise of the product, and this share is taken for all rasters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from terrafine.raster.products.estimate import FEWEST_WINDOWS, group_noise, sample_windows
from terrafine.raster.products.model import Product
from terrafine.raster.products.terrain_spectrum import CORRELATIONS
from terrafine.raster.protocol import Readable

__all__ = ["NoiseLevel", "measure_level", "with_level"]

_SEEN = 0.45  # of the noise of SRTM 3" that the spectrum of its tile in the Scottish Borders shows
_SPREAD = 0.5  # of the logarithm of the level between rasters of one product: ten tiles of SRTM 3" give 0.49
_ERROR = 0.3  # of the logarithm of a measured level, where noise stands out: from simulated rasters
_BLIND = 0.03  # share of the power at high frequency at which that error is 1
_LEAST_SHARE = 0.05  # below it noise is not seen
_STEPS = 2.0  # rounding errors below which noise is not separable from them
_FACTORS = (0.25, 4.0)


@dataclass(frozen=True, slots=True)
class NoiseLevel:
    """The noise of one raster relative to that of its product.

    Attributes
    ----------
    factor
        Noise of this raster over that of the product, the product's own spread taken into account; 1 where it was not
        measured.
    measured
        Whether the raster shows its noise.
    words
        How the level was found, for summaries and tags; empty for a product without noise.
    """

    factor: float
    measured: bool
    words: str


def measure_level(source: Readable, product: Product, size_m: tuple[float, float]) -> NoiseLevel:
    """The noise of a raster relative to that of its product, on cells of that size (y, x) in metres.

    The logarithm of the measured level is drawn towards 0, the product's own level, by the spread between rasters of a
    product (0.5, and the published error of its noise) against the error of the measurement (0.3 and more).

    Parameters
    ----------
    source
        An open DEM; at most 30 windows of 64 × 64 cells are read, always the same ones.
    product
        Its product, on its cells.
    size_m
        Metres of a cell (y, x).

    Returns
    -------
    NoiseLevel
    """
    sensor, error = product.sensor, product.uncertainty
    if sensor.exact or not sensor.noise_flat_m > 0:
        return NoiseLevel(1.0, False, "")
    if error is None:
        return _of_product("the noise of this product was not compared with its spectrum")
    if sensor.correlation_cells > CORRELATIONS[-1]:
        return _of_product("noise correlated so far is not separable from terrain")
    windows = sample_windows(source)
    if len(windows) < FEWEST_WINDOWS:
        return _of_product(f"fewer than {FEWEST_WINDOWS} windows of 64 × 64 cells with relief and without a gap")
    found = _logarithm(windows, product, size_m)
    if found is None:
        return _of_product("no noise stands out from the terrain")
    seen, variance = found
    spread = _SPREAD**2 + (error.noise_flat_m / sensor.noise_flat_m) ** 2
    factor = float(np.clip(math.exp(seen * spread / (spread + variance)), *_FACTORS))
    return NoiseLevel(round(factor, 3), True, f"{factor:.2f} of the product's, from the spectrum of this raster")


def _of_product(reason: str) -> NoiseLevel:
    return NoiseLevel(1.0, False, f"the product's ({reason})")


def _logarithm(
    windows: Sequence[NDArray[np.floating]], product: Product, size_m: tuple[float, float]
) -> tuple[float, float] | None:
    """Logarithm of the level and its variance, over the groups of windows whose noise is seen; None without any."""
    sensor, error = product.sensor, product.uncertainty
    errors = (0.0, 0.0) if error is None else (error.psf_cells, error.correlation_cells)
    values, weights = [], []
    for group in group_noise(windows, size_m, sensor, errors):
        if group.share < _LEAST_SHARE or group.noise_m < _STEPS * sensor.rounding_m / math.sqrt(12.0):
            continue
        values.append(math.log(group.noise_m / (_SEEN * sensor.noise_m(group.slope))))
        weights.append(1.0 / (_ERROR**2 + (_BLIND / group.share) ** 2))
    if not values:
        return None
    return float(np.average(values, weights=weights)), 1.0 / max(weights)


def with_level(product: Product, level: NoiseLevel) -> Product:
    """The product with the noise of one raster."""
    if level.factor == 1.0:
        return product
    flat, rise = (
        round(level.factor * value, 3) for value in (product.sensor.noise_flat_m, product.sensor.noise_slope_m)
    )
    return replace(product, sensor=replace(product.sensor, noise_flat_m=flat, noise_slope_m=rise))
