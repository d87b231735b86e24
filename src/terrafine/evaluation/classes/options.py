"""The options of a comparison of class maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from terrafine.arguments import check_fields
from terrafine.errors import UsageError

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """Options of `classes.compare.compare`; each may be given to it directly by keyword.

    Parameters
    ----------
    distances_m : sequence of float
        Distances of boundary IoU, metres; one that is shorter than a cell is left out with a note.
    block : int
        Cells along a side of what is read at once; it changes no result.
    bootstrap_side : int, optional
        Cells along a block of the spatial bootstrap; by default a sixteenth of the longer side of the grid.
    draws, seed : int
        Bootstrap samples, and the seed of the random generator.

    Raises
    ------
    UsageError
        If a value is outside its range.
    """

    distances_m: Sequence[float] = (2.0, 5.0)
    block: int = 1024
    bootstrap_side: int | None = None
    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.block < 64 or self.draws < 100 or not all(d > 0 for d in self.distances_m):
            raise UsageError(
                f"block {self.block}, draws {self.draws}, distances {list(self.distances_m)}; expected at least 64 "
                "cells, 100 draws and distances above 0 m"
            )
