"""The accumulators of one surface: one for each metric that applies, and the sums for the bootstrap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.bootstrap import interval
from terrafine.evaluation.elevation.blocks import Block
from terrafine.evaluation.elevation.strata import BlockSums
from terrafine.evaluation.metrics import Context, Final, Metric

__all__ = ["Accumulators"]

F64 = NDArray[np.float64]


class Accumulators:
    """Metrics of one surface; blocks do not overlap and come in any order.

    Parameters
    ----------
    blocks
        Sums by bootstrap block.
    metrics
        All metrics of elevation models.
    context
        What they may depend on.
    """

    def __init__(self, blocks: BlockSums, metrics: tuple[Metric, ...], context: Context) -> None:
        self.blocks = blocks
        self._metrics = tuple(metric for metric in metrics if metric.feed != "whole")
        self._found: dict[str, Any] = {}
        self._start(context, "block", "coarse")

    @property
    def cells(self) -> int:
        """Number of cells compared."""
        return int(self.blocks.sums[0].sum())

    def _start(self, context: Context, *feeds: str) -> None:
        for metric in self._metrics:
            if metric.feed in feeds:
                self._found[metric.key] = metric.start(context)

    def add_block(self, block: Block, at: tuple[int, int]) -> None:
        """Add a block.

        Parameters
        ----------
        block
            Candidate and reference with halo.
        at
            Row and column of the first inner cell.
        """
        self.blocks.add(block.error, block.compared, *at)
        self._add("block", block)

    def add_coarse(self, averaged: F64, observed: F64) -> None:
        """Add coarse cells.

        Parameters
        ----------
        averaged, observed
            Block means of the surface and the coarse input in metres (y, x), NaN at nodata.
        """
        self._add("coarse", averaged, observed)

    def start_windows(self, context: Context) -> None:
        """Start the metrics that take windows again.

        Parameters
        ----------
        context
            States the side of the windows, `window_cells`.
        """
        self._start(context, "window")

    def add_window(self, candidate: F64, reference: F64) -> None:
        """Add a square window.

        Parameters
        ----------
        candidate, reference
            Finite metres (y, x).
        """
        self._add("window", candidate, reference)

    def _add(self, feed: str, *values: Any) -> None:
        for metric in self._metrics:
            accumulator = self._found.get(metric.key)
            if metric.feed == feed and accumulator is not None:
                self._found[metric.key] = accumulator.add(*values)

    def summary(self, weights: F64, slope_method: str, class_names: Mapping[int, str] | None = None) -> dict[str, Any]:
        """Return the `Scores` part of results.json.

        Parameters
        ----------
        weights
            Bootstrap weights of the blocks (draw, block).
        slope_method
            Name of the slope method.
        class_names
            Names of classes by number.

        Returns
        -------
        dict
            Metric key to its record.
        """
        found = {name: interval(values) for name, values in self.blocks.statistics(weights).items()}
        intervals = {name: pair for name, pair in found.items() if pair is not None}
        final = Final(intervals, class_names or {}, slope_method)
        out = {}
        for metric in self._metrics:
            accumulator = self._found.get(metric.key)
            out[metric.key] = metric.absent if accumulator is None else metric.record(accumulator, final)
        return out
