"""Ridgeline ×3 against VDSR4DEM, a public pretrained network, and others: accuracy and speed in one run, one JSON.

    python -m benchmarks.dem.peers [--files bigtujunga_30m ...] [--repeats 7] [--threads 2] [--data DIR]

Accuracy is scored as in benchmarks.dem.accuracy. Speed is output pixels per second from a tile of coarse heights in
memory to fine heights, with torch, repeats interleaved, medians, and the ratio to drn; of VDSR4DEM the convolutions
alone are timed, without interpolation and normalisation. Its weights are in data/peers and need h5py.

VDSR4DEM's weights come without a word on how a coarse DEM gets onto its input grid; its notebook maps the heights of
each 300×300 tile to 0–1 by their minimum and maximum, though it was trained with one range for all. So the network is
read in every way of `vdsr4dem.READINGS` on windows of dem/train, never on dem/test. Found there: it wants its input in
register (half a pixel off, it leaves several times bicubic's error), it sharpens bicubic by some 6 % and gains a little
even on back-projected bicubic; how heights are mapped counts little. Three readings are scored on dem/test:

    vdsr4dem                 as its notebook: bicubic in register, each tile's own range
    vdsr4dem, best reading   the one that errs least on dem/train
    vdsr4dem, kept           likewise among all readings followed by our back-projection, which its authors do not do
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from torch import nn

from benchmarks.command import METRICS, data_of, destination, parser, publish, tested
from benchmarks.common import (
    EDGE,
    Predict,
    block_mean,
    interpolations,
    machine,
    metrics,
    padded,
    ratios_to,
    read_dem,
    scored_cells,
)
from benchmarks.common import score as score_files
from benchmarks.dem.accuracy import load
from benchmarks.dem.vdsr4dem import (
    NOTEBOOK,
    RADIUS,
    READINGS,
    SCALE,
    forward,
    keep,
    load_vdsr4dem,
    predict,
    untrained_vdsr4dem,
)

BASES = ("bicubic", "back-projected bicubic", "drn")
PLAIN = ("bicubic", "lanczos", "back-projected bicubic")
OURS = ("srcnn", "drn", "ridgeline")
WINDOWS = ("taiwan_20m", "wus_big_bear_30m", "gabilan_lidar_1m", "srtm3_n41e001", "kenya_narok_30m", "wus_red_30m")
KEPT = ", then back-projected"
SIDE = 300  # fine cells along a window of dem/train
TILE = 128  # coarse cells along the tile that is timed


def training_windows(data: Path, windows: Sequence[str] = WINDOWS) -> list[Any]:
    """The middle of some training files, without voids."""
    found = []
    for path in (data / "dem" / "train" / f"{name}.tif" for name in windows):
        with rasterio.open(path) as src:
            y, x = (src.height - SIDE) // 2, (src.width - SIDE) // 2
        dem = read_dem(path, slice(y, y + SIDE), slice(x, x + SIDE))
        if dem.valid.all():
            found.append(dem)
    return found


def readings(net: nn.Module, data: Path, windows: Sequence[str] = WINDOWS) -> dict[str, dict[str, float]]:
    """RMSE / RMSE of bicubic of each reading on training terrain, file by file; alone, and then back-projected."""
    table: dict[str, dict[str, float]] = {name: {} for name in (*READINGS, *(r + KEPT for r in READINGS))}
    for dem in training_windows(data, windows):
        coarse, size = block_mean(dem.z, SCALE).astype(np.float32), dem.pixel_size_m[:, ::SCALE] * SCALE
        cells = scored_cells(dem.valid, RADIUS)
        base = metrics(interpolations(SCALE)["bicubic"](coarse, size)[0], dem, cells)["rmse"]
        for reading in READINGS:
            fine, _ = predict(net, reading)(coarse, size)
            for name, surface in ((reading, fine), (reading + KEPT, keep(fine, coarse))):
                table[name][dem.name] = metrics(surface, dem, cells)["rmse"] / base
    return table


def mean_ratio(ratios: dict[str, float]) -> float:
    """Geometric mean over the windows."""
    return float(np.exp(np.mean(np.log(list(ratios.values())))))


def accuracy(net: nn.Module, best: dict[str, str], files: list[Path]) -> dict[str, Any]:
    """Every method on every file, and geometric means of the ratios to BASES."""
    methods: dict[str, Predict] = {n: padded(interpolations(SCALE)[n], SCALE) for n in PLAIN}
    for name, reading in best.items():
        kept = reading.endswith(KEPT)
        methods[name] = padded(predict(net, reading.removesuffix(KEPT), kept=kept), SCALE)
    methods |= {name: load(name, SCALE)[0] for name in OURS}
    table: dict[str, Any] = {}
    for name, method in methods.items():
        table[name] = score_files(method, SCALE, files)
        print(f"{name}: scored", file=sys.stderr, flush=True)
    return {"files": table, "ratios": ratios_to(table, BASES, METRICS)}


def speed(net: nn.Module, repeats: int, tile: int = TILE) -> dict[str, dict[str, float]]:
    """Output pixels per second of each network, and the ratio to drn; weights and medians of interleaved repeats."""
    from terrafine.nn.model import Tiles
    from terrafine.systems import find_model, load_model, load_network

    rng = np.random.default_rng(0)
    heights = rng.normal(500, 20, (1, tile, tile)).astype(np.float32)
    tiles = Tiles({"elevation": heights}, np.ones(heights.shape, bool), np.full((1, 2, tile), 90.0))
    fine = torch.rand(1, 1, tile * SCALE, tile * SCALE)
    calls: dict[str, Callable[[], Any]] = {"vdsr4dem": lambda: forward(net, fine)}
    weights = {"vdsr4dem": sum(p.numel() for p in net.parameters())}
    for name in OURS:
        ref = find_model(name, SCALE)
        calls[name] = partial(load_model(ref), tiles)
        weights[name] = sum(p.numel() for p in load_network(ref).parameters())
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if repeat:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    pixels = (tile * SCALE) ** 2
    median = {name: statistics.median(s) for name, s in seconds.items()}
    return {
        name: {
            "weights": weights[name],
            "output_pixels_per_second": pixels / median[name],
            "over_drn": median["drn"] / median[name],
        }
        for name in calls
    }


def show(record: dict[str, Any]) -> None:
    """Print readings, accuracy, speed."""
    print("VDSR4DEM on training terrain: RMSE / bicubic, geometric mean")
    for name, ratios in record["readings"].items():
        print(f"  {mean_ratio(ratios):8.3f}  {name}")
    found = record["x3"]
    for metric, unit in zip(METRICS, ("m", "m", "m", "°"), strict=True):
        files = list(found["files"]["bicubic"])
        print(f"\n×3  {metric} ({unit})\n{'':28}" + "".join(f"{f[:16]:>18}" for f in files))
        for name, rows in found["files"].items():
            print(f"{name:28}" + "".join(f"{rows[f][metric]:18.3f}" for f in files))
    print("\n×3  geometric mean over files of the ratio to\n" + " " * 28 + "".join(f"{b:>34}" for b in BASES))
    print(" " * 28 + f"{'RMSE    MAE   NMAD  slope':>34}" * len(BASES))
    for name, by_base in found["ratios"].items():
        cells = [" ".join(f"{by_base[b][m]:6.3f}" for m in METRICS) for b in BASES]
        print(f"{name:28}" + "".join(f"{c:>34}" for c in cells))
    print(f"\n{'':28}{'weights':>10}{'output Mpx/s':>14}{'/ drn':>9}")
    for name, r in record["speed"].items():
        rate = r["output_pixels_per_second"] / 1e6
        print(f"{name:28}{r['weights']:10,}{rate:14.3f}{r['over_drn']:9.2f}")


def main() -> None:
    """Parse, run, print, write."""
    made = parser(__doc__, "dem_peers")
    made.add_argument("--files", nargs="+", help="stems of files in dem/test")
    made.add_argument("--repeats", type=int, default=7)
    made.add_argument("--threads", type=int, default=machine()["cores"])
    args = made.parse_args()
    args.threads = 1 if args.quick else args.threads
    torch.set_num_threads(args.threads)
    with data_of(args) as data:
        record = compare(data, tested(args, data), 1 if args.quick else args.repeats, untrained=args.quick)
    record |= {"command": "python -m benchmarks.dem.peers", "machine": machine(), "threads": args.threads}
    show(record)
    publish(record, destination(args, "dem_peers", complete=not args.files))


def compare(data: Path, files: list[Path], repeats: int, *, untrained: bool) -> dict[str, Any]:
    """Readings, speed and accuracy; with `untrained`, of a narrow VDSR4DEM with weights of zero."""
    weights = data / "peers" / "vdsr4dem_upscale_3.h5"
    if not untrained and not weights.exists():
        raise SystemExit(f"no {weights}; check --data")
    net = untrained_vdsr4dem() if untrained else load_vdsr4dem(weights)
    found = readings(net, data, WINDOWS[:1] if untrained else WINDOWS)
    best = {
        "vdsr4dem": NOTEBOOK,
        "vdsr4dem, best reading": min(READINGS, key=lambda r: mean_ratio(found[r])),
        "vdsr4dem, kept": min((r + KEPT for r in READINGS), key=lambda r: mean_ratio(found[r])),
    }
    return {
        "protocol": {"degradation": "block mean, float32", "edge_cells": EDGE, "slope": "Horn", "readings": best},
        "readings": found,
        "speed": speed(net, repeats, 32 if untrained else TILE),
        "x3": accuracy(net, best, files),
    }


if __name__ == "__main__":
    main()
