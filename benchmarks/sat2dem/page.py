"""The tables of docs/benchmarks/sat2dem.md, from the JSON that the benchmark wrote."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.markdown import Section, result, table

KNOWING = ("constant", "relief above its own lowest cell", "tile mean", "relief, mean known", "plane fit")
KINDS = ("global", "shift")


def shift_table(areas: dict[str, Any]) -> str:
    """MAE in metres by area, tile and method."""
    rows = []
    for name, found in areas.items():
        for side in sorted(found["shift"], key=int):
            methods = {m: found["shift"][side][m] for m in KNOWING}
            ratio = methods["relief, mean known"]["mae"] / methods["tile mean"]["mae"]
            cells = [f"{m['mae']:.1f}" for m in methods.values()]
            rows.append([name, side, *cells, f"{ratio:.3f}", f"{methods['relief, mean known']['r2']:.2f}"])
    return table(["held out", "tile", *KNOWING, "relief / tile mean", "R² of relief, mean known"], rows)


def anchored_table(areas: dict[str, Any]) -> str:
    """RMSE, MAE, SSIM and R² by area and anchor."""
    rows = []
    for name, found in areas.items():
        for metres in sorted(found["anchored"], key=int, reverse=True):
            methods = found["anchored"][metres]
            base = methods["back-projected bicubic"]["rmse"]
            for method, s in sorted(methods.items(), key=lambda m: -m[1]["rmse"]):
                values = [f"{s['rmse']:.2f}", f"{s['mae']:.2f}", f"{s['ssim']:.4f}", f"{s['r2']:.4f}"]
                rows.append([name, f"{metres} m", method, *values, f"{s['rmse'] / base:.3f}"])
    return table(["held out", "anchor", "method", "RMSE", "MAE", "SSIM", "R²", "RMSE / back-projected"], rows)


def turned_table(areas: dict[str, Any]) -> str:
    """R² and correlation of relief finer than 900 m, by the angle that the image is turned by."""
    angles = [str(90 * q) for q in range(4)]
    cells = [[f["turned"][a] for a in angles] for f in areas.values()]
    rows = [
        [n, *(f"{t['r2_band']:.2f} ({t['correlation']:+.2f})" for t in row)]
        for n, row in zip(areas, cells, strict=True)
    ]
    return table(["held out", *(f"{a}°" for a in angles)], rows)


def game_table(done: list[dict[str, Any]]) -> str:
    """MAE under the network's own objective, mean ± spread over seeds."""
    rows = []
    for key in sorted({(c["game"], c["attend"], c["loss"], c["up"]) for c in done}):
        row = list(key)
        for kind in KINDS:
            found = [c for c in done if (c["game"], c["attend"], c["loss"], c["up"], c["kind"]) == (*key, kind)]
            for score in ("mae", "level_known", "checker"):
                values = [c[score] for c in found]
                digits = 3 if score == "checker" else 1
                row.append(
                    f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f} ({len(values)})" if found else "-"
                )
        rows.append(row)
    head = ["network", "attention", "loss", "way up"]
    return table([*head, *(f"{k}: {m}" for k in KINDS for m in ("MAE", "MAE, level known", "checkerboard"))], rows)


def leakage_table(record: dict[str, Any]) -> str:
    """MAE over that of the tile's own mean, for each seed."""
    rows = [[key, f"{r['mae']:.1f}", f"{r['mae'] / r['tile_mean']:.3f}", f"{r['r2']:.2f}"] for key, r in record.items()]
    return table(["split, seed", "Shift MAE", "MAE / tile mean", "R²"], rows)


def _section(part: str, render: Callable[[Any], str]) -> str:
    """A table from the result file, or a note that its part has not run."""
    record = result("sat2dem")
    return render(record[part]) if record.get(part) else "*not run yet*\n"


SECTIONS: dict[str, Section] = {
    "sat2dem_shift": partial(_section, "areas", shift_table),
    "sat2dem_anchored": partial(_section, "areas", anchored_table),
    "sat2dem_turned": partial(_section, "areas", turned_table),
    "sat2dem_games": partial(_section, "table", game_table),
    "sat2dem_leakage": partial(_section, "leakage", leakage_table),
}
