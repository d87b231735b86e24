"""Hillshades side by side, under the same light and the same scale of grey, with a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from terrafine.workflows.outputs.preview import shaded_relief

mpl.use("Agg")
import matplotlib.pyplot as plt

Heights = NDArray[np.float64]

WINDOW = (slice(200, 456), slice(200, 456))  # the part that is drawn: 256 cells are still seen singly


@dataclass(frozen=True)
class Panel:
    """A surface with a title and a line beneath; `cells` is the side of its blocks of equal height."""

    title: str
    heights: Heights
    beneath: str
    cells: int = 1


def draw(path: Path, panels: Sequence[Panel], pixel_size_m: float) -> None:
    """Write the picture; the first panel is shaded on its own coarse cells."""
    figure, axes = plt.subplots(1, len(panels), figsize=(3.2 * len(panels), 3.9), layout="constrained")
    for axis, panel in zip(axes, panels, strict=True):
        k = panel.cells
        coarse = panel.heights[::k, ::k]
        shade = shaded_relief(coarse, np.full((2, coarse.shape[0]), pixel_size_m * k))
        shade = np.repeat(np.repeat(shade, k, axis=0), k, axis=1)[WINDOW]
        axis.imshow(shade, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(panel.title, fontsize=11)
        axis.set_xlabel(panel.beneath, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    _scale_bar(axes[0], pixel_size_m)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _scale_bar(axis: plt.Axes, pixel_size_m: float, kilometres: float = 2.0) -> None:
    length, bottom = kilometres * 1000 / pixel_size_m, WINDOW[0].stop - WINDOW[0].start - 14
    axis.plot([12, 12 + length], [bottom, bottom], color="white", linewidth=5, solid_capstyle="butt")
    axis.plot([12, 12 + length], [bottom, bottom], color="black", linewidth=3, solid_capstyle="butt")
    axis.text(
        12 + length / 2,
        bottom - 6,
        f"{kilometres:g} km",
        ha="center",
        va="bottom",
        fontsize=9,
        bbox={"facecolor": "white", "alpha": 0.7, "pad": 1, "edgecolor": "none"},
    )
