"""Wide and large rasters, almost empty: the peak of the resident size beside its projection.

Free disk is not checked, because the check supposes data in every cell: 157 GB for 64,000 × 64,000 cells at scale 2, of
which the run takes a hundredth where nearly all cells are nodata.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable

from benchmarks.common import ROOT
from benchmarks.reliability import Record

__all__ = ["large", "wide"]

Run = tuple[int, int, int, str]
WIDE: tuple[Run, ...] = ((300, 20_000, 2, "nearest"), (300, 50_000, 2, "nearest"), (300, 200_000, 2, "nearest"))
LARGE: tuple[Run, ...] = ((1_000, 1_000_000, 2, "bicubic"), (64_000, 64_000, 2, "bicubic"))

CHILD = """
import json, resource, sys
import numpy as np
from pathlib import Path
import terrafine
from terrafine.inference import engine
from terrafine.raster.write import cog_writer
from tests.support.rasters import sparse_vrt
cog_writer.check_free_space = engine.check_free_space = lambda *_: None
folder, height, width, scale, model = Path(sys.argv[1]), *map(int, sys.argv[2:5]), sys.argv[5]
kept = []
terrafine.sharpen_dem(
    sparse_vrt(folder / "sparse.vrt", height, width), folder / "o.tif", model=model, scale=scale, report=kept.append
)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
size = (folder / "o.tif").stat().st_size
print(json.dumps({"projected": kept[0].plan.memory_bytes, "peak": peak, "seconds": kept[0].seconds_total,
                  "bytes": size}))
"""


def wide() -> Record:
    """Rasters of 300 rows that get wider: minutes."""
    return _measured(WIDE)


def large() -> Record:
    """1,000 × 1,000,000 and 64,000 × 64,000 cells, run to the end: an hour and more."""
    return _measured(LARGE)


def _measured(runs: Iterable[Run]) -> Record:
    """Each run in a process of its own; a peak above its projection is a failure."""
    done: list[Record] = []
    failures = []
    for height, width, scale, model in runs:
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
            command = [sys.executable, "-c", CHILD, folder, str(height), str(width), str(scale), model]
            ended = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        name = f"{height:,} × {width:,}, ×{scale}, {model}"
        if ended.returncode:
            said = (ended.stderr.strip().splitlines() or [""])[-1]
            failures.append(f"{name}: ended with {ended.returncode}: {said}")
            continue
        run = {"height": height, "width": width, "scale": scale, "model": model, **json.loads(ended.stdout)}
        done.append(run)
        if run["peak"] > run["projected"]:
            failures.append(f"{name}: {run['peak']:,} bytes, {run['projected']:,} projected")
    return {"tried": len(done), "failures": failures, "runs": done}
