"""Scores with intervals for the benchmark of guided models: sums in square blocks, resampled in a paired bootstrap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import F64, Dem, horn_slope
from terrafine.evaluation.bootstrap import interval, resample_weights
from terrafine.evaluation.hydrology import Drainage, default_areas_km2, drainage, streams
from terrafine.evaluation.hydrology.d8 import OUTLET

METRICS = ("rmse", "mae", "slope_rmse", "stream_f1", "d8")
DRAWS, SEED = 1000, 0
TOLERANCE = 1  # cells by which a stream may lie beside the reference's
_ROWS = ("n", "abs", "square", "slope", "flowing", "agree", "found", "found_right", "wanted", "wanted_right")


@dataclass(frozen=True)
class Truth:
    """What a file is judged against: its DEM, the cells that are scored, its drainage, blocks, and the stream area."""

    dem: Dem
    cells: NDArray[np.bool_]
    drained: Drainage
    blocks: NDArray[np.intp]
    area_km2: float


def truth_of(dem: Dem, cells: NDArray[np.bool_], side: int | None = None) -> Truth:
    """Blocks of `side` cells, by default a sixteenth of the longer side; streams at the middle of the usual areas."""
    side = side or max(8, -(-max(dem.z.shape) // 16))
    y, x = (np.arange(n) // side for n in dem.z.shape)
    blocks = y[:, None] * (int(x[-1]) + 1) + x[None, :]
    sizes = dem.pixel_size_m[::-1]  # the package's hydrology wants x first
    areas = default_areas_km2(dem.valid, sizes)
    return Truth(dem, cells, drainage(dem.z, dem.valid, sizes), blocks, areas[len(areas) // 2])


def block_sums(fine: NDArray[Any], truth: Truth) -> F64:
    """(sums of `_ROWS`, blocks) of one surface; add those of several to pool them."""
    dem, cells = truth.dem, truth.cells
    error = np.asarray(fine, np.float64) - dem.z
    slope = horn_slope(fine, dem.pixel_size_m) - horn_slope(dem.z, dem.pixel_size_m)
    mine = drainage(np.asarray(fine, np.float64), dem.valid, dem.pixel_size_m[::-1])
    flowing = cells & (mine.code != OUTLET) & (truth.drained.code != OUTLET)
    found, wanted = (streams(d, truth.area_km2) & cells for d in (mine, truth.drained))
    near_found, near_wanted = (_near(m) for m in (found, wanted))
    parts = {
        "n": cells,
        "abs": np.abs(error) * cells,
        "square": error**2 * cells,
        "slope": np.where(cells, slope, 0.0) ** 2,
        "flowing": flowing,
        "agree": flowing & (mine.code == truth.drained.code),
        "found": found,
        "found_right": found & near_wanted,
        "wanted": wanted,
        "wanted_right": wanted & near_found,
    }
    count = int(truth.blocks.max()) + 1
    return np.stack([np.bincount(truth.blocks.ravel(), parts[r].ravel().astype(float), count) for r in _ROWS])


def statistics(sums: F64, weights: F64) -> dict[str, F64]:
    """Each metric for each row of weights (draw, block)."""
    total = dict(zip(_ROWS, sums @ weights.T, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = total["found_right"] / total["found"], total["wanted_right"] / total["wanted"]
        return {
            "rmse": np.sqrt(total["square"] / total["n"]),
            "mae": total["abs"] / total["n"],
            "slope_rmse": np.sqrt(total["slope"] / total["n"]),
            "stream_f1": 2 * precision * recall / (precision + recall),
            "d8": total["agree"] / total["flowing"],
        }


@dataclass(frozen=True)
class Bootstrap:
    """Values and draws of every method on every file: {method: {file: {metric: (1 + draws,)}}}, the value first."""

    drawn: Mapping[str, Mapping[str, Mapping[str, F64]]]

    @classmethod
    def of(cls, sums: Mapping[str, Mapping[str, F64]]) -> Bootstrap:
        """The same blocks are drawn for every method: ratios are paired."""
        weights: dict[str, F64] = {}
        for by_file in sums.values():
            for i, (file, s) in enumerate(by_file.items()):
                plain = np.ones((1, s.shape[1]))
                weights.setdefault(file, np.concatenate([plain, resample_weights(s[0] > 0, DRAWS, SEED + i)]))
        return cls({m: {f: statistics(s, weights[f]) for f, s in by.items()} for m, by in sums.items()})

    def table(self) -> dict[str, dict[str, dict[str, Any]]]:
        """{method: {file: {metric: {"value", "interval"}}}}."""
        return {
            method: {file: {m: interval_of(v[m]) for m in METRICS} for file, v in by.items()}
            for method, by in self.drawn.items()
        }

    def ratios(self, bases: Iterable[str], files: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
        """{method: {base: {metric: {"value", "interval"}}}}: geometric mean over the files of method / base."""
        return {
            method: {
                base: {m: interval_of(self._ratio(method, base, m, files)) for m in METRICS}
                for base in bases
                if base in self.drawn
            }
            for method in self.drawn
        }

    def _ratio(self, method: str, base: str, metric: str, files: Sequence[str]) -> F64:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = [np.log(self.drawn[method][f][metric] / self.drawn[base][f][metric]) for f in files]
        return np.asarray(np.exp(np.mean(logs, axis=0)))


def interval_of(drawn: F64) -> dict[str, Any]:
    """The value, and the 95 % interval of the draws; None where it is not identifiable."""
    value = float(drawn[0])
    return {"value": value if np.isfinite(value) else None, "interval": interval(drawn[1:])}


def rounded(record: Any, digits: int = 5) -> Any:
    """The same record with every float at that many significant digits, so that last bits do not change the file."""
    if isinstance(record, Mapping):
        return {str(k): rounded(v, digits) for k, v in record.items()}
    if isinstance(record, (list, tuple)):
        return [rounded(v, digits) for v in record]
    if isinstance(record, (float, np.floating)):
        return float(f"{record:.{digits}g}")
    return record


def _near(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    return np.asarray(ndimage.maximum_filter(mask, 2 * TOLERANCE + 1, mode="constant"))
