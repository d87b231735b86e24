"""What each choice in PIMSR is worth: variants of its ×4 recipe for radar, trained alike for a while; table, JSON.

    python -m benchmarks.pimsr.ablation [--steps 250] [--variants base sar ...] [--data DIR] [--runs DIR]

Every variant is the first half of PIMSR's recipe, with radar alone and no image, with one choice undone or one term of
physics added, from the same Ridgeline, with the same seed and so the same patches, and the schedule cut to --steps
(warm-up is a tenth of it). Two scores:

    held out   the recipe's held-out terrain with radar SIMULATED over it, never dem/test: geometric mean over patches
               of RMSE and of slope error / bicubic's, and each term of physics / that of the consistent cubic surface
    Myanmar    real Sentinel-1 over a real hillside, never trained or selected on, 120 m -> 30 m, the mean power of all
               dates as guide, through `terrafine.sharpen_dem` as a user would: RMSE and slope RMSE / bicubic's

A short run ranks what helps early; it does not say what a choice is worth after the recipe's whole schedule. The row
`other seed` is the recipe again with another seed: a difference no larger than its own is noise. What registration is
worth is measured elsewhere, on planted shifts.

Each variant trains in its own folder under --runs and resumes after an interruption; a finished one is only scored.
`--only-scores` trains nothing and reports the variants that are finished.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from torch import nn
from torch.nn import functional

from benchmarks.command import data_of, destination, publish
from benchmarks.common import (
    ROOT,
    Dem,
    back_projected,
    bicubic,
    coarse_of,
    crop,
    machine,
    metrics,
    padded,
    read_dem,
    scored_cells,
)
from benchmarks.variants import Study, held_out
from terrafine import sharpen_dem
from terrafine.nn.system import System, TrainingBatch
from terrafine.nn.terms import TERMS, physics_terms
from terrafine.nn.upsample import relief_of
from terrafine.systems import find_model, find_system, load_network
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.scores import score
from terrafine.workflows.inputs.guidance import Guidance

RECIPE = ROOT / "src/terrafine/systems/pimsr/recipes/pimsr-pretrain-x4.toml"
SCALE = 4
EDGE = 8  # coarse cells along a patch's border that are not scored

# Weights at which each term's gradient is about a third of that of the recipe's own loss.
WEIGHTS = {
    "gradient": 0.3,
    "slope_angle": 0.5,
    "aspect": 0.5,
    "curvature": 0.15,
    "flow": 0.15,
    "sinks": 0.2,
    "sar": 0.5,
}
ALL = {f"loss.{name}": weight for name, weight in WEIGHTS.items()}
# Pits are so few that they must not be weighed by the inverse of their number.
BALANCED = ["rmse", "mae", "slope", *(name for name in WEIGHTS if name != "sinks")]

# name: (what it says in the table, {table.key: value} laid over the recipe)
VARIANTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "base": ("the recipe", {}),
    "other-seed": ("the recipe, other seed", {"seed": 7}),
    **{name: (f"+ {name}", {f"loss.{name}": weight}) for name, weight in WEIGHTS.items()},
    "accumulation": ("+ flow accumulation on 32×32 cells", {"loss.accumulation": 0.1}),
    "all-fixed": ("+ all terms, fixed weights", ALL),
    "all-uncertainty": (
        "+ all terms, weights by uncertainty",
        ALL | {"balance": {"method": "uncertainty", "terms": BALANCED}},
    ),
    "all-relobralo": (
        "+ all terms, weights by ReLoBRaLo",
        ALL | {"balance": {"method": "relobralo", "terms": BALANCED}},
    ),
    "no-pyramid": ("radar at the coarse resolution alone", {"network.pyramid": False}),
    "no-gates": ("radar added up, no gates", {"network.gated": False}),
    "no-bound": ("gates' logits not bounded", {"network.bound": 0.0}),
    "no-align": ("no learned displacement", {"network.align": 0.0}),
}


# With radar alone, no image.
STUDY = Study(RECIPE, "pimsr", VARIANTS, {"optical": None, "network.guides": ["vv", "vh"]}, every=25)


@torch.no_grad()
def term_ratios(system: System, net: nn.Module, checks: Sequence[TrainingBatch]) -> dict[str, float]:
    """Mean over patches of each term's error / that of the consistent cubic surface."""
    asked = dict.fromkeys([*TERMS, "sar"], 1.0)
    found: list[dict[str, float]] = []
    for batch in checks:
        if system.training is None:
            raise SystemExit(f"{system.name} predicts nothing")
        fine = system.training.predict(net, batch, {})["elevation"].double()
        cells = batch.coarse.double().repeat_interleave(SCALE, -2).repeat_interleave(SCALE, -1)
        relief = functional.pixel_unshuffle(fine - cells, SCALE).float()
        terms = physics_terms(relief, relief_of(batch.coarse, SCALE, "backprojected"), batch, asked, EDGE)
        found.append({name: float(value) for name, value in terms.items()})
    return {name: float(np.mean([f[name] for f in found])) for name in asked}


class Myanmar:
    """The real hillside: a coarse DEM and the mean power of all dates as files, and scores against its own 30 m."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.dem: Dem = crop(read_dem(data / "radar" / "myanmar_dem.tif"), SCALE)
        self.folder = folder
        self.coarse, self.size = coarse_of(self.dem, SCALE)
        with rasterio.open(data / "radar" / "myanmar_dem.tif") as file:
            crs, transform = file.crs, file.transform
        self._write("coarse.tif", self.coarse, crs, transform * transform.scale(SCALE), None)
        self.dates: dict[str, int] = {}
        for band in ("vv", "vh"):
            with rasterio.open(data / "radar" / f"myanmar_s1_{band}_98dates_db_x100.tif") as file:
                stack = file.read(masked=True)
            self.dates[band] = len(stack)
            power = np.ma.power(10.0, stack.astype(np.float64) / 1000).mean(axis=0)
            decibel = np.where(power.mask, np.nan, 10 * np.log10(power.filled(1.0)))
            self._write(f"{band}.tif", decibel.astype(np.float32), crs, transform, np.nan)

    def _write(self, name: str, values: Any, crs: Any, transform: Any, nodata: float | None) -> None:
        height, width = values.shape
        profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": height, "width": width}
        with rasterio.open(self.folder / name, "w", crs=crs, transform=transform, nodata=nodata, **profile) as file:
            file.write(values, 1)

    def score(self, model: str | Path, *, guided: bool) -> dict[str, float]:
        """Of a model run as a user would."""
        guides = {band: (str(self.folder / f"{band}.tif"),) for band in ("vv", "vh")}
        guidance = Guidance(guides, orbit="descending") if guided else None
        out = self.folder / "fine.tif"
        out.unlink(missing_ok=True)
        sharpen_dem(self.folder / "coarse.tif", out, scale=SCALE, model=model, guidance=guidance, threads=1)
        with rasterio.open(out) as file:
            return self.judge(file.read(1))

    def judge(self, fine: Any) -> dict[str, float]:
        """RMSE in metres and slope RMSE in degrees, and both over bicubic's."""
        cells = scored_cells(self.dem.valid)
        plain, _ = padded(lambda z, _: (bicubic(z, SCALE), None), SCALE)(self.coarse, self.size)
        ours, theirs = (metrics(z, self.dem, cells) for z in (fine, plain))
        return {
            "n": int(cells.sum()),
            **{key: ours[key] for key in ("rmse", "mae", "slope_rmse")},
            "to_bicubic": ours["rmse"] / theirs["rmse"],
            "slope_to_bicubic": ours["slope_rmse"] / theirs["slope_rmse"],
        }

    def interpolated(self) -> dict[str, float]:
        """Of bicubic, back-projected."""
        fine, _ = padded(lambda z, _: (back_projected(z, SCALE), None), SCALE)(self.coarse, self.size)
        return self.judge(fine)


def row(label: str, model: str | Path, checks: Sequence[TrainingBatch], real: Myanmar, guided: bool) -> dict[str, Any]:
    """One variant: label, number of weights, scores."""
    ref = find_model(model, SCALE, uncertainty=True)
    system, net = find_system(ref.spec.system), load_network(ref)
    return {
        "label": label,
        "weights": sum(p.numel() for p in net.parameters()),
        "held_out": score(system, net, checks),
        "terms": term_ratios(system, net, checks),
        "myanmar": real.score(model, guided=guided),
    }


def share_of_heights(weights: Path) -> float:
    """The share of `dem` in the last tenth of a run: near 1, the gates have closed and no guide is heard."""
    lines = [json.loads(line) for line in (weights.parent / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    shares = [line["share_dem"] for line in lines if "share_dem" in line]
    return float(np.mean(shares[-max(1, len(shares) // 10) :])) if shares else 0.0


def show(record: Mapping[str, Any]) -> None:
    """Print the table."""
    terms = ["slope_angle", "aspect", "curvature", "flow", "sinks", "accumulation", "sar"]
    head = "".join(f"{name[:9]:>10}" for name in ("RMSE", "slope", *terms, "RMSE", "slope"))
    print(
        f"\n×4, {record['steps']} steps each. Held out, radar simulated: RMSE and slope / bicubic, terms / consistent"
    )
    print(f"cubic. Last two: Myanmar, real radar, {record['dates']} dates, / bicubic.\n\n{'':38}{head}")
    for r in record["variants"].values():
        held, real = r["held_out"], r["myanmar"]
        values = [held["to_bicubic"], held["slope_to_bicubic"], *(r["terms"][t] for t in terms)]
        values += [real["to_bicubic"], real["slope_to_bicubic"]]
        print(f"{r['label']:38}" + "".join(f"{v:10.4f}" for v in values))


def main() -> None:
    """Train what is missing, score, print, write after each variant."""
    args = STUDY.arguments(__doc__, "ablation_pimsr", 250, ["base", "all-uncertainty"])
    out = destination(args, "ablation_pimsr", complete=set(args.variants) == set(VARIANTS))
    with tempfile.TemporaryDirectory() as folder, data_of(args) as data:
        args.runs = data / "runs" if args.quick else args.runs
        recipe = STUDY.write("base", args.steps, args.runs / f"base-{args.steps}" / "recipe.toml", quick=args.quick)
        radar = None if recipe.radar is None else replace(recipe.radar, drop=0.0)
        checks, real = held_out(recipe, data, Family({"mean": 1.0}), radar=radar), Myanmar(data, Path(folder))
        rows = {"ridgeline": row("ridgeline, no radar", "ridgeline", checks, real, guided=False)}
        record = {"command": "python -m benchmarks.pimsr.ablation", "machine": machine(), "scale": SCALE}
        record |= {"steps": args.steps, "held_out": dict(recipe.data.held_out), "variants": rows}
        record |= {"dates": real.dates["vv"], "myanmar_back_projected": real.interpolated()}
        for name in args.variants:
            weights = STUDY.weights(name, args, data)
            if weights is None:
                print(f"{name}: not finished, left out", file=sys.stderr)
                continue
            rows[name] = row(VARIANTS[name][0], weights, checks, real, guided=True)
            rows[name]["share_dem"] = share_of_heights(weights)
            publish(record, out)
    show(record)


if __name__ == "__main__":
    main()
