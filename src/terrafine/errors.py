"""Every error that Terrafine raises on purpose.

    TerrafineError                     exit code
    ├── UsageError                         2      an invalid option or argument
    ├── SourceError                        3      a file that is missing, truncated or not a raster
    │   ├── BandError                      4      a band that is absent, or holds values out of its range
    │   ├── GridError                      5      no usable CRS, unit, orientation or overlap
    │   ├── DatumError                     6      vertical datums that differ or cannot be converted
    │   └── EmptyError                     7      nothing but nodata
    ├── WeightsError                       8      weights that are not safetensors, damaged, or of another spec
    │   └── NoModelError                   9      no shipped or named weights serve the request
    ├── ResourceError                     10      more memory than allowed
    │   └── DiskError                     11      a disk that is, or would become, full
    ├── OutputError                       12      an output equal to an input, not to be replaced, or not verified
    ├── JobError                          13      a job folder of another run, or one in use
    ├── RecipeError                       14      a recipe that is incomplete or contradicts itself
    ├── DataError                         15      training or evaluation data that cannot serve
    ├── MissingExtraError                 16      an optional dependency that is not installed
    ├── GateError                         17      a surface that was judged and did not pass a gate
    ├── NetworkError                      18      a service that cannot be reached, refuses, or answers wrongly
    └── IncompleteError                   19      a campaign with tiles that have no result

A message names the file, what was found, what was expected and what to do. What to do is an argument of Python,
`name=value`, where a noun may stand: `state it with elevation_unit="ft"`, never a `--flag`. A function that lacks the
argument has it replaced (`terrafine.workflows.advice`), and the command line writes it as an option
(`terrafine.cli.advice`); a new argument needs a line in both tables.
"""

from __future__ import annotations

__all__ = [
    "BandError",
    "DataError",
    "DatumError",
    "DiskError",
    "EmptyError",
    "GateError",
    "GridError",
    "IncompleteError",
    "JobError",
    "MissingExtraError",
    "NetworkError",
    "NoModelError",
    "OutputError",
    "RecipeError",
    "ResourceError",
    "SourceError",
    "TerrafineError",
    "UsageError",
    "WeightsError",
]


class TerrafineError(Exception):
    """The root of all errors that are raised on purpose.

    Attributes
    ----------
    exit_code
        What the command line returns.
    """

    exit_code = 1


class UsageError(TerrafineError):
    """An option or argument that is invalid."""

    exit_code = 2


class SourceError(TerrafineError):
    """A file that is missing, truncated or not a raster."""

    exit_code = 3


class BandError(SourceError):
    """A band that is absent, ambiguous, or holds values out of its range."""

    exit_code = 4


class GridError(SourceError):
    """A grid without a usable CRS, unit, orientation or overlap."""

    exit_code = 5


class DatumError(SourceError):
    """Vertical datums that differ, or that cannot be converted."""

    exit_code = 6


class EmptyError(SourceError):
    """A source with no valid cell."""

    exit_code = 7


class WeightsError(TerrafineError):
    """Weights that are not safetensors, damaged, not finite, or of another spec."""

    exit_code = 8


class NoModelError(WeightsError):
    """No shipped or named weights serve the request."""

    exit_code = 9


class ResourceError(TerrafineError):
    """A run that needs more memory than it was allowed."""

    exit_code = 10


class DiskError(ResourceError):
    """A disk that is full, or would become so."""

    exit_code = 11


class OutputError(TerrafineError):
    """An output that may not be written: equal to an input, out of range, not writable, or read back otherwise.

    Parameters
    ----------
    message
        What was found, what was expected and what to do.
    lasting
        Whether another try would give the same output, so that finished work is of no use.
    """

    exit_code = 12

    def __init__(self, message: str = "", *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class JobError(TerrafineError):
    """A job folder that belongs to another run, or is in use by one."""

    exit_code = 13


class RecipeError(TerrafineError):
    """A training recipe that is incomplete or contradicts itself."""

    exit_code = 14


class DataError(TerrafineError):
    """Training or evaluation data that cannot serve."""

    exit_code = 15


class MissingExtraError(TerrafineError):
    """An optional dependency that is not installed; the message names the extra."""

    exit_code = 16


class GateError(TerrafineError):
    """A surface that was judged and did not pass a gate set for it."""

    exit_code = 17


class NetworkError(TerrafineError):
    """A service on the network that cannot be reached, refuses the request, or answers wrongly."""

    exit_code = 18


class IncompleteError(TerrafineError):
    """A campaign that ended with tiles that have no result; `status` states which, and why."""

    exit_code = 19
    status: object = None
