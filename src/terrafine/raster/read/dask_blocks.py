"""Blocks of dask arrays: each has the shape and the type that its array declares, or an error names it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from terrafine.errors import GridError, SourceError

__all__ = ["verified"]


def verified(array: Any, name: str) -> Any:
    """Return a DataArray whose blocks are checked when they are computed.

    Parameters
    ----------
    array
        The DataArray.
    name
        What messages call it.

    Returns
    -------
    DataArray
        The same numbers; one in memory as it is. A block of another shape or type than its array declares raises
        SourceError when it is computed.

    Raises
    ------
    GridError
        If sizes of blocks are not known.
    """
    if not array.chunks:
        return array
    data = array.data
    if any(math.isnan(size) for sizes in data.chunks for size in sizes):
        raise GridError(
            f"{name} has blocks of unknown size; expected known ones. Compute them: "
            "array.data.compute_chunk_sizes(), or load the array: array.load()"
        )
    return array.copy(data=data.map_blocks(_verified, name, dtype=data.dtype, meta=data._meta))


def _verified(block: Any, who: str, block_info: Any = None) -> Any:
    """The block, if it is as declared; `block_info` is what dask knows of it."""
    if not block_info:
        return block
    about = block_info[0]
    declared = tuple(stop - start for start, stop in about["array-location"])
    if np.shape(block) == declared and block.dtype == block_info[None]["dtype"]:
        return block
    place = ", ".join(map(str, about["chunk-location"]))
    raise SourceError(
        f"{who}: its block ({place}) has the shape {np.shape(block)} and the type {block.dtype}; the array declares "
        f"{declared} and {block_info[None]['dtype']}. Correct the function that makes the blocks, or what it declares "
        "(`chunks` and `dtype` of dask.array.map_blocks)"
    )
