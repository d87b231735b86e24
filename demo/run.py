"""Super-resolve the shipped DEM ×4, draw it beside bicubic and the truth, and print the table.

    python demo/run.py            writes demo/out/fine.tif (a COG) and demo/out/demo.png

The input is the 4×4 block mean of the truth; no shipped model has seen either. Cells within 8
of the edge are not scored.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from picture import Panel, draw

import terrafine
from terrafine.evaluation.elevation.terrain import slope_degrees

HERE = Path(__file__).parent
OUT = HERE / "out"
COARSE, TRUTH = HERE / "data" / "sample_120m.tif", HERE / "data" / "sample_30m.tif"
SCALE = 4
EDGE = 8
BASELINES = {"bicubic": "bicubic", "back-projected bicubic": "backprojected"}

Heights = NDArray[np.float64]


def main() -> None:
    """One command, three surfaces, one picture, one table."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    command = ["terrafine", "dem", str(COARSE), str(OUT / "fine.tif"), "--preview", str(OUT / "fine.png")]
    print("$", *(part.replace(f"{HERE.parent}/", "") for part in command))
    subprocess.run([sys.executable, "-m", "terrafine.cli", *command[1:]], check=True)

    surfaces: dict[str, Heights] = {}
    for name, model in BASELINES.items():
        path = OUT / f"{model}.tif"
        terrafine.sharpen_dem(COARSE, path, scale=SCALE, model=model, consistency="none")
        surfaces[name] = read(path)
    surfaces["ridgeline"] = read(OUT / "fine.tif")

    truth = read(TRUTH)
    scores = {name: score(heights, truth) for name, heights in surfaces.items()}
    print(table(scores))
    draw(OUT / "demo.png", panels(surfaces, truth, scores), pixel_size_m=30.0)
    print(f"{(OUT / 'fine.tif').relative_to(HERE.parent)}, {(OUT / 'demo.png').relative_to(HERE.parent)}")


def read(path: Path) -> Heights:
    """The first band in metres."""
    with rasterio.open(path) as dataset:
        heights: Heights = dataset.read(1).astype(np.float64)
    return heights


def score(heights: Heights, truth: Heights) -> dict[str, float]:
    """RMSE and MAE of height in metres and RMSE of Horn's slope in degrees."""
    size = np.full((2, truth.shape[0]), 30.0)
    inner = (slice(EDGE, -EDGE), slice(EDGE, -EDGE))
    error = (heights - truth)[inner]
    slope = (slope_degrees(heights, size) - slope_degrees(truth, size))[inner]
    return {"RMSE m": rms(error), "MAE m": float(np.abs(error).mean()), "slope RMSE °": rms(slope)}


def rms(values: NDArray[Any]) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(values**2)))


def table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """One line a method, with its RMSE as a fraction of bicubic's."""
    base = scores["bicubic"]["RMSE m"]
    lines = [f"{'against the truth':24}{'RMSE m':>10}{'MAE m':>10}{'slope RMSE °':>14}{'RMSE/bicubic':>14}"]
    for name, s in scores.items():
        lines.append(
            f"{name:24}{s['RMSE m']:10.2f}{s['MAE m']:10.2f}{s['slope RMSE °']:14.2f}{s['RMSE m'] / base:14.3f}"
        )
    return "\n".join(lines)


def panels(surfaces: Mapping[str, Heights], truth: Heights, scores: Mapping[str, Mapping[str, float]]) -> list[Panel]:
    """Input, bicubic, ridgeline, truth, each over the same ground."""
    beneath = {name: f"RMSE {s['RMSE m']:.2f} m, slope {s['slope RMSE °']:.2f}°" for name, s in scores.items()}
    coarse = np.repeat(np.repeat(read(COARSE), SCALE, axis=0), SCALE, axis=1)
    return [
        Panel("input, 120 m", coarse, "block mean of the truth", cells=SCALE),
        Panel("bicubic, 30 m grid", surfaces["bicubic"], beneath["bicubic"]),
        Panel("ridgeline, 30 m grid", surfaces["ridgeline"], beneath["ridgeline"]),
        Panel("truth, SRTM 30 m", truth, "never seen by the model"),
    ]


if __name__ == "__main__":
    main()
