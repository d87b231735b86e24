"""Rise of a surface over the nine cells around a point: one formula for numpy arrays and torch tensors.

`central_difference` uses arithmetic alone, so that evaluation and training state the same slope.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Method", "central_difference", "gradient_to_the_edge"]

Method = Literal["horn", "zevenbergen-thorne"]
Values = TypeVar("Values", bound=Any)  # arrays or tensors

_WEIGHTS: dict[str, tuple[tuple[int, float], ...]] = {
    "horn": ((-1, 1.0), (0, 2.0), (1, 1.0)),
    "zevenbergen-thorne": ((0, 1.0),),
}


def central_difference(cell: Callable[[int, int], Values], method: Method = "horn") -> Values:
    """Return the rise per cell along one axis of the grid.

    Parameters
    ----------
    cell
        (across, along) -> the heights of the neighbour that many cells to the side of and along the axis, for every
        inner cell (..., y, x).
    method
        `horn` weights three pairs of cells 1, 2, 1; `zevenbergen-thorne` takes the middle pair.

    Returns
    -------
    Values
        Rise per cell at every inner cell, (..., y, x).

    Raises
    ------
    ValueError
        For another method.

    References
    ----------
    Horn 1981, doi:10.1109/PROC.1981.11918; Zevenbergen & Thorne 1987, doi:10.1002/esp.3290120107.
    """
    if method not in _WEIGHTS:
        raise ValueError(f"no gradient is called {method!r}; expected 'horn' or 'zevenbergen-thorne'")
    weights = _WEIGHTS[method]
    total: Any = sum(weight * (cell(side, 1) - cell(side, -1)) for side, weight in weights)
    rise: Values = total / (2 * sum(weight for _, weight in weights))
    return rise


def gradient_to_the_edge(
    surface: NDArray[Any], size: tuple[ArrayLike, ArrayLike]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rise per unit of every cell from its two neighbours along each axis, at an edge from the inner one.

    A cell needs only the four cells beside it, so next to nodata more cells have a gradient than by Horn's method.

    Parameters
    ----------
    surface
        Heights (y, x), NaN where nodata.
    size
        Size of a cell along y and along x, each a number or an array that broadcasts to (y, x).

    Returns
    -------
    down, right : ndarrays of float64, (y, x)
        Rise toward growing row and toward growing column; NaN beside nodata.

    References
    ----------
    Zevenbergen & Thorne 1987, doi:10.1002/esp.3290120107.
    """
    wide = np.pad(np.asarray(surface, np.float64), 1, mode="reflect", reflect_type="odd")
    height, width = surface.shape

    def cell(rows: int, cols: int) -> NDArray[np.float64]:
        return wide[1 + rows : 1 + rows + height, 1 + cols : 1 + cols + width]

    down = central_difference(lambda across, along: cell(along, across), "zevenbergen-thorne")
    right = central_difference(cell, "zevenbergen-thorne")
    return down / np.asarray(size[0]), right / np.asarray(size[1])
