"""The picture of a run: loss and held-out score against the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from terrafine.errors import MissingExtraError

__all__ = ["draw_curve"]

_NOT_LOSSES = ("step", "rate", "to_bicubic", "to_consistent", "slope_to_bicubic")


def draw_curve(log: Sequence[Mapping[str, float]], path: Path, title: str) -> None:
    """Write a PNG with one panel of losses (log scale) and one of held-out ratios to interpolation."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as e:
        raise MissingExtraError("the loss curve needs matplotlib: pip install 'terrafine[train]'") from e
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    losses, scores = figure.subplots(1, 2)
    for name in sorted({k for line in log for k in line if k not in _NOT_LOSSES}):
        points = [(line["step"], line[name]) for line in log if name in line]
        losses.plot(*zip(*points, strict=True), lw=0.8, label=name)
    for name in _NOT_LOSSES[2:]:
        points = [(line["step"], line[name]) for line in log if name in line]
        if points:
            scores.plot(*zip(*points, strict=True), marker=".", lw=1, label=name.replace("_", " "))
    for axis, label in ((losses, "loss"), (scores, "held-out error, ratio")):
        axis.set_xlabel("step")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        if axis.has_data():
            axis.legend(fontsize=7)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)
