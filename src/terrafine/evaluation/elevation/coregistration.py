"""Estimate the shift between a candidate and its reference by the method of Nuth & Kääb, through xdem.

Elevation differences divided by the tangent of slope follow a cosine of aspect whose amplitude and phase are the
horizontal shift.

References
----------
Nuth & Kääb 2011, https://doi.org/10.5194/tc-5-271-2011
Implementation: https://xdem.readthedocs.io
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import MissingExtraError

__all__ = ["Shift", "estimate_shift"]

_SUBSAMPLE = 200_000
_ENOUGH = 1_000


@dataclass(frozen=True)
class Shift:
    """The shift that moves a surface onto its reference, in metres.

    Attributes
    ----------
    east, north, up
        Its components.
    """

    east: float = 0.0
    north: float = 0.0
    up: float = 0.0

    def record(self) -> dict[str, float]:
        """Return the `shift_m` of results.json, to a tenth of a millimetre."""
        return {"x": round(self.east, 4), "y": round(self.north, 4), "z": round(self.up, 4)}

    def cells(self, pixel_size_m: tuple[float, float]) -> tuple[float, float]:
        """Return the shift in cells.

        Parameters
        ----------
        pixel_size_m
            Metres (y, x) of a cell.

        Returns
        -------
        tuple of two floats
            Rows to the south and columns to the east.
        """
        return -self.north / pixel_size_m[0], self.east / pixel_size_m[1]


def estimate_shift(
    reference: NDArray[Any], candidate: NDArray[Any], pixel_size_m: tuple[float, float], *, seed: int = 0
) -> Shift | None:
    """Estimate the shift that moves a candidate onto its reference.

    Parameters
    ----------
    reference, candidate
        Metres (y, x), north up, NaN at nodata.
    pixel_size_m
        Metres (y, x) of a cell.
    seed
        Seed of the subsample.

    Returns
    -------
    Shift or None
        None if it is not identifiable: fewer than 1,000 common cells, no relief, or no convergence within five cells.

    Raises
    ------
    MissingExtraError
        If xdem is not installed.
    """
    try:
        from affine import Affine
        from pyproj import CRS
        from xdem.coreg import NuthKaab
    except ImportError as e:
        raise MissingExtraError(
            "co-registration needs xdem, of the extra `evaluate`; install terrafine[evaluate], or compare the surfaces "
            "as they lie with coregister=False"
        ) from e
    both = np.isfinite(reference) & np.isfinite(candidate)
    if np.count_nonzero(both) < _ENOUGH or float(np.std(reference[both])) == 0.0:
        return None
    dy, dx = pixel_size_m
    # A made-up metric grid: the shift then comes in metres on the ground whatever the CRS of the files.
    method = NuthKaab(subsample=_SUBSAMPLE)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            method.fit(
                reference_elev=reference.astype(np.float32),
                to_be_aligned_elev=candidate.astype(np.float32),
                inlier_mask=both,
                transform=Affine(dx, 0.0, 500_000.0, 0.0, -dy, 5_000_000.0),
                crs=CRS.from_epsg(32633),
                random_state=seed,
            )
    except (ValueError, RuntimeError, ZeroDivisionError, IndexError):
        return None  # xdem's ways of saying that no fit was found
    found = method.meta["outputs"]["affine"]
    shift = Shift(*(float(found[f"shift_{axis}"]) for axis in "xyz"))
    rows, cols = shift.cells(pixel_size_m)
    if not math.isfinite(rows + cols + shift.up) or math.hypot(rows, cols) > 5.0:
        return None
    return shift
