"""Accuracy of DEM super-resolution on held-out terrain, against interpolation: one table, one JSON.

    python -m benchmarks.dem.accuracy [--scale 4] [--model NAME_OR_PATH]... [--files bigtujunga_30m ...] [--data DIR]

Protocol: each file of data/dem/test is cropped to a multiple of the scale; the coarse input is its block mean (float32,
not rounded); each method restores the fine grid; cells at least 8 fine cells from the border and from any void are
scored. Slope is Horn's, in degrees, with metres per pixel in x and y by row. Ratios are geometric means over files.

"bicubic" is Keys' cubic of third order, a = -0.5, as GDAL and rasterio have it. a = -0.75, as torch and OpenCV have
it, overshoots: on block means that stands in for a little deconvolution. Both are in the table, back-projected and not.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.command import METRICS, data_of, destination, parser, publish, tested
from benchmarks.common import (
    EDGE,
    Predict,
    interpolations,
    model_predict,
    padded,
    ratios_to,
    score,
)

BASES = ("bicubic", "bicubic a=-0.75", "back-projected bicubic", "back-projected bicubic a=-0.75")
DEFAULT_MODELS = ("srcnn", "drn", "ridgeline", "ridgeline2")
QUICK_MODELS = ("srcnn", "ridgeline")


def add_models(made: argparse.ArgumentParser) -> None:
    """The options that choose scales and models."""
    made.add_argument("--scale", type=int, action="append", choices=(2, 3, 4), help="repeatable")
    made.add_argument("--model", action="append", help="name or weights file; repeatable; default: all shipped")
    made.add_argument("--no-models", action="store_true", help="interpolations only")


def models_of(args: argparse.Namespace) -> list[str]:
    """The models that are asked for."""
    shipped = QUICK_MODELS if args.quick else DEFAULT_MODELS
    return [] if args.no_models else args.model or list(shipped)


def complete(args: argparse.Namespace) -> bool:
    """Whether the run covers all that the published result holds."""
    return not (args.scale or args.model or args.no_models or getattr(args, "files", None))


def load(name: str, scale: int) -> tuple[Predict, Any]:
    """A shipped model or a weights file as a method, with σ where it gives one, and its spec."""
    from terrafine.errors import NoModelError
    from terrafine.systems import find_model, load_model

    ref = find_model(name, scale)
    with contextlib.suppress(NoModelError):
        ref = find_model(name, scale, uncertainty=True)
    model = load_model(ref)
    return model_predict(model), model.spec


def loaded(names: Sequence[str], scale: int, *, optional: bool = False) -> dict[str, tuple[Predict, Any]]:
    """{label: (method, spec)} of models; with `optional`, one that does not serve this scale is left out."""
    from terrafine.errors import NoModelError

    found = {}
    for name in names:
        try:
            found[Path(name).stem if name.endswith(".safetensors") else name] = load(name, scale)
        except (NoModelError, ImportError) as e:
            if not optional:
                raise
            print(f"×{scale} {name}: left out ({e})", file=sys.stderr)
    return found


def run(scale: int, files: list[Path], models: list[str], *, optional: bool = False) -> dict[str, Any]:
    """All methods at one scale: {"files": {method: {file: metrics}}, "ratios": {method: {base: {metric: ratio}}}}."""
    table = {name: score(padded(p, scale), scale, files) for name, p in interpolations(scale).items()}
    for label, (predict, spec) in loaded(models, scale, optional=optional).items():
        table[label] = score(predict, scale, files, spec=spec)
    return {"files": table, "ratios": ratios_to(table, BASES, METRICS)}


def show(scale: int, result: dict[str, Any]) -> None:
    """Print one scale: per file RMSE and slope RMSE, then the ratios."""
    table, ratios = result["files"], result["ratios"]
    files = list(table["bicubic"])
    width = max(map(len, table)) + 2
    for metric, unit in (("rmse", "m"), ("mae", "m"), ("nmad", "m"), ("slope_rmse", "°")):
        print(f"\n×{scale}  {metric} ({unit})\n{'':{width}}" + "".join(f"{f[:16]:>18}" for f in files))
        for name, rows in table.items():
            print(f"{name:{width}}" + "".join(f"{rows[f][metric]:18.3f}" for f in files))
    print(f"\n×{scale}  geometric mean over files of the ratio to")
    print(" " * width + "".join(f"  {base:>30}" for base in BASES))
    print(" " * width + "  ".join([""] + [f"{'RMSE    MAE   NMAD  slope':>30}"] * len(BASES)))
    for name in table:
        cells = [" ".join(f"{ratios[name][base][m]:6.3f}" for m in METRICS) for base in BASES]
        print(f"{name:{width}}" + "".join(f"  {c:>30}" for c in cells))
    for name, rows in table.items():
        if all("coverage_68" in r for r in rows.values()):
            for p in ("68", "90"):
                mean = sum(r[f"coverage_{p}"] for r in rows.values()) / len(rows)
                each = "  ".join(f"{f[:12]} {rows[f][f'coverage_{p}']:.3f}" for f in files)
                print(f"{name}: {p} % interval covers {mean:.3f} (mean of files)   {each}")
        worse = [f for f in files if rows[f]["rmse"] > table["back-projected bicubic"][f]["rmse"]]
        if name not in interpolations(scale) and worse:
            print(f"{name}: worse than back-projected bicubic on {', '.join(worse)}")


def main() -> None:
    """Parse, run, print, write."""
    made = parser(__doc__, "dem_accuracy")
    add_models(made)
    made.add_argument("--files", nargs="+", help="stems of files in dem/test, or paths")
    args = made.parse_args()
    record: dict[str, Any] = {"protocol": {"degradation": "block mean, float32", "edge_cells": EDGE, "slope": "Horn"}}
    record["command"] = "python -m benchmarks.dem.accuracy"
    with data_of(args) as data:
        paths = args.files and all(Path(f).exists() for f in args.files)
        files = [Path(f) for f in args.files] if paths else tested(args, data)
        for scale in args.scale or ([4] if args.quick else [2, 3, 4]):
            record[f"x{scale}"] = run(scale, files, models_of(args), optional=not args.model)
            show(scale, record[f"x{scale}"])
    publish(record, destination(args, "dem_accuracy", complete=complete(args)))


if __name__ == "__main__":
    main()
