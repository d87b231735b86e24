"""Clouds and their shadows by OmniCloudMask, a network of its own package, in place of the classes of a scene."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import DataError, MissingExtraError, UsageError

__all__ = ["BANDS", "COARSEST_M", "FINEST_M", "Finder", "cloud_finder", "require_cells"]

F32 = NDArray[np.float32]
Finder = Callable[[F32], NDArray[np.bool_]]
BANDS = ("red", "green", "nir")
FINEST_M, COARSEST_M = 10.0, 50.0
_CLEAR = 0  # of its classes; 1 thick cloud, 2 thin cloud, 3 cloud shadow
_NODATA = 0.0
_SMALLEST = 64  # cells along a side; smaller images are padded with nodata
_PATCH, _OVERLAP = 1000, 300
_DARKEST = 1e-4  # reflectance below this would read as nodata
_one_at_a_time = threading.Lock()


def require_cells(bands: tuple[str, ...], cell_m: float) -> None:
    """Check that an image can be given to OmniCloudMask.

    Parameters
    ----------
    bands
        Bands that are fetched.
    cell_m
        Cell size in metres.

    Raises
    ------
    UsageError
        Without red, green and near infrared, or for cells that it is not made for.
    """
    if lacking := [name for name in BANDS if name not in bands]:
        raise UsageError(
            f"mask='omnicloudmask' needs the bands {', '.join(BANDS)}; {', '.join(lacking)} is not among "
            f"{', '.join(bands)}. Fetch them too, or state mask='classes'"
        )
    if not FINEST_M <= round(cell_m, 3) <= COARSEST_M:
        raise UsageError(
            f"mask='omnicloudmask' is made for cells of {FINEST_M:g} to {COARSEST_M:g} m; these have {cell_m:g} m. "
            "State another cell size, or mask='classes'"
        )


def cloud_finder(bands: tuple[str, ...]) -> tuple[Finder, str]:
    """Return a function that finds clear cells, and the name and version of what does it.

    Parameters
    ----------
    bands
        Names of the bands of the images that it will be given.

    Returns
    -------
    finder : callable
        Takes reflectance, float32 (band, y, x), NaN where there is none; returns clear cells, bool (y, x). It may be
        called from several threads; one image is worked on at a time.
    name : str
        Such as `omnicloudmask 1.8.1`.

    Raises
    ------
    MissingExtraError
        Where omnicloudmask is not installed, or cannot be imported.

    References
    ----------
    Wright et al. (2025), https://doi.org/10.1016/j.rse.2025.114694; `predict_from_array` of omnicloudmask 1.8.1
    """
    try:
        import omnicloudmask
    except (ImportError, RuntimeError) as error:  # torchvision raises RuntimeError where it does not fit torch
        raise MissingExtraError(
            f"mask='omnicloudmask': the package cannot be imported ({error}); pip install 'terrafine[clouds]', or "
            "state mask='classes'"
        ) from error
    places = [bands.index(name) for name in BANDS]

    def clear(values: F32) -> NDArray[np.bool_]:
        with _one_at_a_time:
            return _clear(omnicloudmask.predict_from_array, values[places])

    return clear, f"omnicloudmask {getattr(omnicloudmask, '__version__', '')}".strip()


def _clear(predict: Callable[..., Any], values: F32) -> NDArray[np.bool_]:
    """Cells of class 0; those without a value are not clear."""
    known = np.asarray(np.isfinite(values).all(axis=0), np.bool_)
    image = np.where(known, np.maximum(values, np.float32(_DARKEST)), np.float32(_NODATA))
    height, width = known.shape
    short = [(0, 0), (0, max(0, _SMALLEST - height)), (0, max(0, _SMALLEST - width))]
    image = np.pad(image, short, constant_values=_NODATA)
    patch = min(_PATCH, *image.shape[1:])
    classes = np.asarray(
        predict(image, patch_size=patch, patch_overlap=min(_OVERLAP, patch // 2), no_data_value=_NODATA)
    )
    if classes.shape != (1, *image.shape[1:]):
        raise DataError(
            f"omnicloudmask: gave an array of shape {classes.shape}; expected {(1, *image.shape[1:])}. Install the "
            "release that this version is written for: pip install 'terrafine[clouds]'"
        )
    return np.asarray(known & (classes[0, :height, :width] == _CLEAR), np.bool_)
