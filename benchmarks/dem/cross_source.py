"""DEM super-resolution from coarse inputs that no model was trained on: one table, one JSON.

    python -m benchmarks.dem.cross_source [--scale 4] [--model NAME_OR_PATH]...
                                             [--files bigtujunga_30m ...] [--data DIR]

Real pairs, coarse from one sensor and fine from another, are few and differ in more than the degradation. So each
held-out file is also made coarse in ways outside the family of the training recipes (block mean, bicubic and round
Gaussian spreads, white noise, rounding), with the parts that a second sensor would bring. What this cannot show is how
two real sensors disagree: on vegetation, roofs, snow and dates.

    turned spread      Gaussian point spread, 0.75 × 0.40 coarse cells (1σ) turned by 30°, read at the cell centre
    correlated noise   block mean; noise of 1 % of the cell size, correlated over 1.5 cells; stripes a third as strong
    other sensor       both, displaced by (0.20, −0.15) cells, rounded to whole metres where cells exceed 10 m

Heights are scored as in benchmarks.dem.accuracy, against the fine file itself: cells at least 8 from border and void.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.command import METRICS, data_of, destination, parser, publish, tested
from benchmarks.common import (
    EDGE,
    F32,
    F64,
    Dem,
    Predict,
    coarse_of,
    crop,
    interpolations,
    metrics,
    padded,
    ratios_to,
    read_dem,
    scored_cells,
)
from benchmarks.dem.accuracy import add_models, complete, loaded, models_of

METHODS = ("bicubic", "back-projected bicubic")
SPREAD, TURN = (0.75, 0.40), math.radians(30)
NOISE, CORRELATION, STRIPES = 0.01, 1.5, 1 / 3  # of the cell size; coarse cells; of the noise
SHIFT = (0.20, -0.15)  # coarse cells south, east

Degrade = Callable[[Dem, int], F32]


def point_spread(k: int, shift: tuple[float, float] = (0.0, 0.0)) -> F64:
    """Weights over the fine cells around a coarse centre, (n, n) with n = 7k, sum one; `shift` in coarse cells."""
    t = (np.arange(7 * k) + 0.5) / k - 3.5
    y, x = np.meshgrid(t - shift[0], t - shift[1], indexing="ij")
    along, across = x * math.cos(TURN) + y * math.sin(TURN), y * math.cos(TURN) - x * math.sin(TURN)
    weight = np.exp(-0.5 * ((along / SPREAD[0]) ** 2 + (across / SPREAD[1]) ** 2))
    return np.asarray(weight / weight.sum())


def turned_spread(dem: Dem, k: int, shift: tuple[float, float] = (0.0, 0.0)) -> F32:
    """Each coarse cell is the weighted mean of the valid fine cells under the point spread around its centre."""
    weights = point_spread(k, shift)

    def through(z: F64) -> F64:
        wide = np.pad(z, 3 * k, mode="symmetric")
        out = np.zeros((z.shape[0] // k, z.shape[1] // k))
        for i in range(7 * k):
            for j in range(7 * k):
                out += weights[i, j] * wide[i : i + z.shape[0] : k, j : j + z.shape[1] : k]
        return out

    valid = dem.valid.astype(float)
    return (through(dem.z * valid) / np.maximum(through(valid), 1e-9)).astype(np.float32)


def noise(dem: Dem, k: int) -> F64:
    """Correlated noise and stripes along the rows, metres (y, x) on the coarse grid; fixed by the file's name."""
    rng = np.random.default_rng(zlib.crc32(dem.name.encode()))
    shape = tuple(n // k for n in dem.z.shape)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), CORRELATION, mode="wrap")
    strength = NOISE * k * float(dem.pixel_size_m.mean())
    return np.asarray(strength * (field / field.std() + STRIPES * rng.standard_normal((shape[0], 1))))


def correlated_noise(dem: Dem, k: int) -> F32:
    """The block mean and noise."""
    return (coarse_of(dem, k)[0] + noise(dem, k)).astype(np.float32)


def other_sensor(dem: Dem, k: int) -> F32:
    """Displaced and spread, noisy, and in whole metres where that is how products of this cell size come."""
    coarse = turned_spread(dem, k, SHIFT) + noise(dem, k)
    whole = k * float(dem.pixel_size_m.mean()) > 10
    return (np.round(coarse) if whole else coarse).astype(np.float32)


DEGRADATIONS: dict[str, Degrade] = {
    "turned spread": turned_spread,
    "correlated noise": correlated_noise,
    "other sensor": other_sensor,
}


def score(predict: Predict, k: int, files: list[Path], degrade: Degrade) -> dict[str, dict[str, float]]:
    """Metrics of one method on every file: {file: {metric: value}}."""
    table = {}
    for path in files:
        dem = crop(read_dem(path), k)
        coarse, size = degrade(dem, k), dem.pixel_size_m.reshape(2, -1, k).mean(axis=2) * k
        fine, _ = predict(coarse, size)
        table[path.stem] = metrics(fine, dem, scored_cells(dem.valid))
    return table


def run(scale: int, files: list[Path], models: list[str], *, optional: bool = False) -> dict[str, Any]:
    """All degradations and methods at one scale: {degradation: {"files": …, "ratios": {method: {base: …}}}}."""
    methods = {name: padded(interpolations(scale)[name], scale) for name in METHODS}
    methods |= {name: predict for name, (predict, _) in loaded(models, scale, optional=optional).items()}
    found: dict[str, Any] = {}
    for kind, degrade in DEGRADATIONS.items():
        table = {name: score(predict, scale, files, degrade) for name, predict in methods.items()}
        found[kind] = {"files": table, "ratios": ratios_to(table, METHODS, METRICS)}
    return found


def show(scale: int, found: dict[str, Any]) -> None:
    """Print RMSE by file and the geometric ratios."""
    for kind, part in found.items():
        files, width = list(part["files"]["bicubic"]), 26
        print(f"\n×{scale}  {kind}: RMSE in metres; geometric mean of the ratios to both interpolations")
        print(" " * width + "".join(f"{f[:16]:>18}" for f in files) + "   /bicubic  slope   /back-p.  slope")
        for name, rows in part["files"].items():
            r = [part["ratios"][name][base][m] for base in METHODS for m in ("rmse", "slope_rmse")]
            print(
                f"{name:{width}}" + "".join(f"{rows[f]['rmse']:18.3f}" for f in files),
                "  {:8.3f} {:6.3f}   {:8.3f} {:6.3f}".format(*r),
            )


def main() -> None:
    """Parse, run, print, write."""
    made = parser(__doc__, "cross_source")
    add_models(made)
    made.add_argument("--files", nargs="+", help="stems of files in dem/test")
    args = made.parse_args()
    record: dict[str, Any] = {
        "command": "python -m benchmarks.dem.cross_source",
        "protocol": {"edge_cells": EDGE, "spread_cells": SPREAD, "turn_degrees": 30, "noise_of_cell": NOISE}
        | {"correlation_cells": CORRELATION, "stripes_of_noise": STRIPES, "shift_cells": SHIFT},
    }
    with data_of(args) as data:
        files = tested(args, data)
        for scale in args.scale or [4]:
            record[f"x{scale}"] = run(scale, files, models_of(args), optional=not args.model)
            show(scale, record[f"x{scale}"])
    publish(record, destination(args, "cross_source", complete=complete(args)))


if __name__ == "__main__":
    main()
