"""Tables of docs/benchmarks/campaign.md: what was measured, and what is computed from it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.campaign import RESULTS
from benchmarks.campaign.scale import AREA_KM2, EPOCHS

__all__ = ["SECTIONS"]

TILE_CELLS, HALO = 1024, 64  # of the default settings
SCENES = 12  # of an epoch and a tile, after the limit on cloud: assumed
BYTES_PER_CELL = 4 * 2 + 0.25  # four bands of 16 bits at 10 m, classes of 8 bits at 20 m
PACKED = 0.6  # of the plain size, as archives store it: assumed
GPU_OPERATIONS = 20e12  # sustained operations a second of one data-centre GPU: assumed
CORE_PRICE, GPU_PRICE, STORE_PRICE = 0.04, 3.0, 0.023  # dollars for a core hour, a GPU hour, a GB month: assumed


def _record(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _measured() -> str:
    plan, stubs, unit, workers = (_record(name) for name in ("plan", "stubs", "unit", "workers"))
    runs = plan["runs"]
    lines = ["| measured | value |", "|---|---|"]
    lines += [
        f"| plan of {runs[0]['km2']:,.0f} km², {runs[0]['tiles']:,} tiles in {runs[0]['zones']} zones, "
        f"{runs[0]['units']:,} units with their keys | {statistics.median(r['seconds'] for r in runs):.1f} s, peak "
        f"{max(r['peak_bytes'] for r in runs) / 1e6:,.0f} MB (load of the machine {plan['load']:.0f}) |",
        f"| {stubs['units']:,} units without a model on {stubs['workers']} Dask workers, of which "
        f"{len(stubs['deaths_s'])} were killed | {stubs['done']:,} done, {stubs['failed']} failed, "
        f"{stubs['tries_repeated']} tries repeated, {stubs['wall_s'] / 60:.0f} minutes |",
        f"| wall time of one such unit; of its work alone, here | {stubs['ms_per_unit']:.0f} ms; "
        f"{stubs['ms_of_the_work_alone']:.1f} ms (load {stubs['load']:.0f} on two cores) |",
        f"| map of Montpellier by citymap from files, one thread: {unit['units']} units of {unit['cells']}² cells, "
        f"{unit['cells_with_halo']}² with their halo | {unit['processor_s']:.1f} s of processor time, "
        f"{unit['bytes'] / 1e6:.2f} MB published |",
    ]
    if workers:
        medians = {int(k): v for k, v in workers["median_s"].items()}
        loads = [run["load"] for run in workers["runs"]]
        lines.append(
            f"| the same campaign on one and on two workers, medians of {len(workers['runs']) // 2} runs each | "
            f"{medians[1]:.1f} s and {medians[2]:.1f} s, ratio {workers['ratio']:.2f} (load {min(loads):.0f} to "
            f"{max(loads):.0f} on {workers['cores']} cores) |"
        )
    return "\n".join(lines) + "\n"


def _computed() -> str:
    unit = _record("unit")
    km2 = AREA_KM2 * len(EPOCHS)
    side_km = TILE_CELLS / 100
    tiles = _record("plan")["runs"][0]["units"]
    cells = tiles * (TILE_CELLS + 2 * HALO) ** 2
    per_cell = unit["processor_s"] / (unit["units"] * unit["cells_with_halo"] ** 2)
    cpu_h = cells * per_cell / 3600
    gpu_h = cells * unit["operations_per_cell"] / GPU_OPERATIONS / 3600
    reads = cells * BYTES_PER_CELL * SCENES * PACKED
    stored = unit["bytes"] / (unit["units"] * unit["cells"] ** 2) * tiles * TILE_CELLS**2
    rows = [
        ("units of one tile and one epoch", f"{tiles:,}"),
        ("cells read, with halo", f"{cells / 1e9:,.0f} billion"),
        (f"reads, {SCENES} scenes a unit, {PACKED:g} of the plain size", f"{reads / 1e12:,.0f} TB"),
        ("storage of the class maps, as many bytes a cell as in Montpellier", f"{stored / 1e12:,.2f} TB"),
        ("model on CPUs, as fast as measured", f"{cpu_h:,.0f} core hours, {cpu_h * CORE_PRICE:,.0f} dollars"),
        (
            f"model on GPUs, {unit['operations_per_cell']:,.0f} operations a cell at {GPU_OPERATIONS / 1e12:.0f} "
            "TFLOP/s",
            f"{gpu_h:,.1f} GPU hours, {gpu_h * GPU_PRICE:,.0f} dollars",
        ),
        ("storage for a year", f"{stored / 1e9 * STORE_PRICE * 12:,.0f} dollars"),
    ]
    lines = [f"| computed for {km2 / 1e6:.1f} million km² of maps ({side_km:.2f} km tiles) | value |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows)]) + "\n"


SECTIONS: dict[str, Callable[[], str]] = {"campaign_measured": _measured, "campaign_computed": _computed}
