"""The learning curve over the number of terrains: is data still the limit? A small network, block means ×4; one JSON.

    python -m benchmarks.dem.learning [--steps 150] [--variants all ...] [--data DIR] [--runs DIR]

Every variant is the same small network (24 channels, 4 blocks) trained for the same steps on a part of the training
terrain of ridgeline2's recipe; the parts are nested, drawn once with a fixed seed, and every file has the same weight.
Scores are on the recipe's held-out files, never on dem/test, from exact block means (simulated): geometric mean over
patches of RMSE / RMSE of bicubic. `train_to_bicubic` is the same score on patches of the subset itself, so the gap
between the two is what more terrain could close at most with this network and these steps.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import data_of, destination, publish
from benchmarks.common import ROOT, machine
from benchmarks.variants import Study, held_out
from terrafine.systems import find_model, find_system, load_network
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.scores import score

RECIPE = ROOT / "src/terrafine/systems/ridgeline2/recipes/ridgeline2.toml"
COUNTS = {"four": 4, "sixteen": 16, "all": None}
SEED = 5
SMALL: Mapping[str, Any] = {
    "scale": 4,
    "scales": [4],
    "network": {"channels": 24, "blocks": 4, "scales": [4]},
    "products": {"exact": 1.0},
    "misfit": None,
    "pair": None,
    "stop": None,
    "patches.size": 32,
    "validation_patches": 96,
}


def terrains(data: Path) -> tuple[list[str], Mapping[str, Any]]:
    """Training files of the recipe in a fixed random order, and its held-out files."""
    record = tomllib.loads(RECIPE.read_text(encoding="utf-8"))["data"]
    found = {p.relative_to(data).as_posix() for entry in record["files"] for p in data.glob(entry)}
    names = sorted(f for f in found if f.removesuffix(".tif") not in record["held_out"])
    return [names[i] for i in np.random.default_rng(SEED).permutation(len(names))], record["held_out"]


def variants(data: Path) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Name -> label, and files laid over the recipe; every subset holds the smaller ones."""
    names, kept_out = terrains(data)
    made: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for name, count in COUNTS.items():
        chosen = names[:count]
        files = dict.fromkeys([*chosen, *(f"{k}.tif" for k in kept_out)], 1.0)
        whole = dict.fromkeys(kept_out, (0.0, 1.0))  # the recipe trains on a part of some
        made[name] = (f"{len(chosen)} terrains", {"data.files": files, "data.held_out": whole})
    return made


def tiny(data: Path) -> dict[str, float]:
    """Every file of the tiny data of --quick."""
    return {p.relative_to(data).as_posix(): 1.0 for p in sorted((data / "dem" / "train").glob("*.tif"))}


def on_itself(recipe: Any, names: Sequence[str], data: Path) -> list[Any]:
    """Patches of the terrain that a variant was trained on, drawn as the held-out ones are."""
    own = replace(recipe.data, held_out={n.removesuffix(".tif"): (0.0, 1.0) for n in names})
    return held_out(replace(recipe, data=own), data, Family({"mean": 1.0}))


def main() -> None:
    """Train what is missing, score, print, write after each variant."""
    study = Study(RECIPE, "learning", dict.fromkeys(COUNTS, ("", {})), SMALL, every=100)
    args = study.arguments(__doc__, "learning", 150, ["all"])
    out, rows = destination(args, "dem_learning", complete=set(args.variants) == set(COUNTS)), dict[str, Any]()
    record = {"command": "python -m benchmarks.dem.learning", "machine": machine(), "steps": args.steps, "rows": rows}
    system = find_system("ridgeline2")
    with data_of(args) as data:
        made = {"all": ("", {"data.files": tiny(data)})} if args.quick else variants(data)
        study = replace(study, variants=made)
        for name in args.variants:
            weights = study.weights(name, args, data)
            if weights is None:
                print(f"{name}: not finished, left out", file=sys.stderr)
                continue
            recipe = study.write(name, args.steps, args.runs / f"{name}-{args.steps}" / "recipe.toml", quick=args.quick)
            net = load_network(find_model(str(weights), 4, uncertainty=True))
            own = [f for f in made[name][1]["data.files"] if f.removesuffix(".tif") not in recipe.data.held_out]
            outside = score(system, net, held_out(recipe, data, Family({"mean": 1.0})))
            inside = score(system, net, on_itself(recipe, own, data))
            rows[name] = {"terrains": len(own), "held_out": outside, "train_to_bicubic": inside["to_bicubic"]}
            print(
                f"{len(own):3} terrains, {args.steps} steps: held out {outside['to_bicubic']:.4f} of bicubic, slope "
                f"{outside['slope_to_bicubic']:.4f}; on the same terrain {inside['to_bicubic']:.4f}"
            )
            publish(record, out)


if __name__ == "__main__":
    main()
