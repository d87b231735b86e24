"""Pictures of a run: input, predicted image, true image, probability, label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from terrafine.training.sheet import image_sheet

__all__ = ["draw_samples"]

_TITLES = ("10 m", "predicted, 1 m grid", "true 1 m", "probability", "label")


def draw_samples(rows: Sequence[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]], path: Path) -> None:
    """Write a PNG with coarse, predicted and true image, probability and label of samples.

    Parameters
    ----------
    rows
        Images (band, ·, ·), probability (y, x) and label (y, x) of each sample.
    path
        File to write.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    with image_sheet(path, len(rows), _TITLES, (11, 2.3)) as panels:
        for axes, (coarse, predicted, truth, chance, label) in zip(panels, rows, strict=True):
            low, high = np.quantile(truth[:3].cpu().numpy(), (0.01, 0.99))
            for axis, image in zip(axes, (coarse, predicted, truth), strict=False):
                axis.imshow(((image[:3].cpu().permute(1, 2, 0).numpy() - low) / max(high - low, 1e-6)).clip(0, 1))
            axes[3].imshow(chance.cpu().numpy(), cmap="magma", vmin=0, vmax=1)
            shown = label.cpu().numpy().astype(np.float32)
            axes[4].imshow(np.where(shown > 1, np.nan, shown), cmap="magma", vmin=0, vmax=1)
