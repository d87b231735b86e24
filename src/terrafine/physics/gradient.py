"""Rise of a surface over the nine cells around a point: one formula for numpy arrays and torch tensors.

Only arithmetic is used, so that evaluation and training state the same slope, and neither needs the other's library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

__all__ = ["Method", "central_difference"]

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
