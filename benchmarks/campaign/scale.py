"""Measure campaigns: `python -m benchmarks.campaign.scale plan|unit|stubs|workers`; writes benchmarks/results/campaign.

plan      2.2 million km² × 4 epochs: seconds and peak memory of a process that lists every unit with its key
unit      processor time and bytes of units of a map of Montpellier, one after the other; operations of the network
stubs     20,000 units without a model on a real Dask cluster of this machine, whose workers are killed meanwhile
workers   the same map campaign of Montpellier on one and on two workers, in turn; compared by medians
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.campaign import RESULTS
from benchmarks.common import ROOT, data_dir

Record = dict[str, Any]
AREA_KM2 = 2.2e6
EPOCHS = ("2015", "2017", "2019", "2021")
UNITS = 20_000
EVERY_S = 60.0  # seconds between deaths of workers
REPEATS = 3
WORKERS = 4
VERTICES = 4_000
RUNS = ROOT / "build" / "campaign_workers.json"

PLAN = """
import json, resource, sys, time
begun = time.perf_counter()
from terrafine.campaign.plan import make_plan
from terrafine.campaign.settings import read_settings
loaded = time.perf_counter()
plan = make_plan(read_settings(sys.argv[1]))
units = sum(1 for _ in plan.units())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"import_s": loaded - begun, "seconds": time.perf_counter() - begun, "peak_bytes": peak,
                  "tiles": len(plan.tiles), "units": units, "km2": plan.area_km2,
                  "zones": len({t.epsg for t in plan.tiles})}))
"""


def write_settings(folder: Path) -> Path:
    """A campaign of an invented outline of 2.2 million km², 4,000 vertices, around 45° E 24° N; four epochs."""
    import numpy as np
    import shapely

    from terrafine.raster.utm_tiles import geodesic_area_m2

    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    shape = 1 + 0.15 * np.sin(3 * angle) + 0.05 * np.sin(17 * angle) + 0.01 * np.sin(101 * angle)

    def outline(radius: float) -> Any:
        north = 24 + radius * shape * np.sin(angle)
        east = 45 + radius * shape * np.cos(angle) / np.cos(np.radians(24))
        return shapely.Polygon(np.stack([east, north], axis=1))

    radius = 7.5
    for _ in range(20):
        radius *= (AREA_KM2 * 1e6 / geodesic_area_m2(outline(radius))) ** 0.5
    feature = {"type": "Feature", "properties": {}, "geometry": outline(radius).__geo_interface__}
    (folder / "area.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    text = 'name = "isa"\nregion = "area.geojson"\n[source]\nkind = "stac"\nservice = "earth-search"\n'
    text += '[run]\ndevice = "cpu"\n'
    for name in EPOCHS:
        text += f'[[epochs]]\nname = "{name}"\ndates = "{name}-04/{name}-10"\n'
    path = folder / "isa.toml"
    path.write_text(text)
    return path


def plan() -> Record:
    """Each run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_settings(Path(folder))
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        command = [sys.executable, "-c", PLAN, str(path)]
        runs = [
            json.loads(subprocess.run(command, capture_output=True, text=True, env=env, check=True).stdout)
            for _ in range(REPEATS)
        ]
    return {"runs": runs, "load": os.getloadavg()[0]}


def _kill_workers(cluster: Any, stop: threading.Event, deaths: list[float], begun: float) -> None:
    """Kill the process of one worker after another; its nanny starts a new one."""
    import psutil

    rng = random.Random(1)
    while not stop.wait(EVERY_S):
        alive = [child for w in cluster.workers for child in psutil.Process(w.pid).children(recursive=True)]
        workers = [p for p in alive if "spawn_main" in " ".join(p.cmdline())]
        if workers:
            rng.choice(workers).kill()
            deaths.append(round(time.perf_counter() - begun, 1))


def stubs() -> Record:
    """Units of the large campaign whose work is to write two small files; then every record is looked at."""
    from tests.support.campaigns import stub
    from tests.support.clusters import Cluster

    from terrafine.campaign.execute import run_units
    from terrafine.campaign.folder import DONE, Folder
    from terrafine.campaign.plan import make_plan
    from terrafine.campaign.settings import read_settings

    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        top = Path(name)
        made = make_plan(read_settings(write_settings(top)))
        units = [u for _, u in zip(range(UNITS), made.units(), strict=False)]
        alone = Folder(top / "alone")
        alone.prepare()
        start = time.perf_counter()
        run_units(made, alone, units[:500], work=stub)
        here = (time.perf_counter() - start) / 500
        folder = Folder(top / "isa")
        folder.prepare()
        (top / "cluster").mkdir()
        cluster, stop = Cluster(top / "cluster", workers=WORKERS), threading.Event()
        deaths: list[float] = []
        try:
            cluster.wait(WORKERS)
            begun = time.perf_counter()
            killer = threading.Thread(target=_kill_workers, args=(cluster, stop, deaths, begun))
            killer.start()
            ended = run_units(made, folder, units, dask=cluster.address, work=stub)
        finally:
            stop.set()
            cluster.close()
        killer.join()
        states = [folder.state(made, u).name for u in units]
    return {
        "units": len(units),
        "done": states.count(DONE),
        "failed": len(ended.failed),
        "tries_repeated": ended.retried,
        "deaths_s": deaths,
        "workers": WORKERS,
        "in_memory": memory.is_dir(),
        "wall_s": round(ended.wall, 1),
        "ms_per_unit": round(1e3 * ended.wall / len(units), 2),
        "ms_of_the_work_alone": round(1e3 * here, 2),
        "load": os.getloadavg()[0],
    }


def unit() -> Record:
    """Units of the town here: processor time, which other programs do not lengthen much, and bytes."""
    import torch

    torch.set_num_threads(1)
    from terrafine.campaign.execute import run_units
    from terrafine.campaign.folder import Folder
    from terrafine.campaign.plan import make_plan
    from terrafine.campaign.settings import read_settings

    with tempfile.TemporaryDirectory() as name:
        made = make_plan(read_settings(_montpellier(Path(name), data_dir() / "s2_truth")))
        units = list(made.units())
        run_units(made, Folder(_made(Path(name) / "warm")), units[:1])
        start, wall = time.process_time(), time.perf_counter()
        ended = run_units(made, Folder(_made(Path(name) / "town")), units)
        spent, passed = time.process_time() - start, time.perf_counter() - wall
    return {
        "units": ended.done,
        "failed": len(ended.failed),
        "cells": made.lattice.cells,
        "cells_with_halo": made.lattice.cells + 2 * made.lattice.halo,
        "processor_s": round(spent, 2),
        "wall_s": round(passed, 2),
        "bytes": ended.bytes,
        "operations_per_cell": _operations(),
        "load": os.getloadavg()[0],
    }


def _operations() -> float:
    """Floating-point operations of citymap for a cell of its input, far from edges."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from terrafine.systems import find_model
    from terrafine.systems.load import load_network

    ref = find_model("citymap", 10, verb="map")
    network, side = load_network(ref), 64
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, len(ref.spec.inputs), side, side))
    return float(counter.get_total_flops() / side**2)


def workers() -> Record:
    """Montpellier from files in two epochs, mapped by citymap on the CPU; one thread for each worker.

    Each finished run is kept in build/, so that the same command resumes one that was cut off.
    """
    from terrafine.campaign.plan import make_plan
    from terrafine.campaign.settings import read_settings

    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        made = make_plan(read_settings(_montpellier(top, data_dir() / "s2_truth")))
        units = list(made.units())
        runs = _kept_runs(units[0].key)
        for number in range(REPEATS):
            for count in (1, 2):
                if len(runs) > 2 * number + count - 1:
                    continue
                runs.append(_run_on(made, units, top / f"{number}-{count}", count))
                RUNS.parent.mkdir(parents=True, exist_ok=True)
                RUNS.write_text(json.dumps({"key": units[0].key, "runs": runs}), encoding="utf-8")
                print(runs[-1], flush=True)
    wall = {n: statistics.median(r["wall_s"] for r in runs if r["workers"] == n) for n in (1, 2)}
    side_km = made.lattice.side_m / 1e3
    ratio = round(wall[1] / wall[2], 3)
    print(
        f"one worker {wall[1]:.1f} s, two workers {wall[2]:.1f} s (medians of {REPEATS}): {ratio:g} times", flush=True
    )
    RUNS.unlink(missing_ok=True)
    return {
        "units": len(units),
        "km2_of_tiles": round(len(units) * side_km**2, 4),
        "cells_with_halo": made.lattice.cells + 2 * made.lattice.halo,
        "cells": made.lattice.cells,
        "runs": runs,
        "median_s": wall,
        "ratio": ratio,
        "cores": os.cpu_count(),
    }


def _kept_runs(key: str) -> list[Record]:
    """The runs of the same campaign that an earlier command finished."""
    try:
        record = json.loads(RUNS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return list(record["runs"]) if record.get("key") == key else []


def _run_on(made: Any, units: list[Any], place: Path, count: int) -> Record:
    """All units on so many workers, after one each that warms them up."""
    from tests.support.clusters import Cluster

    from terrafine.campaign.execute import run_units
    from terrafine.campaign.folder import Folder

    (place / "cluster").mkdir(parents=True)
    folder = Folder(place / "town")
    folder.prepare()
    cluster = Cluster(place / "cluster", workers=count)
    try:
        cluster.wait(count)
        run_units(made, Folder(_made(place / "warm")), units[:count], dask=cluster.address)
        load = os.getloadavg()[0]
        ended = run_units(made, folder, units, dask=cluster.address)
    finally:
        cluster.close()
    return {
        "workers": count,
        "wall_s": round(ended.wall, 2),
        "done": ended.done,
        "failed": len(ended.failed),
        "bytes": ended.bytes,
        "seconds": {k: round(float(v), 2) for k, v in ended.seconds.items()},
        "load": round(load, 2),
    }


def _made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _montpellier(folder: Path, scenes: Path) -> Path:
    """Six tiles of 1.28 km in two epochs; the region is set back from the border of the scenes."""
    from tests.support.campaigns import write_region

    write_region(folder / "town.geojson", (3.892, 43.6, 3.9115, 43.6185))
    text = 'name = "town"\nregion = "town.geojson"\n[grid]\ntile_m = 1280.0\n'
    text += '[source]\nsensor = "sentinel2"\n[run]\ndevice = "cpu"\nthreads = 1\n'
    for number, year in ((1, "2015"), (2, "2017")):
        file = scenes / f"montpellier_s2_l1c_{number}.tif"
        text += f'[[epochs]]\nname = "{year}"\ndates = "{year}"\nfiles = ["{file}"]\n'
    path = folder / "town.toml"
    path.write_text(text)
    return path


KINDS: dict[str, Callable[[], Record]] = {"plan": plan, "unit": unit, "stubs": stubs, "workers": workers}


def main() -> int:
    """Measure what is named, and write its record."""
    unknown = [name for name in sys.argv[1:] if name not in KINDS]
    if unknown or not sys.argv[1:]:
        raise SystemExit(f"expected one or more of {', '.join(KINDS)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:]:
        record = KINDS[name]()
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {json.dumps(record)[:600]}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
