"""Speed in the benchmark of guided models: files in, published files out, beside ridgeline in the same run."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.common import machine

SCALE, SOURCE = 4, "wus_fay_30m.tif"


def speed(data: Path, refs: Mapping[str, Any], side: int, repeats: int, threads: int) -> dict[str, Any]:
    """Seconds from files to published files, in turn; the rate over ridgeline's is the median of the ratios."""
    from terrafine import sharpen_dem
    from terrafine.workflows.inputs.guidance import Guidance

    seconds: dict[str, list[float]] = {n: [] for n in refs}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        coarse, files = cut(data, side, folder)
        for turn in range(repeats + 1):  # the first is to warm up
            for n, ref in refs.items():
                guidance = Guidance(files, orbit="descending") if ref.spec.guides else None
                model, start = str(ref.path or n), time.perf_counter()
                sharpen_dem(coarse, folder / "fine.tif", scale=SCALE, model=model, threads=threads, guidance=guidance)
                if turn:
                    seconds[n].append(time.perf_counter() - start)
                (folder / "fine.tif").unlink()
    base = seconds["ridgeline"]
    return {
        "machine": machine(),
        "threads": threads,
        "input_side": side,
        "output_pixels_per_second": {n: (SCALE * side) ** 2 / statistics.median(s) for n, s in seconds.items()},
        "over_ridgeline": {
            n: statistics.median(b / s for b, s in zip(base, own, strict=True)) for n, own in seconds.items()
        },
    }


def cut(data: Path, side: int, folder: Path) -> tuple[Path, dict[str, tuple[str, ...]]]:
    """A coarse DEM of real heights, and a date of VV and VH on its fine grid: what they hold costs nothing."""
    with rasterio.open(data / "dem" / "train" / SOURCE) as src:
        z = src.read(1)
    rows, cols = (np.resize(np.concatenate((np.arange(n), np.arange(n)[::-1])), side) for n in z.shape)
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 1, "dtype": "float32", "crs": "EPSG:32611"}
    transform = rasterio.Affine(120, 0, 400_000, 0, -120, 4_000_000)
    with rasterio.open(folder / "coarse.tif", "w", transform=transform, **profile) as f:
        f.write(z[rows][:, cols].astype(np.float32), 1)
    profile |= {"height": SCALE * side, "width": SCALE * side, "tiled": True}
    profile["transform"] = transform * rasterio.Affine.scale(1 / SCALE)
    files = {}
    for name in ("vv", "vh"):
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as f:
            values = np.random.default_rng(len(files)).normal(-12, 2, (SCALE * side, SCALE * side))
            f.write(values.astype(np.float32), 1)
            f.set_band_description(1, name)
        files[name] = (str(folder / f"{name}.tif"),)
    return folder / "coarse.tif", files
