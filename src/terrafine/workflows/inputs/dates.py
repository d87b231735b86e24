"""Several dates of one place as the input of one model."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from terrafine.errors import NoModelError, UsageError

if TYPE_CHECKING:
    from terrafine.raster.read.images.date_stack import DateStack
    from terrafine.systems import ModelRef

__all__ = ["of_dates", "open_dates", "require_dates"]


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
    """Open one image for each date, on one grid.

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
        As `open_image`; GridError also for dates on different grids.
    """
    from terrafine.raster.read.images.date_stack import DateStack
    from terrafine.raster.read.images.reflectance import open_image

    with contextlib.ExitStack() as opened:
        stack = DateStack([opened.enter_context(open_image(path, **options)) for path in paths])
        opened.pop_all()
        return stack


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
