"""What each choice in Ridgeline is worth: variants of its ×4 recipe, trained alike for a short while; table, JSON.

    python -m benchmarks.dem.ablation [--steps 400] [--variants full adamw ...] [--data DIR] [--runs DIR]

Every variant is the shipped recipe with one choice undone, the same seed and so the same patches, and the schedule cut
to --steps (warm-up is a tenth of it). Scores are on the recipe's held-out terrain, never on dem/test: geometric mean
over patches of RMSE / RMSE of bicubic, for four ways of making the coarse input. A short run ranks what helps early; it
does not say what a choice is worth after the recipe's whole schedule. The row `other seed` is the recipe again with
another seed: a difference no larger than its own is noise.

Each variant trains in its own folder under --runs and resumes after an interruption; a finished one is only scored.
`--only-scores` trains nothing and reports the variants that are finished.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from benchmarks.command import data_of, destination, publish
from benchmarks.common import ROOT, machine
from benchmarks.variants import Study, held_out
from terrafine.nn.system import System, TrainingBatch
from terrafine.nn.upsample import assemble, relief_of
from terrafine.systems import find_model, find_system, load_network
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.scores import score

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


STUDY = Study(RECIPE, "ridgeline", VARIANTS, {}, every=50)


def unkept(net: nn.Module, batch: TrainingBatch, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's detail on cell means as plain bicubic has them: what `--consistency none` gives."""
    relief, *_ = net(batch.coarse, batch.pixel_size_m)
    means = relief_of(batch.coarse, batch.scale, "bicubic").mean(dim=1, keepdim=True)
    return {"elevation": assemble(batch.coarse, relief + means, batch.scale)}


def without_back_projection(system: System) -> System:
    """The system whose predictions are those of `unkept`."""
    if system.training is None:
        raise SystemExit(f"{system.name} predicts nothing")
    return replace(system, training=replace(system.training, predict=unkept))


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
    args = STUDY.arguments(__doc__, "ablation_ridgeline", 400, ["full", "no-context"])
    out = destination(args, "ablation_ridgeline", complete=set(args.variants) == set(VARIANTS))
    system, rows = find_system("ridgeline"), dict[str, Any]()
    record = {"command": "python -m benchmarks.dem.ablation", "machine": machine(), "scale": 4}
    with data_of(args) as data:
        args.runs = data / "runs" if args.quick else args.runs
        recipe = STUDY.write("full", args.steps, args.runs / f"full-{args.steps}" / "recipe.toml", quick=args.quick)
        checks = {kind: held_out(recipe, data, family) for kind, family in INPUTS.items()}
        record |= {"steps": args.steps, "held_out": dict(recipe.data.held_out), "variants": rows}
        for name in args.variants:
            weights = STUDY.weights(name, args, data)
            if weights is None:
                print(f"{name}: not finished, left out", file=sys.stderr)
                continue
            net = load_network(find_model(weights, 4, uncertainty=True))
            rows[name] = row(VARIANTS[name][0], system, net, checks)
            if name == "full":
                rows["unkept"] = row(UNKEPT, without_back_projection(system), net, checks)
            publish(record, out)
    show(record)


if __name__ == "__main__":
    main()
