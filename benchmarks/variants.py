"""Ablations: variants of one shipped recipe, trained alike for a short while, each in its own folder."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.command import parser
from benchmarks.common import machine
from terrafine.nn.system import TrainingBatch
from terrafine.nn.weights import read_spec
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.patches import Sampler
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.dem.terrain import load_terrains, split
from terrafine.training.recipe import read_recipe
from terrafine.training.start import train

# What --quick lays over every variant: the tiny data of benchmarks.quick, few patches.
TINY: Mapping[str, Any] = {
    "data.files": {"dem/train/taiwan_20m.tif": 0.5, "dem/train/wus_*.tif": 0.5},
    "data.held_out": {"dem/train/wus_pomas_30m": [0.0, 1.0]},
    "patches.batch": 2,
    "patches.size": 32,
    "patches.coarsen": {"1": 1.0},
    "validation_patches": 2,
}


@dataclass(frozen=True)
class Study:
    """A recipe and its variants: {name: (label in the table, {table.key: value} laid over the recipe)}.

    common   laid over every variant; None removes a table
    every    steps between checkpoints and lines of progress
    """

    recipe: Path
    prefix: str
    variants: Mapping[str, tuple[str, Mapping[str, Any]]]
    common: Mapping[str, Any]
    every: int

    def write(self, name: str, steps: int, path: Path, *, quick: bool = False) -> DemRecipe:
        """Write the recipe of a variant, cut to `steps` (warm-up is a tenth of it), and read it back."""
        record = tomllib.loads(self.recipe.read_text(encoding="utf-8"))
        cut = {"optim.steps": steps, "optim.warmup": max(1, steps // 10), "validate_every": steps}
        cut |= {"checkpoint_every": self.every, "name": f"{self.prefix}-{name}"}
        for dotted, value in {**self.common, **cut, **(TINY if quick else {}), **self.variants[name][1]}.items():
            *table, key = dotted.split(".")
            where = record[table[0]] if table else record
            if value is None:
                del where[key]
            else:
                where[key] = value
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{k} = {toml(v)}\n" for k, v in record.items()), encoding="utf-8")
        return read_recipe(path, DemRecipe)

    def weights(self, name: str, args: argparse.Namespace, data: Path) -> Path | None:
        """Its weights, trained now where they are not there yet; None where only scores are asked for."""
        folder = args.runs / f"{name}-{args.steps}"
        recipe = self.write(name, args.steps, folder / "recipe.toml", quick=args.quick)
        done = finished(recipe, folder)
        if done is not None or args.only_scores:
            return done

        def progress(step: int, steps: int, line: dict[str, float]) -> None:
            if step % self.every == 0 or step == steps:
                print(f"{name}: step {step} of {steps}, loss {line['total']:.4f}", file=sys.stderr, flush=True)

        path = folder / "recipe.toml"
        # A quick run begins again: what one that was cut off left may be of another recipe.
        options = {"threads": args.threads, "progress": progress, "restart": args.quick}
        return train(path, data_root=data, out=folder, **options).weights

    def arguments(self, doc: str | None, result: str, steps: int, quick: list[str]) -> argparse.Namespace:
        """The command line of an ablation; --quick trains the variants in `quick` for two steps."""
        made = parser(doc, result)
        made.add_argument("--steps", type=int, default=steps)
        made.add_argument("--variants", nargs="+", choices=self.variants, default=list(self.variants))
        made.add_argument("--runs", type=Path, default=Path("runs") / result, help="folder of the run folders")
        made.add_argument("--threads", type=int, default=machine()["cores"])
        made.add_argument("--only-scores", action="store_true", help="train nothing")
        args = made.parse_args()
        if args.quick:
            args.steps, args.variants, args.threads = 2, quick, 1
        torch.set_num_threads(args.threads)
        return args


def toml(value: Any) -> str:
    """A value as TOML, tables inline."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(k))} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def finished(recipe: DemRecipe, folder: Path) -> Path | None:
    """The weights in a run folder, if they are of this very recipe."""
    path = folder / f"{recipe.stem}.safetensors"
    if path.exists() and read_spec(path).provenance.get("recipe_sha256") == recipe.digest:
        return path
    return None


def held_out(recipe: DemRecipe, data: Path, family: Family, **options: Any) -> list[TrainingBatch]:
    """The recipe's held-out terrain as patches, made coarse by `family`; the same patches for every family."""
    terrains = load_terrains(data, {f"{name}.tif": 1.0 for name in recipe.data.held_out})
    _, zones = split(terrains, recipe.data.held_out, recipe.data.gap, only_validation=True)
    zones = [replace(t, weight=1.0) for t in zones]
    p = recipe.patches
    draw = Sampler(zones, recipe.scale, p.size, p.batch, family, recipe.seed + 1, mirror=False, **options)
    drawn = [draw(i) for i in range(-(-recipe.validation_patches // p.batch))]
    put = torch.from_numpy
    return [
        TrainingBatch(
            put(b.coarse), put(b.fine), put(b.pixel_size_m), recipe.scale, {n: put(g) for n, g in b.guides.items()}
        )
        for b in drawn
    ]
