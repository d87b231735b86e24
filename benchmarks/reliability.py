"""Attack Terrafine and record what was lost: `python -m benchmarks.reliability FAMILY...`; without one, all.

    sources    rasters that name remote hosts, files of other folders, raw bytes, themselves
    disks      a run on disks that are full at each of some sizes, then run again
    memory     wide rasters: the peak of the resident size beside its projection (minutes)

Writes `benchmarks/results/reliability.json`, from which `python -m benchmarks.docs` renders docs/reliability.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT

RESULTS = ROOT / "benchmarks/results/reliability.json"
WIDE = ((300, 20_000, 2), (300, 50_000, 2), (300, 200_000, 2))

Record = dict[str, Any]

MEASURED = """
import json, resource, sys
import numpy as np
from pathlib import Path
import terrafine
from tests.support.rasters import write_raster
folder, height, width, scale = Path(sys.argv[1]), *map(int, sys.argv[2:5])
write_raster(folder / "tile.tif", np.full((height, 256), 700, np.float32))
(folder / "wide.vrt").write_text(
    f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>EPSG:32633</SRS><GeoTransform>500000,0.1,0,5000000,'
    '0,-0.1</GeoTransform><VRTRasterBand dataType="Float32" band="1"><NoDataValue>-9999</NoDataValue><SimpleSource>'
    '<SourceFilename relativeToVRT="1">tile.tif</SourceFilename><SourceBand>1</SourceBand>'
    f'<SrcRect xOff="0" yOff="0" xSize="256" ySize="{height}"/>'
    f'<DstRect xOff="0" yOff="0" xSize="256" ySize="{height}"/></SimpleSource></VRTRasterBand></VRTDataset>'
)
kept = []
terrafine.sharpen_dem(folder / "wide.vrt", folder / "o.tif", model="nearest", scale=scale, report=kept.append)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"projected": kept[0].plan.memory_bytes, "peak": peak, "seconds": kept[0].seconds_total}))
"""


def sources() -> Record:
    """Each hostile source is opened; it must be refused with an error of ours."""
    from tests.support.hostile_sources import HOSTILE, Scene

    from terrafine.errors import SourceError
    from terrafine.raster.read.source import open_source

    failures = []
    for name, make in HOSTILE.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                open_source(make(Scene.make(Path(folder), "http://127.0.0.1:9"))).close()
                failures.append(f"{name}: opened")
            except SourceError:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what this counts
                failures.append(f"{name}: {type(error).__name__}")
    return {"tried": len(HOSTILE), "failures": failures}


def disks() -> Record:
    """A run on a disk that is full at each size leaves no part, and the next run gives the bytes of a calm one."""
    from tests.reliability.test_system_errors import OPTIONS, SIZES, largest_file, left
    from tests.support.rasters import write_dem

    import terrafine
    from terrafine.errors import DiskError

    failures = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "out").mkdir()
            dem, out = write_dem(Path(folder) / "dem.tif"), Path(folder) / "out" / "o.tif"
            calm = terrafine.sharpen_dem(dem, Path(folder) / "calm.tif", **OPTIONS).read_bytes()
            try:
                with largest_file(size):
                    terrafine.sharpen_dem(dem, out, **OPTIONS)
            except DiskError:
                if left(out):
                    failures.append(f"{size} bytes: left {', '.join(sorted(left(out)))}")
            except Exception as error:  # noqa: BLE001
                failures.append(f"{size} bytes: {type(error).__name__}")
            if terrafine.sharpen_dem(dem, out, **OPTIONS).read_bytes() != calm:
                failures.append(f"{size} bytes: other bytes afterwards")
    return {"tried": len(SIZES), "failures": failures}


def memory() -> Record:
    """Peak and projection of wide rasters, each in a process of its own; a peak above its projection is a failure."""
    runs, failures = [], []
    for height, width, scale in WIDE:
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
            command = [sys.executable, "-c", MEASURED, folder, str(height), str(width), str(scale)]
            done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
        run = {"height": height, "width": width, "scale": scale, **json.loads(done.stdout)}
        runs.append(run)
        if run["peak"] > run["projected"]:
            failures.append(f"{height} × {width}, ×{scale}: {run['peak']:,} bytes, {run['projected']:,} projected")
    return {"tried": len(runs), "failures": failures, "runs": runs}


FAMILIES: dict[str, Callable[[], Record]] = {"sources": sources, "disks": disks, "memory": memory}
TITLES = {
    "sources": "hostile sources: refused, nothing read or fetched",
    "disks": "disks full at a size: our error, no part left, the next run whole",
    "memory": "wide rasters: peak within the projection",
}


def _table() -> str:
    records = json.loads(RESULTS.read_text(encoding="utf-8"))
    lines = ["| attack | tried | failed |", "|---|---|---|"]
    lines += [f"| {TITLES[n]} | {r['tried']} | {len(r['failures'])} |" for n, r in records.items()]
    failures = [f"- {name}: {failure}" for name, record in records.items() for failure in record["failures"]]
    return "\n".join([*lines, "", "Failures:" if failures else "Failures: none.", *failures]) + "\n"


def _memory() -> str:
    runs = json.loads(RESULTS.read_text(encoding="utf-8")).get("memory", {}).get("runs", [])
    lines = ["| input | scale | projected MB | peak MB | seconds |", "|---|---|---|---|---|"]
    lines += [
        f"| {r['height']:,} × {r['width']:,} | {r['scale']} | {r['projected'] / 1e6:,.0f} | {r['peak'] / 1e6:,.0f} "
        f"| {r['seconds']:,.0f} |"
        for r in runs
    ]
    return "\n".join(lines) + "\n"


SECTIONS = {"reliability": _table, "reliability_memory": _memory}


def main() -> int:
    """Run the families named, and record them beside those of earlier runs."""
    records = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in sys.argv[1:] or FAMILIES:
        records[name] = FAMILIES[name]()
        RESULTS.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {records[name]['tried']} tried, {len(records[name]['failures'])} failed", flush=True)
    return int(any(record["failures"] for record in records.values()))


if __name__ == "__main__":
    raise SystemExit(main())
