"""Drainage comparison of whole surfaces: the only measure that cannot stream, because water flows to the border.

All surfaces of a group are read into memory as float32. The memory is known from the shape and the number of surfaces;
above the limit nothing is read, and a sentence states the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import UsageError
from terrafine.evaluation.hydrology import (
    DEFAULT_STAGES_M,
    compare_drainage,
    default_areas_km2,
    drainage,
    hydrology_memory,
    streams,
)

__all__ = ["DEFAULT_LIMIT_BYTES", "DrainageComparison", "DrainageOptions", "memory_needed", "compare_all"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Key = tuple[float, float]
Reader = Callable[[slice, slice], tuple[list[F64], dict[Key, F64]]]

DEFAULT_LIMIT_BYTES = 4 * 2**30
"""A fixed number, not a share of this machine's memory: the same inputs give the same results everywhere."""

_BLOCK = 1024
_LEAST = 3  # cells along a side that flow routing takes


class Routed(Protocol):
    """A surface by name, and which of the references it is compared with."""

    name: str
    key: Key


@dataclass(frozen=True)
class DrainageOptions:
    """Options of the drainage comparison.

    Attributes
    ----------
    areas_km2
        Contributing areas at which streams begin; None to choose them by the extent.
    stages_m
        Flood heights above the streams in metres.
    limit_bytes
        Memory limit.

    Raises
    ------
    UsageError
        If a value is not positive, or no flood stage is given.
    """

    areas_km2: tuple[float, ...] | None = None
    stages_m: tuple[float, ...] = DEFAULT_STAGES_M
    limit_bytes: int = DEFAULT_LIMIT_BYTES

    def __post_init__(self) -> None:
        for what, values in (("contributing area in km²", self.areas_km2 or ()), ("flood stage in m", self.stages_m)):
            for value in values:
                if not 0 < value < float("inf"):
                    raise UsageError(f"{what} {value}: expected a positive number")
        if not self.stages_m:
            raise UsageError("no flood stage was given; expected at least one, in metres")


@dataclass(frozen=True)
class DrainageComparison:
    """Result of the drainage comparison.

    Attributes
    ----------
    records
        `Scores.hydrology` by surface.
    streams
        Streams (y, x) by surface and "reference".
    area_km2
        Contributing area at which these streams begin.
    """

    records: Mapping[str, dict[str, Any]]
    streams: Mapping[str, NDArray[np.bool_]]
    area_km2: float


def memory_needed(shape: tuple[int, int], surfaces: int, references: int) -> int:
    """Return the peak memory: routing of two surfaces, the others as float32, and one stream mask each.

    Parameters
    ----------
    shape
        Rows and columns (y, x).
    surfaces, references
        Numbers of surfaces and of references.

    Returns
    -------
    int
        Bytes.
    """
    return hydrology_memory(shape) + shape[0] * shape[1] * (4 * (surfaces + references - 2) + surfaces + 1)


def compare_all(
    routed: Sequence[Routed], read: Reader, shape: tuple[int, int], pixel_size_m: F64, options: DrainageOptions
) -> DrainageComparison | str:
    """Compare the drainage of every surface with that of its reference.

    Parameters
    ----------
    routed
        The surfaces by name, and the key of their reference.
    read
        Reads windows of all surfaces and references in metres, NaN where any is nodata.
    shape
        Rows and columns (y, x).
    pixel_size_m
        Metres along y and x of a cell in each row, (2, y).
    options
        Options of the comparison.

    Returns
    -------
    DrainageComparison or str
        A sentence if hydrology was left out.

    Raises
    ------
    MissingExtraError
        If numba or pyflwdir is not installed.
    """
    keys = list(dict.fromkeys(one.key for one in routed))
    if min(shape) < _LEAST:
        return f"Hydrology was left out: {shape[0]} × {shape[1]} cells are too few to route water."
    need = memory_needed(shape, len(routed), len(keys))
    if need > options.limit_bytes:
        return (
            f"Hydrology was left out: flow routing needs the whole of {len(routed)} surfaces in memory, "
            f"{need / 2**30:.1f} GiB for {shape[0]} × {shape[1]} cells, and {options.limit_bytes / 2**30:.1f} GiB are "
            "allowed. Allow more with hydrology_memory=SIZE, or evaluate a smaller extent."
        )
    surfaces, references = _whole(read, len(routed), keys, shape)
    valid = np.isfinite(surfaces[0])
    size = np.ascontiguousarray(pixel_size_m[::-1])  # hydrology takes x before y
    areas = options.areas_km2 or tuple(default_areas_km2(valid, size))
    shown = sorted(areas)[len(areas) // 2]
    records: dict[str, dict[str, Any]] = {}
    masks: dict[str, NDArray[np.bool_]] = {}
    for key in keys:
        truth = drainage(references.pop(key), valid, size)
        masks.setdefault("reference", streams(truth, shown))
        for one in routed:
            if one.key == key:
                own = drainage(surfaces.pop(routed.index(one)), valid, size)
                records[one.name] = compare_drainage(own, truth, areas_km2=areas, stages_m=options.stages_m)
                masks[one.name] = streams(own, shown)
                del own
    return DrainageComparison(records, masks, float(shown))


def _whole(
    read: Reader, count: int, keys: Sequence[Key], shape: tuple[int, int]
) -> tuple[dict[int, F32], dict[Key, F32]]:
    surfaces = {i: np.full(shape, np.nan, np.float32) for i in range(count)}
    references = {key: np.full(shape, np.nan, np.float32) for key in keys}
    for r in range(0, shape[0], _BLOCK):
        for c in range(0, shape[1], _BLOCK):
            rows, cols = slice(r, min(r + _BLOCK, shape[0])), slice(c, min(c + _BLOCK, shape[1]))
            own, theirs = read(rows, cols)
            for i, z in enumerate(own):
                surfaces[i][rows, cols] = z
            for key, z in theirs.items():
                references[key][rows, cols] = z
    return surfaces, references
