"""Small models and sources for tests of the engine: a nearest neighbour, a box filter with a real halo, a blend."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d

from terrafine.inference.engine import run_job
from terrafine.inference.planner import make_plan
from terrafine.nn.spec import ModelSpec
from terrafine.raster.read.array import ArraySource
from tests.support.rasters import write_raster


def spec(scale=2, halo=0, multiple=1, tiling="exact", tile=16, outputs=("elevation",), name="fake"):
    """The spec of a fake model, x2 without a halo unless other values are given."""
    return ModelSpec(name, name, "1", ("elevation",), outputs, scale, halo, multiple, tiling, tile)


class Nearest:
    """Each cell repeated; its halo is 0, and block means equal the input."""

    def __init__(self, spec):
        self.spec = spec

    def __call__(self, tiles):
        k = self.spec.scale
        self.check(tiles)
        fine = np.repeat(np.repeat(tiles.bands["elevation"], k, axis=1), k, axis=2)
        return {name: fine + i for i, name in enumerate(self.spec.outputs)}

    def check(self, tiles):
        n, y, x = tiles.shape
        values = tiles.bands["elevation"]
        if not np.isfinite(values).all() or values.shape != (n, y, x) or tiles.pixel_size_m.shape != (n, 2, y):
            raise ValueError("a tile of the wrong shape, or with a value that is not finite")
        if y % self.spec.multiple or x % self.spec.multiple:
            raise ValueError(f"sides {y} × {x} are no multiples of {self.spec.multiple}")


class Box(Nearest):
    """The box mean of radius `halo`, plus a term of the pixel size: exact with its halo, wrong with one cell less."""

    def __call__(self, tiles):
        self.check(tiles)
        values = tiles.bands["elevation"].astype(np.float64)
        size = 2 * self.spec.halo + 1
        mean = uniform_filter1d(uniform_filter1d(values, size, axis=1), size, axis=2)
        mean += tiles.pixel_size_m[:, 0, :, None]
        k = self.spec.scale
        return {n: np.repeat(np.repeat(mean, k, axis=1), k, axis=2).astype(np.float32) for n in self.spec.outputs}


class TileMean(Nearest):
    """Each cell plus the mean of its whole tile: never exact, whatever the halo."""

    def __call__(self, tiles):
        out = super().__call__(tiles)
        return {n: v + tiles.bands["elevation"].mean(axis=(1, 2), keepdims=True) for n, v in out.items()}


class Slow(Box):
    """A box mean that takes its time, so that a signal finds it at work."""

    def __call__(self, tiles):
        time.sleep(0.02)
        return super().__call__(tiles)


class Fatal(Box):
    """A box mean whose process is killed at the n-th call: the earliest moments of a crash, one by one."""

    calls = 0

    def __call__(self, tiles):
        type(self).calls += 1
        if type(self).calls == int(os.environ["TEST_KILL_AT_CALL"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(tiles)


def source(values, pixel_size_m=30.0):
    """An array as a source, its pixel size growing by row as on a geographic grid."""
    rows = values.shape[0]
    sizes = pixel_size_m + np.arange(rows) / 10
    return ArraySource({"elevation": values}, np.stack([sizes, sizes / 2]))


def noisy_heights(shape, seed=0, gaps=0.0):
    """A rough surface (y, x), NaN in one block and in that share of the cells."""
    rng = np.random.default_rng(seed)
    values = rng.normal(500, 100, shape).astype(np.float32)
    if gaps:
        values[rng.random(shape) < gaps] = np.nan
        y, x = (int(rng.integers(0, n)) for n in shape)
        values[y : y + 9, x : x + 7] = np.nan
    return values


class ToFile:
    """Publishes as .npy: reads all row blocks, then renames, so equal outputs are equal bytes."""

    def __init__(self, path):
        self.path = Path(path)

    def __call__(self, rows, residual, folder):
        part = folder / "scratch-output.npy"
        with open(part, "wb") as f:
            np.save(f, np.concatenate(list(rows), axis=1))
        part.replace(self.path)


def run(path, grid, a_spec, model=Nearest, *, request=None, **options):
    """A whole job with a fake model, published as .npy."""
    plan = make_plan(grid.shape, a_spec, **{k: options.pop(k) for k in ("tile", "batch") if k in options})
    return run_job(
        Path(path),
        plan,
        a_spec,
        grid,
        partial(model, a_spec),
        options.pop("publish", ToFile(path)),
        outputs=a_spec.outputs,
        request={"name": "test"} if request is None else request,
        **options,
    )


def write_dem_with_gaps(path, shape=(90, 70)):
    """Write a DEM with cells of nodata as GeoTIFF."""
    return write_raster(path, noisy_heights(shape, 1, 0.02), origin=(500_000, 5_200_000))
