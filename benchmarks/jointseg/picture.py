"""The picture of docs/benchmarks/jointseg.md: input, what bilinear and JointSeg make of it, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from terrafine.training.segmentation.data import Sample

__all__ = ["chosen", "draw", "draw_city"]

_TITLES = ("input, 10 m", "bilinear: map", "JointSeg: image", "JointSeg: map", "true image", "label")


def chosen(samples: Sequence[Sample]) -> list[int]:
    """Which samples are shown, by their labels alone: the median of the dense tile, the two densest of the sparse."""
    share = [float((s.label == 1).mean()) for s in samples]
    dense = sorted((i for i, s in enumerate(samples) if s.split.endswith("dense")), key=share.__getitem__)
    sparse = sorted((i for i, s in enumerate(samples) if s.split.endswith("sparse")), key=share.__getitem__)
    return [*dense[len(dense) // 2 : len(dense) // 2 + 1], *sparse[-2:]]


def draw(
    samples: Sequence[Sample],
    bilinear: Sequence[NDArray[Any]],
    images: Sequence[NDArray[Any]],
    maps: Sequence[NDArray[Any]],
    path: Path,
) -> None:
    """One row for each sample; maps are probabilities from black to white, unknown labels grey."""
    figure = Figure(figsize=(2.1 * len(_TITLES), 2.25 * len(samples)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(samples), len(_TITLES), squeeze=False)
    for axes, sample, first, image, second in zip(panels, samples, bilinear, images, maps, strict=True):
        truth = sample.fine * sample.unit
        low, high = np.quantile(truth, (0.01, 0.99))
        for axis, picture in ((axes[0], sample.coarse * sample.unit), (axes[2], image), (axes[4], truth)):
            axis.imshow(((np.moveaxis(picture, 0, -1) - low) / (high - low)).clip(0, 1))
        label = np.where(sample.label > 1, 0.5, sample.label)
        for axis, values in ((axes[1], first), (axes[3], second), (axes[5], label)):
            axis.imshow(values.astype(np.float32), cmap="gray", vmin=0, vmax=1)
    _finished(figure, panels, path)


def draw_city(x: NDArray[Any], image: NDArray[Any], chance: NDArray[Any], path: Path) -> None:
    """Input, image and probability of a city's window, and of its middle fifth."""
    figure = Figure(figsize=(9.6, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3, squeeze=False)
    low, high = np.quantile(x, (0.01, 0.99))
    for axes, part in zip(panels, (1.0, 0.2), strict=True):
        for axis, values in zip(axes, (x, image, chance[None]), strict=True):
            side = values.shape[-1]
            at = slice(round(side * (1 - part) / 2), round(side * (1 + part) / 2))
            cut = values[:, at, at]
            if len(cut) == 3:
                axis.imshow(((np.moveaxis(cut, 0, -1) - low) / (high - low)).clip(0, 1))
            else:
                axis.imshow(cut[0], cmap="gray", vmin=0, vmax=1)
    for axis, title in zip(panels[0], ("Sentinel-2, 10 m", "JointSeg: image", "JointSeg: map"), strict=True):
        axis.set_title(title, fontsize=9)
    _finished(figure, panels, path, titles=())


def _finished(figure: Figure, panels: NDArray[Any], path: Path, titles: Sequence[str] = _TITLES) -> None:
    for axis, title in zip(panels[0], titles, strict=False):
        axis.set_title(title, fontsize=9)
    for axis in panels.flat:
        axis.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
