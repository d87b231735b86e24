"""Which cells of a scene show clear ground: by the classes that come with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import UsageError

__all__ = ["clear_cells"]

# Sentinel-2 scene classification: 0 no data, 1 saturated or defective, 2 topographic shadow, 3 cloud shadow, 4
# vegetation, 5 not vegetated, 6 water, 7 unclassified, 8 cloud medium, 9 cloud high, 10 thin cirrus, 11 snow or ice.
# https://sentiwiki.copernicus.eu/web/s2-processing#S2Processing-L2AAlgorithms
_SCL_CLEAR = (2, 4, 5, 6, 7, 11)
# Landsat collection 2 QA_PIXEL: bit 0 fill, 1 dilated cloud, 2 cirrus, 3 cloud, 4 cloud shadow.
# https://www.usgs.gov/landsat-missions/landsat-collection-2-quality-assessment-bands
_QA_UNUSABLE = 0b11111


def clear_cells(kind: str, classes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which cells show clear ground.

    Parameters
    ----------
    kind
        Kind of the collection: `sentinel-2-l2a` (SCL) or `landsat-l2` (QA_PIXEL).
    classes
        Numbers of the mask asset, (y, x), NaN where there is none.

    Returns
    -------
    ndarray of bool, (y, x)
        False for cloud, cloud shadow, cirrus, saturated and absent cells.

    Raises
    ------
    UsageError
        For another kind.
    """
    numbers = np.nan_to_num(classes, nan=0.0).astype(np.int64)
    if kind == "sentinel-2-l2a":
        return np.isin(numbers, _SCL_CLEAR)
    if kind == "landsat-l2":
        return np.asarray(np.isfinite(classes) & (numbers > 0) & (numbers & _QA_UNUSABLE == 0), np.bool_)
    raise UsageError(
        f"no classes are known for {kind}; expected sentinel-2-l2a or landsat-l2, or a preset without mask"
    )
