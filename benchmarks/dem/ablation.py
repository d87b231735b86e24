"""What each choice in Ridgeline is worth: variants of its ×4 recipe, trained alike for a short while; table, JSON.

    python -m benchmarks.dem.ablation [--steps 400] [--variants full adamw ...] [--data DIR] [--runs DIR]

Every variant is the shipped recipe with one choice undone, the same seed and so the same patches, and the schedule cut
to --steps (warm-up is a tenth of it). Scores are on the recipe's held-out terrain, never on dem/test: geometric mean
over patches of RMSE / RMSE of bicubic, for four ways of making the coarse input. A short run ranks what helps early; it
does not say what a choice is worth after the recipe's whole schedule. The row `other seed` is the recipe again with
another seed: a difference no larger than its own is noise.

Each variant trains in its own folder under --runs and is gone on with where it stopped; a finished one is only scored.
`--only-scores` trains nothing and reports the variants that are finished.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import RESULTS, ROOT, data_dir, machine, write_json
from terrafine.nn.system import System, TrainingBatch
from terrafine.nn.upsample import assemble, relief_of
from terrafine.nn.weights import read_spec
from terrafine.systems import find_model, find_system, load_network
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.patches import Sampler
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.dem.scores import score
from terrafine.training.dem.terrain import load_terrains, split
from terrafine.training.recipe import read_recipe
from terrafine.training.start import train

RECIPE = ROOT / "src/terrafine/systems/ridgeline/recipes/ridgeline-x4.toml"
SCORES = ("to_bicubic", "to_consistent", "slope_to_bicubic")
UNKEPT = "full, cell means not kept"  # the same weights read otherwise: it is not trained

# name: (what it says in the table, {table.key: value} laid over the recipe)
VARIANTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "full": ("the recipe", {}),
    "other-seed": ("the recipe, other seed", {"seed": 7}),
    "adamw": ("AdamW in place of Muon, same rate", {"optim.method": "adamw"}),
    "wide": ("64 channels × 5 blocks in place of 48 × 8", {"network.channels": 64, "network.blocks": [5, 0]}),
    "no-context": ("no departures from the 7×7 and 15×15 means", {"network.windows": [3]}),
    "no-roughness": ("slopes as they are, detail not counted in roughness", {"network.normalise": False}),
    "metres": ("the same loss in metres, not relative", {"loss.relative": 0}),
    "plain-l1": (
        "mean |error| in metres alone",
        {"loss.relative": 0, "loss.rmse": 0.0, "loss.mae": 1.0, "loss.slope": 0.0},
    ),
    "no-slope": ("no loss on slopes", {"loss.slope": 0.0}),
    "mean-only": (
        "coarse inputs by block mean alone",
        {"degrade.kernels": {"mean": 1.0}, "degrade.noise": 0.0, "degrade.rounded": 0.0},
    ),
    "one-scale": ("terrain at its own pixel size alone", {"patches.coarsen": {"1": 1.0}}),
    "no-exaggeration": ("relief never exaggerated", {"patches.exaggerate": 0.0}),
}

# How the held-out terrain is made coarse.
INPUTS: dict[str, Family] = {
    "block mean": Family({"mean": 1.0}),
    "bicubic, antialiased": Family({"bicubic": 1.0}),
    "Gaussian, 0.45 cells": Family({"gaussian": 1.0}, width=(0.45, 0.45)),
    "block mean, noise to 1 m, whole metres": Family({"mean": 1.0}, noise=1.0, noise_m=1.0, rounded=1.0),
}


def toml(value: Any) -> str:
    """A value as TOML, tables inline."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(k))} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def write_variant(name: str, steps: int, path: Path) -> DemRecipe:
    """Write the recipe of a variant, cut to `steps`, and read it back."""
    record = tomllib.loads(RECIPE.read_text(encoding="utf-8"))
    cut = {"optim.steps": steps, "optim.warmup": max(1, steps // 10), "validate_every": steps, "checkpoint_every": 50}
    for dotted, value in {**cut, **VARIANTS[name][1]}.items():
        *table, key = dotted.split(".")
        (record[table[0]] if table else record)[key] = value
    record["name"] = f"ridgeline-{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{k} = {toml(v)}\n" for k, v in record.items()), encoding="utf-8")
    return read_recipe(path, DemRecipe)


def finished(recipe: DemRecipe, folder: Path) -> Path | None:
    """The weights in a run folder, if they are of this very recipe."""
    path = folder / f"{recipe.stem}.safetensors"
    if path.exists() and read_spec(path).provenance.get("recipe_sha256") == recipe.digest:
        return path
    return None


def run_variant(name: str, args: argparse.Namespace, data: Path) -> Path | None:
    """Its weights, trained now where they are not there yet; nothing where only scores are asked for."""
    folder = args.runs / f"{name}-{args.steps}"
    recipe = write_variant(name, args.steps, folder / "recipe.toml")
    done = finished(recipe, folder)
    if done is not None or args.only_scores:
        return done

    def progress(step: int, steps: int, line: dict[str, float]) -> None:
        if step % 50 == 0 or step == steps:
            print(f"{name}: step {step} of {steps}, loss {line['total']:.4f}", file=sys.stderr, flush=True)

    return train(folder / "recipe.toml", data_root=data, out=folder, threads=args.threads, progress=progress).weights


def held_out(data: Path) -> dict[str, list[TrainingBatch]]:
    """The recipe's held-out terrain as patches, for each way of making it coarse; the same patches in all."""
    recipe = read_recipe(RECIPE, DemRecipe)
    terrains = load_terrains(data, {f"{name}.tif": 1.0 for name in recipe.data.held_out})
    _, zones = split(terrains, recipe.data.held_out, recipe.data.gap)
    zones = [replace(t, weight=1.0) for t in zones]
    p = recipe.patches
    batches: dict[str, list[TrainingBatch]] = {}
    for kind, family in INPUTS.items():
        draw = Sampler(zones, recipe.scale, p.size, p.batch, family, recipe.seed + 1, mirror=False)
        drawn = [draw(i) for i in range(-(-recipe.validation_patches // p.batch))]
        batches[kind] = [
            TrainingBatch(
                torch.from_numpy(b.coarse), torch.from_numpy(b.fine), torch.from_numpy(b.pixel_size_m), recipe.scale
            )
            for b in drawn
        ]
    return batches


def unkept(net: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """The network's detail on cell means as plain bicubic has them: what `--consistency none` gives."""
    relief, *_ = net(batch.coarse, batch.pixel_size_m)
    means = relief_of(batch.coarse, batch.scale, "bicubic").mean(dim=1, keepdim=True)
    return {"elevation": assemble(batch.coarse, relief + means, batch.scale)}


def row(label: str, system: System, net: nn.Module, checks: Mapping[str, Sequence[TrainingBatch]]) -> dict[str, Any]:
    """One variant: its label, number of weights, and scores by kind of input."""
    return {
        "label": label,
        "weights": sum(p.numel() for p in net.parameters()),
        "scores": {kind: score(system, net, batches) for kind, batches in checks.items()},
    }


def show(record: Mapping[str, Any]) -> None:
    """Print the table."""
    print(f"\n×4, {record['steps']} steps each; RMSE / bicubic by kind of input (block mean: also slope)\n")
    print(f"{'':52}{'weights':>9}" + "".join(f"{kind.split(',')[0][:10]:>12}" for kind in INPUTS) + f"{'slope':>9}")
    for r in record["variants"].values():
        cells = "".join(f"{r['scores'][kind]['to_bicubic']:12.4f}" for kind in INPUTS)
        print(f"{r['label']:52}{r['weights']:9,}{cells}{r['scores']['block mean']['slope_to_bicubic']:9.4f}")


def main() -> None:
    """Train what is missing, score, print, write after each variant."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"), help="folder of the run folders")
    parser.add_argument("--threads", type=int, default=machine()["cores"])
    parser.add_argument("--only-scores", action="store_true", help="train nothing")
    parser.add_argument("--data", help="folder of real data")
    parser.add_argument("--out", type=Path, help="JSON; default: results/ablation_ridgeline.json, with all variants")
    args = parser.parse_args()
    data = data_dir(args.data)
    complete = set(args.variants) == set(VARIANTS)
    out = args.out or (RESULTS / "ablation_ridgeline.json" if complete else None)
    torch.set_num_threads(args.threads)
    checks, system = held_out(data), find_system("ridgeline")
    rows: dict[str, Any] = {}
    record = {"command": "python -m benchmarks.dem.ablation", "machine": machine(), "scale": 4}
    record |= {"steps": args.steps, "held_out": dict(read_recipe(RECIPE, DemRecipe).data.held_out), "variants": rows}
    for name in args.variants:
        weights = run_variant(name, args, data)
        if weights is None:
            print(f"{name}: not finished, left out", file=sys.stderr)
            continue
        net = load_network(find_model(weights, 4, uncertainty=True))
        rows[name] = row(VARIANTS[name][0], system, net, checks)
        if name == "full":
            rows["unkept"] = row(UNKEPT, replace(system, predict=unkept), net, checks)
        if out is not None:
            write_json(out, record)
    show(record)
    if out is not None:
        print(f"\nwritten to {out}")


if __name__ == "__main__":
    main()
