"""Candidates of one grid, and the interpolations of their coarse input, judged on the same cells, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import GridError
from terrafine.evaluation.elevation.accumulators import BLOCK_HALO, Derived, Tally
from terrafine.evaluation.elevation.consistency import ConsistencyStats
from terrafine.evaluation.elevation.coregistration import Shift, estimate_shift
from terrafine.evaluation.elevation.drainage import Water, WaterOptions, trace_water
from terrafine.evaluation.elevation.spectrum import SpectrumStats, window_starts
from terrafine.evaluation.elevation.strata import BlockSums, band_step, resample_weights
from terrafine.evaluation.elevation.terrain import Method
from terrafine.evaluation.elevation.uncertainty import CoverageStats
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

__all__ = ["Group", "Lane", "Options"]

F64 = NDArray[np.float64]

_SAMPLE = 1536  # cells along the window that co-registration and elevation bands are read from
_STILL = 0.02  # cells: a smaller shift is not worth averaging the reference again
_WINDOWS = 8  # spectrum windows along each axis at most


@dataclass(frozen=True)
class Options:
    """What shapes the numbers; see `compare.evaluate`."""

    uncertainty: bool = True
    coregister: bool = True
    slope_method: str = "horn"
    tolerance_m: float = 0.01
    block: int = 768
    bootstrap_side: int | None = None
    draws: int = 1000
    seed: int = 0
    multipliers: Mapping[float, float] = field(default_factory=dict)
    water: WaterOptions | None = None
    pictures: bool = False

    @property
    def method(self) -> Method:
        """As terrain asks for it."""
        return cast(Method, self.slope_method)

    def record(self) -> dict[str, Any]:
        """The `settings` of results.json; the block size shapes nothing, so it is not among them."""
        return {
            "coregistration": "Nuth & Kääb 2011" if self.coregister else "none",
            "slope_method": "Horn" if self.method == "horn" else "Zevenbergen–Thorne",
            "consistency_tolerance_m": self.tolerance_m,
            "hydrology": "left out" if self.water is None else "steepest descent (D8)",
            "bootstrap_draws": self.draws,
            "seed": self.seed,
            "sigma_multiples": {str(p): float(k) for p, k in self.multipliers.items()} or "as each file states",
        }


@dataclass
class Lane:
    """One surface on its way: where it is read, how far it is moved, the reference on its moved grid, its tally."""

    name: str
    source: Readable
    tally: Tally
    sigma: bool = False
    shift: Shift | None = None
    reference: Readable | None = None
    key: tuple[float, float] = (0.0, 0.0)
    hydrology: dict[str, Any] | None = None

    def summary(self, weights: F64, options: Options, class_names: Mapping[int, str] | None) -> dict[str, Any]:
        """The `Candidate` part of results.json, without rank, path and verdict."""
        shift = None if self.shift is None else self.shift.record()
        scores = self.tally.summary(weights, options.method, class_names)
        return {"name": self.name, "shift_m": shift, "hydrology": self.hydrology} | scores


class Group:
    """See the module; `run` yields once a step, and then `lanes` hold the tallies."""

    def __init__(
        self,
        candidates: Mapping[str, Readable],
        reference: RasterSource,
        coarse: Readable | None,
        masks: Sequence[tuple[str, Readable]],
        classes: tuple[str, Readable] | None,
        options: Options,
        stated: Mapping[str, Mapping[float, float]] | None = None,
    ) -> None:
        first = next(iter(candidates.values()))
        self.names, self.geobox, self.shape = list(candidates), first.geobox, first.shape
        self.grid, self.reference, self.coarse, self.options = first, reference, coarse, options
        self.masks = [Labels(source, self.geobox, path) for path, source in masks]
        self.classes = None if classes is None else Labels(classes[1], self.geobox, classes[0])
        self.size = pixel_size(first)
        self.bootstrap_side = options.bootstrap_side or max(8, -(-max(self.shape) // 16))
        self.notes: list[str] = []
        self.missing = "no coarse input was given"
        self.k = None if coarse is None else scale_between(self.geobox, coarse.geobox)
        self._candidates = dict(candidates)
        self._stated = stated or {}
        self.lanes: tuple[list[Lane], list[Lane]] = ([], [])
        step = options.block
        self._corners = [(r, c) for r in range(0, self.shape[0], step) for c in range(0, self.shape[1], step)]
        self.steps = len(self._corners) + 1 + (options.water is not None)
        self.water: Water | None = None
        self.overview = Overview(self.shape) if options.pictures else None

    def run(self) -> Iterator[None]:
        """Settle the shifts, stream all blocks, then spectra from windows and water from the whole; a yield a step."""
        self._enter()
        for corner in self._corners:
            self._block(*corner)
            yield
        self._spectra()
        yield
        if self.options.water is not None:
            self._water(self.options.water)
            yield

    def weights(self) -> F64:
        """Bootstrap draws, the same for all lanes."""
        occupied = self.lanes[0][0].tally.blocks.sums[0] > 0
        return resample_weights(occupied, self.options.draws, self.options.seed)

    def _enter(self) -> None:
        rows, cols, reference = self._sample()
        low, high = (
            (float(v) for v in np.nanpercentile(reference, [0, 100])) if np.isfinite(reference).any() else (0, 1)
        )
        step = band_step(low, high)
        candidates = [self._lane(name, source, step) for name, source in self._candidates.items()]
        base = [self._lane(name, source, step) for name, source in self._baselines().items()]
        for lane in candidates:
            lane.sigma = self.options.uncertainty and "elevation_sigma" in lane.source.bands
            if lane.sigma:
                multiples = {**self._stated.get(lane.name, {}), **self.options.multipliers}
                lane.tally.uncertainty = CoverageStats(multipliers=multiples)
            if self.k is not None:
                lane.tally.consistency = ConsistencyStats(tolerance_m=self.options.tolerance_m)
        for lane in (*candidates, *base[-1:]):
            self._settle(lane, rows, cols, reference)
        for lane in base[:-1]:
            lane.shift, lane.reference, lane.key = base[-1].shift, base[-1].reference, base[-1].key
        self.lanes = (candidates, base)
        if max(pixel_size(self.reference)) > 1.05 * max(self.size):
            self.notes.append(
                "The reference is coarser than the candidates: it was interpolated to their grid, and detail finer "
                "than its own cells cannot be judged."
            )

    def _lane(self, name: str, source: Readable, step: float) -> Lane:
        return Lane(name, source, Tally(BlockSums(self.shape, self.bootstrap_side), step, self.classes is not None))

    def _baselines(self) -> dict[str, Readable]:
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

    def _settle(self, lane: Lane, rows: slice, cols: slice, reference: F64) -> None:
        """Estimate the shift of a lane on the sample, keep it if it lowers the spread, and read the reference there."""
        lane.reference = aligned(self.reference, self.geobox)
        if not self.options.coregister:
            return
        masked = self._masked(rows, cols)
        own = np.where(masked, np.nan, window(lane.source, rows, cols))
        shift = estimate_shift(reference, own, self.size, seed=self.options.seed)
        if shift is None:
            self.notes.append(f"{lane.name}: no shift could be told from the sample; it was compared as it lies.")
            lane.shift = Shift()
            return
        y, x = shift.cells(self.size)
        if np.hypot(y, x) >= _STILL:
            there = aligned(self.reference, moved(self.geobox, y, x))
            before, after = own - reference, own - window(there, rows, cols)
            if _nmad(after) < 0.995 * _nmad(before):
                lane.reference, lane.key = there, (y, x)
                lane.shift = Shift(shift.east, shift.north, -float(np.nanmedian(after)))
                return
        lane.shift = Shift(0.0, 0.0, -float(np.nanmedian(own - reference)))

    def _masked(self, rows: slice, cols: slice) -> NDArray[np.bool_]:
        out = np.zeros((rows.stop - rows.start, cols.stop - cols.start), bool)
        for mask in self.masks:
            out |= mask.read(rows, cols) > 0
        return out

    def read(self, rows: slice, cols: slice) -> tuple[list[F64], dict[tuple[float, float], F64]]:
        """All lanes raised by their shift, and the reference of each key, NaN wherever any is void or masked."""
        lanes = [*self.lanes[0], *self.lanes[1]]
        references: dict[tuple[float, float], F64] = {}
        surfaces = []
        void = self._masked(rows, cols)
        for lane in lanes:
            if lane.key not in references and lane.reference is not None:
                references[lane.key] = window(lane.reference, rows, cols)
                void |= ~np.isfinite(references[lane.key])
            z = window(lane.source, rows, cols)
            surfaces.append(z + (lane.shift.up if lane.shift else 0.0))
            void |= ~np.isfinite(z)
        for z in (*surfaces, *references.values()):
            z[void] = np.nan
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
        for lane, z in zip((*self.lanes[0], *self.lanes[1]), surfaces, strict=True):
            sigma = window(lane.source, rows, cols, "elevation_sigma") if lane.sigma else None
            own = Derived.of(z, size, method)
            lane.tally.add(own, derived[lane.key], (row, col), classes=classes, sigma=sigma)
        if self.overview is not None:
            inner = np.s_[h:-h, h:-h]
            for name, z in self.shown(surfaces, references).items():
                self.overview.add(name, z[inner], (row, col))
        self._consistency(slice(row, bottom), slice(col, right))

    def shown(self, surfaces: Sequence[F64], references: Mapping[tuple[float, float], F64]) -> dict[str, F64]:
        """Surfaces by name, and "reference": that of the first lane; others by their error above it, whatever shift."""
        lanes = [*self.lanes[0], *self.lanes[1]]
        truth = references[lanes[0].key]
        own = {lane.name: z - references[lane.key] + truth for lane, z in zip(lanes, surfaces, strict=True)}
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
        for lane in self.lanes[0]:
            if lane.tally.consistency is not None:
                fine = window(lane.source, slice(y.start * k, y.stop * k), slice(x.start * k, x.stop * k))
                mean = fine.reshape(y.stop - y.start, k, x.stop - x.start, k).mean(axis=(1, 3))
                lane.tally.consistency = lane.tally.consistency.add(mean, observed)

    def _spectra(self) -> None:
        """Windows without voids, as large as there are any, up to 256 cells a side."""
        side = 256
        while side > min(self.shape):
            side //= 2
        while side >= 32:
            if self._windows(side):
                return
            side //= 2
        self.notes.append("No spectrum was measured: no window of 32 × 32 cells is free of voids.")

    def _water(self, options: WaterOptions) -> None:
        """Only where a cell is compared: without one there is nothing to route."""
        lanes = [*self.lanes[0], *self.lanes[1]]
        if not lanes[0].tally.elevation.error.n:
            return
        size = self.grid.pixel_size_m(slice(0, self.shape[0]))
        found = trace_water(lanes, self.read, self.shape, size, options)
        if isinstance(found, str):
            self.notes.append(found)
            return
        self.water = found
        for lane in lanes:
            lane.hydrology = found.records[lane.name]

    def _windows(self, side: int) -> int:
        lanes = [*self.lanes[0], *self.lanes[1]]
        found = 0
        for lane in lanes:
            lane.tally.spectrum = SpectrumStats(side, self.size)
        for r in window_starts(self.shape[0], side, _WINDOWS):
            for c in window_starts(self.shape[1], side, _WINDOWS):
                surfaces, references = self.read(slice(r, r + side), slice(c, c + side))
                if not all(np.isfinite(z).all() for z in references.values()):
                    continue
                found += 1
                for lane, z in zip(lanes, surfaces, strict=True):
                    spectrum = lane.tally.spectrum or SpectrumStats(side, self.size)
                    lane.tally.spectrum = spectrum.add(z, references[lane.key])
        return found


def _nmad(error: F64) -> float:
    e = error[np.isfinite(error)]
    return float(np.median(np.abs(e - np.median(e)))) if e.size else float("inf")
