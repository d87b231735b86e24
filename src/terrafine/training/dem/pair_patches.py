"""Patches of a real pair, and simulated products that have the errors of its sensor."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terrafine.nn.dihedral import COUNT, transform
from terrafine.nn.system import GROWTH_SLOPE, REFERENCE_SLOPE
from terrafine.training.dem.misfit import Misfit
from terrafine.training.dem.operators import on_device
from terrafine.training.dem.products import ProductDegradation
from terrafine.training.dem.real_pair import PairCells

__all__ = ["is_real", "pair_patch", "with_errors"]

F32 = NDArray[np.float32]


def is_real(pair: PairCells, scale: int, rng: np.random.Generator) -> bool:
    """Draw whether a patch is one of the pair.

    Parameters
    ----------
    pair
        The pair.
    scale
        Scale of the patch; at another one than that of the pair nothing is drawn.
    rng
        Source of the draw.

    Returns
    -------
    bool
        Whether it is.
    """
    return pair.table.scale == scale and bool(rng.random() < pair.table.patches)


def with_errors(
    product: ProductDegradation, pair: PairCells, size: int, rng: np.random.Generator
) -> ProductDegradation:
    """Put the errors of a real sensor in the place of simulated noise, in a share of the patches that have noise.

    Parameters
    ----------
    product
        Product of the patch; canopy is left out where its errors are real, because they hold it.
    pair
        The pair.
    size
        Coarse cells along the patch with its margin.
    rng
        Source of the draw.

    Returns
    -------
    ProductDegradation
        The product.

    Raises
    ------
    DataError
        Where no window has enough cells of both files.
    """
    if rng.random() >= pair.table.errors or not product.noise_share > 0:
        return product
    error = pair.draw_error(size, rng)
    return replace(
        product,
        noise_share=error.noise_share,
        correlation_cells=error.correlation_cells,
        noise_growth=error.noise_growth,
        misfit=replace(product.misfit, canopy_share=0.0),
        error=error,
    )


def pair_patch(
    pair: PairCells,
    size: int,
    exaggerate: float,
    stated_cells: float,
    rng: np.random.Generator,
    device: torch.device,
    *,
    mirror: bool,
) -> tuple[Tensor, Tensor, F32, dict[str, F32], F32, Tensor]:
    """Draw a patch of both files, with the product stated about as inference states it.

    Parameters
    ----------
    pair
        The pair.
    size
        Coarse cells along the patch.
    exaggerate
        Largest logarithm of the factor of the heights.
    stated_cells
        Standard deviation of the stated point spread and correlation about those of the product, in cells.
    rng
        Source of the draw.
    device
        Where the patch is needed.
    mirror
        Whether it is reflected and rotated at random.

    Returns
    -------
    tuple
        Coarse (1, y, x) and fine heights (1, k·y, k·x), pixel size (2, y, 1), no guides, conditions (6,), and 1 where
        both files have the cell, (1, y, x).

    Raises
    ------
    DataError
        As in `with_errors`.
    """
    found = pair.draw_patch(size, rng)
    factor = math.exp(rng.uniform(-exaggerate, exaggerate))
    turn = int(rng.integers(COUNT)) if mirror else 0
    level, blur, correlation = (float(v) for v in rng.normal(size=3))
    sensor, cell = found.sensor, found.pixel_size_m
    stated = ProductDegradation(
        psf_cells=sensor.psf_cells,
        noise_share=factor * sensor.noise_m(REFERENCE_SLOPE) / math.sqrt(math.prod(cell)),
        correlation_cells=sensor.correlation_cells,
        noise_growth=GROWTH_SLOPE * sensor.noise_slope_m / sensor.noise_flat_m,
        rounding_m=factor * sensor.rounding_m,
        exact=False,
        misfit=Misfit(stated=(pair.table.stated * level, stated_cells * blur, stated_cells * correlation, 0.0)),
    )
    coarse, fine, valid = (
        transform(on_device(values, device), turn)[None].float()
        for values in (factor * found.coarse, factor * found.fine, found.valid.astype(np.float64))
    )
    pixel = cell[::-1] if turn & 1 else cell
    cells = np.broadcast_to(np.asarray(pixel, np.float32)[:, None, None], (2, size, 1)).copy()
    return coarse, fine, cells, {}, np.asarray(stated.conditions(cell), np.float32), valid
