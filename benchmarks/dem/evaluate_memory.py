"""Peak memory of `terrafine evaluate` over a pair of large rasters: one line, one JSON.

    python -m benchmarks.dem.evaluate_memory [--side 10000] [--source taiwan_20m] [--data DIR] [--temp DIR]
                                                [-- OPTION...]

The reference is a square of real terrain from dem/train, mirrored until it is --side cells along a side; the candidate
is back-projected bicubic of its 4×4 block means. The command runs in a process of its own, without hydrology, which
holds surfaces whole and says so; the page and its pictures are written. Options after `--` go to the command.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import rasterio

from benchmarks.common import RESULTS, back_projected, block_mean, data_dir, machine, read_dem, write_json
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--source", default="taiwan_20m", help="stem of a file in dem/train")
    parser.add_argument("--data", help="folder of real data")
    parser.add_argument("--temp", help="folder for the files; needs about 1 GB for the default")
    parser.add_argument("--out", type=Path, help="JSON; default: results/evaluate_memory.json, of the default run only")
    parser.add_argument("options", nargs="*", help="of terrafine evaluate, after --")
    args = parser.parse_args()
    source = data_dir(args.data) / "dem" / "train" / f"{args.source}.tif"
    with tempfile.TemporaryDirectory(dir=args.temp) as name:
        candidate, reference = make_pair(source, args.side, Path(name))
        found = measure(candidate, reference, Path(name) / "report", args.options)
    print(f"{args.side:,}² pair: peak {found['peak_mb']:,.0f} MB of {LIMIT_MB:,} allowed, {found['seconds']:.0f} s")
    default = args.side == 10_000 and not args.options
    out = args.out or (RESULTS / "evaluate_memory.json" if default else None)
    if out is not None:
        record = {"command": "python -m benchmarks.dem.evaluate_memory", "machine": machine(), "side": args.side}
        write_json(out, record | {"limit_mb": LIMIT_MB, "source": source.name} | found)
        print(f"written to {out}")
    if found["peak_mb"] > LIMIT_MB:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
