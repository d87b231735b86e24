"""What to advise where the rows of a raster cannot be divided into training and held-out ground."""

from __future__ import annotations

import math

__all__ = ["advice"]


def advice(rows: int, gap: int, least: int) -> str:
    """Return what a message advises where a share held out leaves too few rows on one side.

    Parameters
    ----------
    rows
        Rows of the raster.
    gap
        Rows between training and held-out ground.
    least
        Rows that either side needs.

    Returns
    -------
    str
        The shares that fit, else how many rows would do.
    """
    low, high = math.ceil(100 * least / rows) / 100, math.floor(100 * (rows - gap - least) / rows) / 100
    if low > high:
        return f"Take a larger area, of {gap + 2 * least} rows or more"
    return f"State hold_out=SHARE from {low:g} to {high:g}, or take a larger area"
