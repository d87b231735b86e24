"""Pictures of a run with matplotlib: figures of panels, written whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from terrafine.atomic import written
from terrafine.errors import MissingExtraError

__all__ = ["check_extras", "figure_of", "image_sheet"]


def check_extras() -> None:
    """Check that the package for pictures is installed.

    Raises
    ------
    MissingExtraError
        Where it is not.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("pictures of a training need matplotlib: pip install 'terrafine[train]'")


@contextlib.contextmanager
def figure_of(path: Path, panels: tuple[int, int], size: tuple[float, float], dpi: int) -> Iterator[tuple[Any, Any]]:
    """Write a PNG of panels that the block fills.

    Parameters
    ----------
    path
        File to write.
    panels
        Rows and columns.
    size
        Width and height, inches.
    dpi
        Dots per inch.

    Yields
    ------
    figure, axes
        The figure, and its axes as an array of objects, (row, column).

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    check_extras()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    yield figure, figure.subplots(*panels, squeeze=False)
    with written(path) as part:
        figure.savefig(part, dpi=dpi, format="png")


@contextlib.contextmanager
def image_sheet(path: Path, rows: int, titles: Sequence[str], size: tuple[float, float]) -> Iterator[Any]:
    """Write a PNG of images in rows, a title above each column.

    Parameters
    ----------
    path
        File to write.
    rows
        Number of rows.
    titles
        Title of each column.
    size
        Width of the sheet and height of a row, inches.

    Yields
    ------
    ndarray of axes, (row, column)
        The axes to draw on.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    with figure_of(path, (rows, len(titles)), (size[0], size[1] * rows), dpi=80) as (_, panels):
        yield panels
        for axis, title in zip(panels[0], titles, strict=True):
            axis.set_title(title, fontsize=9)
        for axis in panels.flat:
            axis.set_axis_off()
