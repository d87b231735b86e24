"""Candidates of one grid, and the interpolations of their coarse input, compared on the same cells, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import GridError
from terrafine.evaluation.bootstrap import block_side, resample_weights
from terrafine.evaluation.elevation.accumulators import Accumulators
from terrafine.evaluation.elevation.blocks import BLOCK_HALO, Block, Derived
from terrafine.evaluation.elevation.coregistration import Shift, estimate_shift
from terrafine.evaluation.elevation.drainage import DrainageComparison, DrainageOptions, compare_all
from terrafine.evaluation.elevation.options import Options
from terrafine.evaluation.elevation.spectrum import window_starts
from terrafine.evaluation.elevation.strata import BlockSums, band_step
from terrafine.evaluation.metrics import Context, elevation_metrics
from terrafine.evaluation.overview import Overview
from terrafine.evaluation.surfaces import (
    Interpolated,
    Labels,
    Readable,
    aligned,
    moved,
    pixel_size,
    scale_between,
    window,
)
from terrafine.raster.protocol import RasterSource
from terrafine.raster.warp.resample import block_sum

__all__ = ["Group", "Surface"]

F64 = NDArray[np.float64]

_SAMPLE = 1536  # cells along the window that co-registration and elevation bands are read from
_STILL = 0.02  # cells: a smaller shift is not worth averaging the reference again
_WINDOWS = 8  # spectrum windows along each axis at most


@dataclass
class Surface:
    """One compared surface: its source, its shift, the reference on its shifted grid, and its accumulators."""

    name: str
    source: Readable
    accumulators: Accumulators
    context: Context
    sigma: bool = False
    shift: Shift | None = None
    reference: Readable | None = None
    key: tuple[float, float] = (0.0, 0.0)
    hydrology: dict[str, Any] | None = None

    def summary(self, weights: F64, options: Options, class_names: Mapping[int, str] | None) -> dict[str, Any]:
        """The `Candidate` part of results.json, without rank, path and verdict."""
        shift = None if self.shift is None else self.shift.record()
        scores = self.accumulators.summary(weights, options.slope_name, class_names)
        return {"name": self.name, "shift_m": shift, "hydrology": self.hydrology} | scores


class Group:
    """Surfaces of one grid and what is measured on them; `run` yields once a step and fills their accumulators."""

    def __init__(
        self,
        candidates: Mapping[str, Readable],
        reference: RasterSource,
        coarse: Readable | None,
        masks: Sequence[tuple[str, Readable]],
        classes: tuple[str, Readable] | None,
        options: Options,
        stated: Mapping[str, Mapping[float, float]] | None = None,
        *,
        pictures: bool = False,
    ) -> None:
        first = next(iter(candidates.values()))
        self.names, self.geobox, self.shape = list(candidates), first.geobox, first.shape
        self.grid, self.reference, self.coarse, self.options = first, reference, coarse, options
        self.masks = [Labels(source, self.geobox, path) for path, source in masks]
        self.classes = None if classes is None else Labels(classes[1], self.geobox, classes[0])
        self.size = pixel_size(first)
        self.bootstrap_side = block_side(self.shape, options.bootstrap_side)
        self.notes: list[str] = []
        self.missing = "no coarse input was given"
        self.k = None if coarse is None else scale_between(self.geobox, coarse.geobox)
        self._candidates = dict(candidates)
        self._metrics = elevation_metrics()
        self._stated = stated or {}
        self.candidates: list[Surface] = []
        self.baselines: list[Surface] = []
        step = options.block
        self._corners = [(r, c) for r in range(0, self.shape[0], step) for c in range(0, self.shape[1], step)]
        self.steps = len(self._corners) + 1 + (options.drainage is not None)
        self.drainage: DrainageComparison | None = None
        self.overview = Overview(self.shape) if pictures else None

    @property
    def surfaces(self) -> list[Surface]:
        """Candidates, then baselines."""
        return [*self.candidates, *self.baselines]

    @property
    def cells_compared(self) -> int:
        """Number of cells on which all surfaces were compared."""
        return self.candidates[0].accumulators.cells if self.candidates else 0

    def run(self) -> Iterator[None]:
        """Estimate shifts; then stream blocks, windows for spectra and the whole for drainage; yield once a step."""
        self._enter()
        for corner in self._corners:
            self._block(*corner)
            yield
        self._spectra()
        yield
        if self.options.drainage is not None:
            self._drainage(self.options.drainage)
            yield

    def weights(self) -> F64:
        """Bootstrap draws, the same for all surfaces."""
        occupied = self.candidates[0].accumulators.blocks.sums[0] > 0
        return resample_weights(occupied, self.options.draws, self.options.seed)

    def _enter(self) -> None:
        rows, cols, reference = self._sample()
        low, high = (
            (float(v) for v in np.nanpercentile(reference, [0, 100])) if np.isfinite(reference).any() else (0, 1)
        )
        step = band_step(low, high)
        interpolated = self._interpolations()  # first: it settles whether the grid subdivides that of the coarse input
        candidates = [self._surface(name, source, step, True) for name, source in self._candidates.items()]
        base = [self._surface(name, source, step, False) for name, source in interpolated.items()]
        for surface in (*candidates, *base[-1:]):
            self._settle(surface, rows, cols, reference)
        for surface in base[:-1]:
            surface.shift, surface.reference, surface.key = base[-1].shift, base[-1].reference, base[-1].key
        self.candidates, self.baselines = candidates, base
        if max(pixel_size(self.reference)) > 1.05 * max(self.size):
            self.notes.append(
                "The reference is coarser than the candidates: it was interpolated to their grid, and detail finer "
                "than its own cells cannot be evaluated."
            )

    def _surface(self, name: str, source: Readable, step: float, candidate: bool) -> Surface:
        """A surface with empty accumulators; σ band and consistency are evaluated for candidates alone."""
        sigma = candidate and self.options.uncertainty and "elevation_sigma" in source.bands
        multiples = {**self._stated.get(name, {}), **self.options.multipliers} if sigma else None
        context = Context(
            self.options, self.size, step, self.classes is not None, candidate and self.k is not None, multiples
        )
        sums = BlockSums(self.shape, self.bootstrap_side)
        return Surface(name, source, Accumulators(sums, self._metrics, context), context, sigma)

    def _interpolations(self) -> dict[str, Readable]:
        if self.coarse is None:
            return {}
        if self.k is None or self.k < 2:
            self.missing = "the candidate's grid does not subdivide that of the coarse input"
            self.notes.append(
                "No interpolation of the coarse input was scored and no consistency measured: the candidate's cells do "
                "not subdivide its cells from the same corner over the same extent."
            )
            self.k = None
            return {}
        return {
            name: Interpolated(self.coarse, self.k, self.geobox, back_projected=name == "back_projected")
            for name in ("bicubic", "back_projected")
        }

    def _sample(self) -> tuple[slice, slice, F64]:
        """Of up to nine windows spread over the grid, the one with the most cells valid in reference and candidate."""
        on_grid = aligned(self.reference, self.geobox)
        side = [min(n, _SAMPLE) for n in self.shape]
        best: tuple[int, slice, slice, F64] | None = None
        for r in window_starts(self.shape[0], side[0], 3):
            for c in window_starts(self.shape[1], side[1], 3):
                rows, cols = slice(r, r + side[0]), slice(c, c + side[1])
                z = window(on_grid, rows, cols)
                n = int(np.count_nonzero(np.isfinite(z) & np.isfinite(window(self.grid, rows, cols))))
                if best is None or n > best[0]:
                    best = (n, rows, cols, z)
                if n > 0.95 * z.size:
                    return rows, cols, z
        if best is None:
            raise GridError(f"{', '.join(self.names)}: the grid has no cells; expected at least one")
        return best[1:]

    def _settle(self, surface: Surface, rows: slice, cols: slice, reference: F64) -> None:
        """Estimate the shift on the sample, keep it if it lowers the spread, and read the reference there."""
        surface.reference = aligned(self.reference, self.geobox)
        if not self.options.coregister:
            return
        masked = self._masked(rows, cols)
        own = np.where(masked, np.nan, window(surface.source, rows, cols))
        shift = estimate_shift(reference, own, self.size, seed=self.options.seed)
        if shift is None:
            self.notes.append(f"{surface.name}: no shift could be estimated from the sample; none was applied.")
            surface.shift = Shift()
            return
        y, x = shift.cells(self.size)
        if np.hypot(y, x) >= _STILL:
            there = aligned(self.reference, moved(self.geobox, y, x))
            before, after = own - reference, own - window(there, rows, cols)
            if _nmad(after) < 0.995 * _nmad(before):
                surface.reference, surface.key = there, (y, x)
                surface.shift = Shift(shift.east, shift.north, -float(np.nanmedian(after)))
                return
        surface.shift = Shift(0.0, 0.0, -float(np.nanmedian(own - reference)))

    def _masked(self, rows: slice, cols: slice) -> NDArray[np.bool_]:
        out = np.zeros((rows.stop - rows.start, cols.stop - cols.start), bool)
        for mask in self.masks:
            out |= mask.read(rows, cols) > 0
        return out

    def read(self, rows: slice, cols: slice) -> tuple[list[F64], dict[tuple[float, float], F64]]:
        """All surfaces raised by their shift, and the reference of each key, NaN wherever any is nodata or masked."""
        compared = self.surfaces
        references: dict[tuple[float, float], F64] = {}
        surfaces = []
        nodata = self._masked(rows, cols)
        for surface in compared:
            if surface.key not in references and surface.reference is not None:
                references[surface.key] = window(surface.reference, rows, cols)
                nodata |= ~np.isfinite(references[surface.key])
            z = window(surface.source, rows, cols)
            surfaces.append(z + (surface.shift.up if surface.shift else 0.0))
            nodata |= ~np.isfinite(z)
        for z in (*surfaces, *references.values()):
            z[nodata] = np.nan
        return surfaces, references

    def _block(self, row: int, col: int) -> None:
        h, side = BLOCK_HALO, self.options.block
        bottom, right = min(row + side, self.shape[0]), min(col + side, self.shape[1])
        rows, cols = slice(row - h, bottom + h), slice(col - h, right + h)
        surfaces, references = self.read(rows, cols)
        if any(not np.isfinite(z).any() for z in references.values()):
            return
        size, method = self.grid.pixel_size_m(rows), self.options.method
        derived = {key: Derived.of(z, size, method) for key, z in references.items()}
        classes = None if self.classes is None else self.classes.read(rows, cols)
        for surface, z in zip(self.surfaces, surfaces, strict=True):
            sigma = window(surface.source, rows, cols, "elevation_sigma") if surface.sigma else None
            own = Derived.of(z, size, method)
            surface.accumulators.add_block(Block(own, derived[surface.key], classes, sigma), (row, col))
        if self.overview is not None:
            inner = np.s_[h:-h, h:-h]
            for name, z in self.shown(surfaces, references).items():
                self.overview.add(name, z[inner], (row, col))
        self._consistency(slice(row, bottom), slice(col, right))

    def shown(self, surfaces: Sequence[F64], references: Mapping[tuple[float, float], F64]) -> dict[str, F64]:
        """Surfaces by name, and "reference": that of the first surface; the others as their error added to it."""
        compared = self.surfaces
        truth = references[compared[0].key]
        own = {surface.name: z - references[surface.key] + truth for surface, z in zip(compared, surfaces, strict=True)}
        return {"reference": truth} | own

    def _consistency(self, rows: slice, cols: slice) -> None:
        """Coarse cells whose first fine cell lies in the block; the candidates neither moved nor raised."""
        if self.coarse is None or self.k is None:
            return
        k = self.k
        y, x = (slice(-(-s.start // k), -(-s.stop // k)) for s in (rows, cols))
        if y.start == y.stop or x.start == x.stop:
            return
        observed = window(self.coarse, y, x)
        for surface in self.candidates:
            fine = window(surface.source, slice(y.start * k, y.stop * k), slice(x.start * k, x.stop * k))
            mean = block_sum(fine, k) / k**2
            surface.accumulators.add_coarse(mean, observed)

    def _spectra(self) -> None:
        """Windows without nodata, as large as there are any, up to 256 cells a side."""
        side = 256
        while side > min(self.shape):
            side //= 2
        while side >= 32:
            if self._windows(side):
                return
            side //= 2
        self.notes.append("No spectrum was measured: no window of 32 × 32 cells is free of nodata.")

    def _drainage(self, options: DrainageOptions) -> None:
        """Only where a cell is compared: without one there is nothing to route."""
        compared = self.surfaces
        if not self.cells_compared:
            return
        size = self.grid.pixel_size_m(slice(0, self.shape[0]))
        found = compare_all(compared, self.read, self.shape, size, options)
        if isinstance(found, str):
            self.notes.append(found)
            return
        self.drainage = found
        for surface in compared:
            surface.hydrology = found.records[surface.name]

    def _windows(self, side: int) -> int:
        compared = self.surfaces
        found = 0
        for surface in compared:
            surface.accumulators.start_windows(replace(surface.context, window_cells=side))
        for r in window_starts(self.shape[0], side, _WINDOWS):
            for c in window_starts(self.shape[1], side, _WINDOWS):
                surfaces, references = self.read(slice(r, r + side), slice(c, c + side))
                if not all(np.isfinite(z).all() for z in references.values()):
                    continue
                found += 1
                for surface, z in zip(compared, surfaces, strict=True):
                    surface.accumulators.add_window(z, references[surface.key])
        return found


def _nmad(error: F64) -> float:
    e = error[np.isfinite(error)]
    return float(np.median(np.abs(e - np.median(e)))) if e.size else float("inf")
