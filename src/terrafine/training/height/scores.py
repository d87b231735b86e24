"""Scores of heights from images by tile, for each objective, and pictures of tiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from terrafine.physics.ssim import ssim
from terrafine.training.sheet import image_sheet

__all__ = ["draw_tiles", "level_of", "mean_ssim", "score_tiles"]

_RANGE_M = 3472.300537109375 + 168.6189727783203  # of the published data: dynamic range of SSIM


def level_of(heights: Tensor, valid: Tensor, objective: str) -> Tensor:
    """Apply the level of an objective to heights.

    Parameters
    ----------
    heights
        Metres, (n, 1, y, x).
    valid
        1 where the height is known, else 0, (n, 1, y, x).
    objective
        `global`: heights as they are; `shift`: above the tile's lowest cell; `relief`: above the tile's mean.

    Returns
    -------
    Tensor
        Metres, (n, 1, y, x).
    """
    if objective == "shift":
        known = torch.where(valid > 0, heights, torch.full_like(heights, float("inf")))
        return heights - known.amin(dim=(2, 3), keepdim=True)
    if objective == "relief":
        count = valid.sum(dim=(2, 3), keepdim=True).clamp_min(1)
        return heights - (heights * valid).sum(dim=(2, 3), keepdim=True) / count
    return heights


def score_tiles(predicted: Tensor, truth: Tensor, valid: Tensor) -> dict[str, Tensor]:
    """Compute MAE and RMSE in metres, SSIM and R² of each tile over valid cells.

    R² is 1 − squared error / variance within the tile: the tile's mean scores 0, and a wrong level scores less.

    Parameters
    ----------
    predicted, truth
        Metres, (n, 1, y, x).
    valid
        1 where the truth is known, else 0, (n, 1, y, x).

    Returns
    -------
    dict[str, Tensor]
        `mae`, `rmse`, `ssim` and `r2`, each (n,).
    """
    error = (predicted - truth) * valid
    count = valid.sum(dim=(1, 2, 3)).clamp_min(1)
    mean = (truth * valid).sum(dim=(1, 2, 3)) / count
    spread = (((truth - mean[:, None, None, None]) * valid) ** 2).sum(dim=(1, 2, 3)).clamp_min(1e-6)
    square = error.square().sum(dim=(1, 2, 3))
    return {
        "mae": error.abs().sum(dim=(1, 2, 3)) / count,
        "rmse": (square / count).sqrt(),
        "ssim": mean_ssim(torch.where(valid > 0, predicted, truth), truth),
        "r2": 1 - square / spread,
    }


def mean_ssim(a: Tensor, b: Tensor, data_range: float = _RANGE_M) -> Tensor:
    """Compute the mean structural similarity of each tile.

    Parameters
    ----------
    a, b
        Metres, (n, 1, y, x).
    data_range
        Range of the data in metres.

    Returns
    -------
    Tensor
        (n,).
    """
    x, y = (tiles[:, 0].double().cpu().numpy() for tiles in (a, b))
    return torch.from_numpy(ssim(x, y, data_range).mean(axis=(1, 2))).float().to(a.device)


def draw_tiles(rows: Sequence[tuple[Tensor, Tensor, Tensor]], path: Path) -> None:
    """Write a PNG with the image, true and predicted heights of tiles, heights on one scale in each row.

    Parameters
    ----------
    rows
        Image (3, y, x) in reflectance, true heights (y, x) and predicted heights (y, x) of each tile.
    path
        File to write.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    with image_sheet(path, len(rows), ("image", "truth", "predicted"), (7.2, 2.4)) as panels:
        for axes, (image, truth, predicted) in zip(panels, rows, strict=True):
            low, high = (float(v) for v in np.nanquantile(truth.numpy(), (0.01, 0.99)))
            picture = (image / image.quantile(0.98)).clamp(0, 1).permute(1, 2, 0).numpy()
            axes[0].imshow(picture)
            for axis, surface in zip(axes[1:], (truth, predicted), strict=True):
                axis.imshow(surface.numpy(), cmap="terrain", vmin=low, vmax=high)
