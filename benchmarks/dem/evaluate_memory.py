"""Peak memory of `terrafine evaluate` over a pair of large rasters: one line, one JSON.

    python -m benchmarks.dem.evaluate_memory [--side 10000] [--source taiwan_20m] [--data DIR] [--temp DIR]
                                                [-- OPTION...]

The reference is a square of real terrain from dem/train, mirrored until it is --side cells along a side; the candidate
is back-projected bicubic of its 4×4 block means. The command runs in a process of its own, without hydrology, which
holds surfaces whole and says so; the page and its pictures are written. Options after `--` go to the command.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import rasterio

from benchmarks.command import data_of, destination, parser, publish
from benchmarks.common import back_projected, block_mean, machine, read_dem
from benchmarks.dem.speed import cut, mirror

SEED = 2048  # cells along the square that is mirrored
SCALE = 4
LIMIT_MB = 3000


def make_pair(source: Path, side: int, folder: Path) -> tuple[Path, Path]:
    """Candidate and reference, on one grid."""
    seed, reference, candidate = (folder / f"{n}.tif" for n in ("seed", "reference", "candidate"))
    cut(source, SEED, seed)
    mirror(seed, side, reference)
    with rasterio.open(seed, "r+") as file:
        dem = read_dem(seed)
        file.write(back_projected(block_mean(dem.z, SCALE), SCALE).astype(file.dtypes[0]), 1)
    mirror(seed, side, candidate)
    return candidate, reference


def measure(candidate: Path, reference: Path, out: Path, options: list[str]) -> dict[str, Any]:
    """Peak resident size of the command and what it found."""
    command = [sys.executable, "-m", "terrafine.cli", "evaluate", str(candidate), str(reference), "-o", str(out)]
    start = time.perf_counter()
    done = subprocess.run([*command, "--no-hydrology", "--quiet", *options], check=False)
    if done.returncode:
        raise SystemExit(f"terrafine evaluate ended with exit code {done.returncode}")
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return {
        "seconds": time.perf_counter() - start,
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "cells": results["candidates"][0]["elevation"]["n"],
        "rmse": results["candidates"][0]["elevation"]["rmse"],
    }


def main() -> None:
    """Parse, make the pair, run, print, write."""
    made = parser(__doc__, "evaluate_memory")
    made.add_argument("--side", type=int, default=10_000)
    made.add_argument("--source", default="taiwan_20m", help="stem of a file in dem/train")
    made.add_argument("--temp", help="folder for the files; needs about 1 GB for the default")
    made.add_argument("options", nargs="*", help="of terrafine evaluate, after --")
    args = made.parse_args()
    side = 600 if args.quick else args.side
    with tempfile.TemporaryDirectory(dir=args.temp) as name, data_of(args) as data:
        source = data / "dem" / "train" / f"{args.source}.tif"
        candidate, reference = make_pair(source, side, Path(name))
        found = measure(candidate, reference, Path(name) / "report", args.options)
    print(f"{side:,}² pair: peak {found['peak_mb']:,.0f} MB of {LIMIT_MB:,} allowed, {found['seconds']:.0f} s")
    record = {"command": "python -m benchmarks.dem.evaluate_memory", "machine": machine(), "side": side}
    record |= {"limit_mb": LIMIT_MB, "source": source.name} | found
    publish(record, destination(args, "evaluate_memory", complete=args.side == 10_000 and not args.options))
    if found["peak_mb"] > LIMIT_MB:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
