"""Compare class maps with a reference map, or with a sample of points: the whole of `results.json` as one dictionary.

Maps are compared on the reference's grid: each candidate is read at the centres of its cells, and all on the same
cells: those known in every candidate and in the reference, and not masked. Blocks stream through accumulators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import EmptyError, GridError, UsageError
from terrafine.evaluation.bootstrap import block_side, resample_weights
from terrafine.evaluation.classes.agreement import Boundaries, Confusion, boundary_reach, require_few_classes
from terrafine.evaluation.classes.options import Options
from terrafine.evaluation.classes.points import compare_sample
from terrafine.evaluation.classes.record import ClassMap, Inputs, results
from terrafine.evaluation.inputs import Candidates, PathLike, Progress, named_candidates
from terrafine.evaluation.overview import Overview
from terrafine.evaluation.surfaces import Labels, pixel_size
from terrafine.raster.read.content_type import class_names as stated_names
from terrafine.raster.read.content_type import open_labels
from terrafine.raster.read.source import Source

__all__ = ["Options", "compare"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_SIDE = 480  # cells along a side of a picture at most


@dataclass
class _Accumulated:
    """One candidate: its labels on the reference's grid, and its accumulators."""

    labels: Labels
    confusion: Confusion
    boundaries: Boundaries


def compare(
    candidates: Candidates,
    reference: PathLike,
    *,
    masks: Sequence[PathLike] = (),
    regions: PathLike | None = None,
    class_names: Mapping[int, str] | None = None,
    assume_crs: str | None = None,
    bands: Mapping[str, int] | None = None,
    progress: Progress | None = None,
    figures: Callable[[dict[str, Any]], None] | None = None,
    options: Options | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Compare class maps with a reference and rank them by F1 of class 1 of 0 and 1, else by the mean F1.

    Parameters
    ----------
    candidates : path, sequence of paths, or mapping of name to path
        The class maps to compare.
    reference : path
        A reference map; or a CSV of sampled points, from which accuracies and areas are estimated (`points`).
    masks : sequence of paths
        Rasters whose cells other than 0 are left out.
    regions : path, optional
        A raster of integers to break the agreement down by.
    class_names : mapping of int to str, optional
        Names of the classes, over those that the reference or else a candidate states.
    assume_crs : str, optional
        CRS of files that have none.
    bands : mapping of str to int, optional
        Number of the band `class` in maps of several bands that do not name it.
    progress : callable, optional
        Called with (steps done, steps in all).
    figures : callable, optional
        Called once with the pictures that `report.write_report` takes; not for a sample of points.
    options : Options, optional
        Options of the comparison.
    **fields
        Fields of `Options`, which override `options`.

    Returns
    -------
    dict
        The content of results.json. The same inputs give the same dictionary.

    Raises
    ------
    SourceError
        If a file cannot be read.
    GridError
        If the CRS differ, or a candidate does not overlap the reference.
    BandError
        If a map holds fractions, or more numbers than a legend has.
    EmptyError
        If no cell is known in every candidate and in the reference.
    UsageError
        If an option is outside its range, or masks or regions are given for a sample of points.
    """
    named = named_candidates(candidates)
    chosen = replace(options or Options(), **fields)
    if Path(reference).suffix.lower() == ".csv":
        if masks or regions is not None:
            raise UsageError(
                f"{reference}: a sample of points takes no masks and no regions: its strata are a column of the CSV"
            )
        return compare_sample(
            named, reference, class_names=class_names, assume_crs=assume_crs, bands=bands, progress=progress
        )
    with ExitStack() as stack:
        truth = stack.enter_context(open_labels(reference, assume_crs, bands=bands))
        opened = {name: stack.enter_context(open_labels(path, assume_crs, bands=bands)) for name, path in named.items()}
        hidden = [stack.enter_context(open_labels(m, assume_crs)) for m in masks]
        areas = None if regions is None else stack.enter_context(open_labels(regions, assume_crs))
        _overlap_or_raise(opened, truth, named, reference)
        comparison = _Comparison(
            opened=opened,
            named=named,
            truth=truth,
            reference=Labels(truth, truth.geobox, reference),
            masks=[Labels(source, truth.geobox, m) for source, m in zip(hidden, masks, strict=True)],
            regions=None if areas is None or regions is None else Labels(areas, truth.geobox, regions),
            options=chosen,
            pictures=figures is not None,
        )
        comparison.run(progress)
        if not comparison.cells_compared:
            raise EmptyError(
                f"{', '.join(map(str, named.values()))}: no cell is known in every candidate and in {reference}; "
                "expected at least one. Check nodata values, masks and extents"
            )
        if figures is not None:
            figures(comparison.pictures())
        stated = next((n for s in (truth, *opened.values()) if (n := stated_names(s))), {})
        names = {**stated, **(class_names or {})}
        inputs = Inputs(named, reference, truth, masks, regions, names)
        return results(comparison.maps(), inputs, comparison.distances_m, chosen, comparison.side, comparison.notes())


class _Comparison:
    """All candidates on the reference's grid, block by block."""

    def __init__(
        self,
        opened: Mapping[str, Source],
        named: Mapping[str, PathLike],
        truth: Source,
        reference: Labels,
        masks: Sequence[Labels],
        regions: Labels | None,
        options: Options,
        pictures: bool,
    ) -> None:
        self.opened, self.truth, self.reference = opened, truth, reference
        self.masks, self.regions, self.options = masks, regions, options
        self.size = pixel_size(truth)
        self.side = block_side(truth.shape, options.bootstrap_side)
        self.distances_m = tuple(float(d) for d in options.distances_m if d >= max(self.size))
        self.halo = boundary_reach(self.distances_m, self.size)
        self.candidates = {
            name: _Accumulated(
                Labels(source, truth.geobox, named[name]),
                Confusion(truth.shape, self.side),
                Boundaries(self.distances_m),
            )
            for name, source in opened.items()
        }
        self.numbers: dict[str, set[int]] = {}
        self.view = Overview(truth.shape, _SIDE) if pictures else None

    @property
    def cells_compared(self) -> bool:
        """Whether any cell was compared."""
        return any(candidate.confusion.cells for candidate in self.candidates.values())

    def run(self, progress: Progress | None) -> None:
        """Read every block once."""
        windows = list(_windows(self.truth.shape, self.options.block))
        for done, window in enumerate(windows, start=1):
            self._block(*window)
            if progress is not None:
                progress(done, len(windows))

    def _block(self, rows: slice, cols: slice) -> None:
        h = self.halo
        outer = tuple(slice(s.start - h, s.stop + h) for s in (rows, cols))
        inner = (slice(h, h + rows.stop - rows.start), slice(h, h + cols.stop - cols.start))
        read = {name: candidate.labels.read(*outer) for name, candidate in self.candidates.items()}
        reference = self.reference.read(*outer)
        paths = {name: candidate.labels.path for name, candidate in self.candidates.items()}
        for path, numbers in ((self.reference.path, reference), *((paths[n], v) for n, v in read.items())):
            seen = self.numbers.setdefault(path, set())
            seen.update(np.unique(numbers).tolist())
            require_few_classes(path, seen)
        known = reference >= 0
        for labels in read.values():
            known &= labels >= 0
        for mask in self.masks:
            known &= mask.read(*outer) <= 0
        at = (rows.start, cols.start)
        if known[inner].any():
            where = None if self.regions is None else self.regions.read(rows, cols)
            metres = self.truth.pixel_size_m(rows)
            for name, candidate in self.candidates.items():
                mine = read[name]
                candidate.confusion.add(mine[inner], reference[inner], known[inner], at, metres[0] * metres[1], where)
                if self.distances_m:
                    candidate.boundaries.add(mine, reference, known, inner, self.size)
        if self.view is not None:
            _draw(self.view, {n: labels[inner] for n, labels in read.items()}, reference[inner], known[inner], at)

    def maps(self) -> list[ClassMap]:
        """Each candidate with its accumulators and its bootstrapped confusion matrices."""
        first = next(iter(self.candidates.values()))
        weights = resample_weights(first.confusion.occupied(), self.options.draws, self.options.seed)
        classes = sorted({c for candidate in self.candidates.values() for c in candidate.confusion.classes})
        return [
            ClassMap(name, c.confusion, c.boundaries, c.confusion.drawn(classes, weights))
            for name, c in self.candidates.items()
        ]

    def notes(self) -> list[str]:
        """Sentences on what was left out or resampled."""
        found = [
            f"Boundary IoU at {d:g} m is left out: a cell of the reference measures {max(self.size):g} m."
            for d in self.options.distances_m
            if d < max(self.size)
        ]
        return found + [
            f"{name} has cells of {max(own):.3g} m on a reference of {max(self.size):.3g} m: it is read at the "
            "reference's cell centres."
            for name, source in self.opened.items()
            if abs(max(own := pixel_size(source)) / max(self.size) - 1) > 0.01
        ]

    def pictures(self) -> dict[str, Any]:
        """Shares by block of the overview: of class 1 in the reference and in each candidate, and of agreement."""
        view = self.view
        if view is None:
            return {}
        pairs = {name: (view.mean(f"class:{name}"), view.mean(f"agreement:{name}")) for name in self.candidates}
        return {"reference": view.mean("reference"), "factor": view.factor, "candidates": pairs}


def _draw(
    view: Overview, read: Mapping[str, I64], reference: I64, known: NDArray[np.bool_], at: tuple[int, int]
) -> None:
    """Add a block to the pictures."""
    view.add("reference", _share(reference == 1, known), at)
    for name, labels in read.items():
        view.add(f"class:{name}", _share(labels == 1, known), at)
        view.add(f"agreement:{name}", _share(labels == reference, known), at)


def _share(true: NDArray[np.bool_], known: NDArray[np.bool_]) -> F64:
    return np.where(known, true, np.nan).astype(np.float64)


def _windows(shape: tuple[int, int], block: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, shape[0], block):
        for left in range(0, shape[1], block):
            yield slice(top, min(top + block, shape[0])), slice(left, min(left + block, shape[1]))


def _overlap_or_raise(
    opened: Mapping[str, Source], truth: Source, candidates: Mapping[str, PathLike], reference: PathLike
) -> None:
    for name, source in opened.items():
        if source.geobox.crs == truth.geobox.crs and not source.geobox.extent.intersects(truth.geobox.extent):
            raise GridError(
                f"{candidates[name]}: does not overlap {reference}; expected a common area. Check both with "
                "`terrafine info`"
            )
