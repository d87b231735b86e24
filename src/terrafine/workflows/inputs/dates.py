"""Several dates of one place as the input of one model."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from terrafine.errors import BandError, NoModelError, UsageError

if TYPE_CHECKING:
    from terrafine.raster.read.images.date_stack import DateStack
    from terrafine.raster.read.images.image import ImageSource
    from terrafine.systems import ModelRef

__all__ = ["of_dates", "open_dates", "require_alike", "require_dates"]

_THINNED = 97  # one in so many sampled cells is compared between dates
_EQUAL = 5e-5  # reflectance; less than half a digital number of Sentinel-2
_ONE_ALONE = (
    " A stated sensor holds for all dates; for one date alone write its scale into the file, as for Sentinel-2 with "
    "offset: gdal_edit -a_nodata 0 -scale 0.0001 -offset -0.1 FILE"
)


def require_dates(ref: ModelRef, paths: Sequence[str]) -> None:
    """Check that a model combines dates, and that each date is given once.

    Parameters
    ----------
    ref
        The model.
    paths
        One file for each date.

    Raises
    ------
    NoModelError
        If the model reads one date.
    UsageError
        For fewer than two files, too many, or a file that is given twice.
    """
    from terrafine.raster.read.images.date_stack import MOST_DATES
    from terrafine.systems import find_system

    if not find_system(ref.spec.system).combines_dates:
        raise NoModelError(f"{ref.name} reads one date; with stack=True expected citymap, or weights of that system")
    if not 2 <= len(paths) <= MOST_DATES:
        raise UsageError(
            f"{len(paths)} file{'s' * (len(paths) != 1)} with stack=True; expected 2 to {MOST_DATES} dates"
        )
    if twice := sorted({path for path in paths if list(paths).count(path) > 1}):
        raise UsageError(f"{twice[0]}: is given twice with stack=True; expected each date once")


def open_dates(paths: Sequence[str], **options: Any) -> DateStack:
    """Open one image for each date, on one grid, and check that none is there twice.

    Parameters
    ----------
    paths
        One file for each date.
    **options
        Arguments of `open_image`.

    Returns
    -------
    DateStack
        The dates.

    Raises
    ------
    UsageError, SourceError, BandError, GridError, EmptyError
        As `open_image`; GridError also for dates on different grids, and UsageError for two dates with the same
        reflectance.
    """
    from terrafine.raster.read.images.date_stack import DateStack

    with contextlib.ExitStack() as opened:
        stack = DateStack([opened.enter_context(_open(path, **options)) for path in paths])
        _require_different(stack)
        opened.pop_all()
        return stack


def _open(path: str, **options: Any) -> ImageSource:
    from terrafine.raster.read.images.reflectance import open_image

    try:
        return open_image(path, **options)
    except BandError as error:
        if "sensor=" not in str(error):
            raise
        raise BandError(f"{error}.{_ONE_ALONE}") from None


def _require_different(stack: DateStack) -> None:
    """Refuse a date that is there twice, under whatever name: it would count twice."""
    import numpy as np

    from terrafine.raster.read.images.image_sample import sample

    seen = [(image.paths[0], sample(image)[:, ::_THINNED]) for image in stack.images]
    for (earlier, a), (later, b) in itertools.combinations(seen, 2):
        if a.size and a.shape == b.shape and np.abs(a - b).max() < _EQUAL:
            raise UsageError(f"{later}: holds the reflectance of {earlier}; with stack=True expected each date once")


def require_alike(paths: Sequence[str], band: str, **options: Any) -> None:
    """Check that no date has a band that another lacks.

    Parameters
    ----------
    paths
        One file for each date, of which one or more lack the band.
    band
        Name of the band.
    **options
        Arguments of `open_image` with which a date that has the band opens.

    Raises
    ------
    BandError
        If only some dates have it; the message names the others. Also what else is wrong with the bands of a date.
    """
    lacking = []
    for path in paths:
        try:
            _open(path, **options).close()
        except BandError as error:
            if f"'{band}'" not in str(error):
                raise
            lacking.append(path)
    if len(lacking) < len(paths):
        having = next(path for path in paths if path not in lacking)
        raise BandError(
            f"{', '.join(lacking)}: no band is called {band}, which {having} has; with stack=True expected the same "
            "bands of each date. Leave those dates out, or describe their bands"
        )


def of_dates(ref: ModelRef, dates: int) -> ModelRef:
    """Return the model as it reads the bands of several dates.

    Parameters
    ----------
    ref
        The model for one date.
    dates
        Number of dates.

    Returns
    -------
    ModelRef
        The same weights, with the bands of each date and where it was measured as inputs.
    """
    from terrafine.raster.bands import inputs_of_dates

    spec = dataclasses.replace(ref.spec, inputs=inputs_of_dates(ref.spec.inputs, dates))
    return dataclasses.replace(ref, spec=spec, options=dataclasses.replace(ref.options, dates=dates))
