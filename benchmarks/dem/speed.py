"""Speed and memory of ×4 super-resolution from file to published file, against the DRN network and against GDAL.

    python -m benchmarks.dem.speed [--side 3600] [--repeats 3] [--threads 2] [--engine torch] [--data DIR]
                                   [--memory-sides 500 5000] [--memory-model ridgeline]

One run, repeats interleaved, medians. The input is a real DEM cut from data/dem/train.

    ridgeline   terrafine.sharpen_dem, from opening the input to the published Cloud-Optimized GeoTIFF
    drn         the same call on the same engine on a smaller cut (its side is in the table): rates are per output pixel
    gdal cubic  what `gdalwarp -r cubic -of COG` does, through rasterio (warp.reproject, then GDAL's COG driver):
                compression, predictor, block size and overviews as in ridgeline's own output

Each case runs in a process of its own; importing is not counted. Peak memory is the largest resident size of a process
that super-resolves a square of each of --memory-sides cells (a real DEM, mirrored until it is large enough).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.command import data_of, destination, parser, publish
from benchmarks.common import ROOT, machine

SCALE = 4


def cut(source: Path, side: int, target: Path) -> None:
    """Write the square of `side` cells that has the most valid cells among nine places."""
    with rasterio.open(source) as src:
        side_y, side_x = min(side, src.height), min(side, src.width)
        places = [
            rasterio.windows.Window(c, r, side_x, side_y)
            for r in np.linspace(0, src.height - side_y, 3).astype(int)
            for c in np.linspace(0, src.width - side_x, 3).astype(int)
        ]
        best = max(places, key=lambda w: int((src.read_masks(1, window=w) > 0).sum()))
        profile = src.profile | {
            "driver": "GTiff",
            "height": side_y,
            "width": side_x,
            "transform": src.window_transform(best),
            "tiled": True,
            "blockxsize": 512,
            "blockysize": 512,
            "compress": "deflate",
        }
        with rasterio.open(target, "w", **profile) as dst:
            dst.write(src.read(1, window=best), 1)


def mirror(source: Path, side: int, target: Path) -> None:
    """Write a square of `side` cells, the source mirrored again and again, a band of rows at a time."""
    with rasterio.open(source) as src:
        z = src.read(1)
        profile = src.profile | {"height": side, "width": side, "BIGTIFF": "IF_SAFER"}
    fold = [np.concatenate((np.arange(n), np.arange(n)[::-1])) for n in z.shape]
    rows, cols = (np.resize(f, side) for f in fold)
    with rasterio.open(target, "w", **profile) as dst:
        for top in range(0, side, 512):
            part = z[rows[top : top + 512]][:, cols]
            dst.write(part, 1, window=rasterio.windows.Window(0, top, side, part.shape[0]))


def case_terrafine(source: str, target: str, options: dict[str, Any]) -> dict[str, Any]:
    """One call of sharpen_dem, timed, with what its report says."""
    import torch

    from terrafine import sharpen_dem

    torch.set_num_threads(options["threads"])
    reports: list[Any] = []
    start = time.perf_counter()
    sharpen_dem(
        source,
        target,
        scale=SCALE,
        model=options["model"],
        engine=options["engine"],
        threads=options["threads"],
        report=reports.append,
    )
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "outside_network": 1 - reports[0].seconds_model / seconds}


def case_gdal(source: str, target: str, options: dict[str, Any]) -> dict[str, Any]:
    """Cubic warp of the same extent into a plain GeoTIFF, and that into a COG: the two steps of `gdalwarp -of COG`."""
    import rasterio.shutil
    from rasterio.warp import Resampling, reproject

    start = time.perf_counter()
    plain = Path(target).with_suffix(".plain.tif")
    with rasterio.Env(GDAL_CACHEMAX=512), rasterio.open(source) as src:
        profile = {
            "driver": "GTiff",
            "dtype": "float32",
            "count": 1,
            "crs": src.crs,
            "transform": src.transform * src.transform.scale(1 / SCALE),
            "width": src.width * SCALE,
            "height": src.height * SCALE,
            "nodata": src.nodata,
            "tiled": True,
            "BIGTIFF": "IF_SAFER",
        }
        with rasterio.open(plain, "w", **profile) as dst:
            reproject(
                rasterio.band(src, 1),
                rasterio.band(dst, 1),
                resampling=Resampling.cubic,
                num_threads=options["threads"],
                warp_mem_limit=256,
            )
        rasterio.shutil.copy(plain, target, driver="COG", NUM_THREADS=options["threads"], **options["creation"])
    plain.unlink()
    return {"seconds": time.perf_counter() - start}


def creation_options(path: Path) -> dict[str, Any]:
    """COG driver options that give what this file has."""
    with rasterio.open(path) as src:
        compress = (src.compression.name if src.compression else "none").upper()
        return {
            "COMPRESS": compress,
            "LEVEL": 1 if compress == "ZSTD" else 6,
            "PREDICTOR": "FLOATING_POINT",
            "BLOCKSIZE": src.block_shapes[0][0],
            "OVERVIEW_RESAMPLING": "AVERAGE",
            "STATISTICS": "YES",
            "BIGTIFF": "IF_SAFER",
        }


def in_process(case: str, source: Path, target: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Run a case in a fresh process; its output file is removed, its peak memory is added."""
    target.unlink(missing_ok=True)
    arguments = ["--case", case, str(source), str(target), json.dumps(options)]
    command = [sys.executable, "-m", "benchmarks.dem.speed", *arguments]
    env = os.environ | {"OMP_NUM_THREADS": str(options["threads"])}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"{case}: {done.stderr.strip()[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def speed(args: argparse.Namespace, folder: Path, source: Path) -> dict[str, Any]:
    """Interleaved repeats of the three cases."""
    full, small = folder / "input.tif", folder / "small.tif"
    cut(source, args.side, full)
    cut(full, args.drn_side, small)
    base = {"threads": args.threads, "engine": args.engine}
    fine = folder / "ridgeline.tif"
    runs: dict[str, list[dict[str, Any]]] = {"ridgeline": [], "drn": [], "gdal cubic": []}
    creation: dict[str, Any] = {}
    for repeat in range(args.repeats):
        runs["ridgeline"].append(in_process("terrafine", full, fine, base | {"model": args.model}))
        creation = creation or creation_options(fine)
        runs["drn"].append(in_process("terrafine", small, folder / "drn.tif", base | {"model": "drn"}))
        runs["gdal cubic"].append(in_process("gdal", full, folder / "gdal.tif", base | {"creation": creation}))
        print(f"repeat {repeat + 1} of {args.repeats} done", file=sys.stderr)
    out: dict[str, Any] = {"creation_options": creation, "source": source.name}
    for name, results in runs.items():
        with rasterio.open(small if name == "drn" else full) as src:
            pixels = src.height * src.width * SCALE**2
            side = [src.height, src.width]
        seconds = statistics.median(r["seconds"] for r in results)
        out[name] = {
            "input_cells": side,
            "seconds": seconds,
            "seconds_each": [r["seconds"] for r in results],
            "output_pixels_per_second": pixels / seconds,
            "peak_mb": max(r["peak_mb"] for r in results),
        }
        if "outside_network" in results[0]:
            out[name]["outside_network"] = statistics.median(r["outside_network"] for r in results)
    rate = {name: out[name]["output_pixels_per_second"] for name in runs}
    out["ridgeline_over_drn"] = rate["ridgeline"] / rate["drn"]
    out["ridgeline_time_over_gdal"] = rate["gdal cubic"] / rate["ridgeline"]
    return out


def memory(args: argparse.Namespace, folder: Path, source: Path) -> list[dict[str, Any]]:
    """Peak resident size by side of the input."""
    out = []
    seed = folder / "seed.tif"
    cut(source, 2048, seed)
    for side in args.memory_sides:
        large = folder / "large.tif"
        mirror(seed, side, large)
        options = {"threads": args.threads, "engine": args.engine, "model": args.memory_model}
        result = in_process("terrafine", large, folder / "large-fine.tif", options)
        (folder / "large-fine.tif").unlink()
        out.append({"input_side": side, "output_side": side * SCALE, "model": args.memory_model} | result)
    return out


def show(record: dict[str, Any]) -> None:
    """Print both tables."""
    timed = record["speed"]
    print(f"{record['machine']['cpu']}, {record['threads']} threads, engine {record['engine']}")
    print(f"×{SCALE}, from file to published file, {timed['source']}")
    print(f"{'':14}{'input cells':>16}{'seconds':>10}{'output Mpx/s':>14}{'outside network':>18}{'peak MB':>10}")
    for name in ("ridgeline", "drn", "gdal cubic"):
        r = timed[name]
        outside = f"{100 * r['outside_network']:.0f} %" if "outside_network" in r else ""
        cells = "×".join(map(str, r["input_cells"]))
        rate = r["output_pixels_per_second"] / 1e6
        print(f"{name:14}{cells:>16}{r['seconds']:10.1f}{rate:14.3f}{outside:>18}{r['peak_mb']:10.0f}")
    print(f"ridgeline gives {timed['ridgeline_over_drn']:.1f} times the output pixels per second of drn")
    print(f"ridgeline takes {timed['ridgeline_time_over_gdal']:.2f} times as long as gdal cubic")
    for r in record["memory"]:
        sides = f"{r['input_side']:,}² -> {r['output_side']:,}²"
        print(f"peak memory, {r['model']}, {sides}: {r['peak_mb']:.0f} MB in {r['seconds']:.0f} s")


def main() -> None:
    """Parse, run, print, write; with --case run one case and print its JSON."""
    if sys.argv[1:2] == ["--case"]:
        case, source, target, options = sys.argv[2:6]
        run = case_terrafine if case == "terrafine" else case_gdal
        result = run(source, target, json.loads(options))
        print(json.dumps(result | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    args = arguments()
    with tempfile.TemporaryDirectory(dir=args.temp) as name, data_of(args) as data:
        folder, source = Path(name), data / "dem" / "train" / f"{args.source}.tif"
        record = {
            "command": "python -m benchmarks.dem.speed",
            "machine": machine(),
            "threads": args.threads,
            "engine": args.engine,
            "scale": SCALE,
            "speed": speed(args, folder, source),
            "memory": memory(args, folder, source),
        }
    show(record)
    publish(record, destination(args, "dem_speed", complete=True))


def arguments() -> argparse.Namespace:
    """The command line; --quick takes small squares and one repeat."""
    made = parser(__doc__, "dem_speed")
    made.add_argument("--side", type=int, default=3600)
    made.add_argument("--drn-side", type=int, default=400, help="input cells along a side for drn")
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--threads", type=int, default=machine()["cores"])
    made.add_argument("--engine", default="torch")
    made.add_argument("--model", default="ridgeline")
    made.add_argument("--source", default="taiwan_20m", help="stem of a file in dem/train")
    made.add_argument("--memory-sides", type=int, nargs="*", default=[500, 5000], help="input cells along a side")
    made.add_argument("--memory-model", default="ridgeline")
    made.add_argument("--temp", help="folder for the files; needs some 10 GB for the defaults")
    args = made.parse_args()
    if args.quick:
        args.threads = 1
        args.side, args.drn_side, args.repeats, args.memory_sides = 64, 24, 1, [64]
    return args


if __name__ == "__main__":
    main()
