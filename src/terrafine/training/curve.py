"""Plot of a run: loss and held-out score by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from terrafine.training.sheet import figure_of

__all__ = ["draw_curve"]

_NOT_LOSSES = ("step", "rate", "to_bicubic", "to_consistent", "slope_to_bicubic")
_WEIGHT = "weight_"


def draw_curve(
    log: Sequence[Mapping[str, float]], path: Path, title: str, scores: Sequence[str] = _NOT_LOSSES[2:]
) -> None:
    """Write a PNG with losses, held-out scores and weights of losses that adapt.

    Parameters
    ----------
    log
        Lines of the log.
    path
        File to write.
    title
        Title of the figure.
    scores
        Names of the held-out scores; by default ratios to interpolation.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    found = sorted({k for line in log for k in line})
    weights = [k for k in found if k.startswith(_WEIGHT)]
    losses = [k for k in found if k not in (*_NOT_LOSSES, *scores) and k not in weights]
    label = "held-out error, ratio" if tuple(scores) == _NOT_LOSSES[2:] else "held-out score"
    scores = [k for k in scores if k in found]
    panels = [("loss", losses), (label, scores)] + ([("weight of a term", weights)] * bool(weights))
    with figure_of(path, (1, len(panels)), (4.5 * len(panels), 3.6), dpi=110) as (figure, axes):
        for axis, (label, names) in zip(axes[0], panels, strict=True):
            for name in names:
                points = [(line["step"], line[name]) for line in log if name in line]
                style: dict[str, Any] = {"marker": ".", "lw": 1} if names is scores else {"lw": 0.8}
                axis.plot(*zip(*points, strict=True), label=name.removeprefix(_WEIGHT).replace("_", " "), **style)
            axis.set_xlabel("step")
            axis.set_ylabel(label)
            axis.grid(alpha=0.3)
            if axis.has_data():
                axis.legend(fontsize=7)
        figure.suptitle(title, fontsize=10)
