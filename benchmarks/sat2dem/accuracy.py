"""Relief from one image on five Landsat scenes: what it is worth, beside what needs no image.

    python -m benchmarks.sat2dem.accuracy [areas] [table] [leakage] [--runs DIR] [--data DIR] [--threads N] [--most N]

areas     leave one area out: the shipped recipe is trained on the other four (or found trained in RUNS) and read on the
          fifth, under both objectives, at three tile sizes, on coarse DEMs of 900 and 90 m, and turned against the sun
table     architecture × attention × loss × normalisation at a laptop's size, three seeds; Gutzler and Ecklund scored
leakage   the same network on tiles split at random among neighbours, and by blocks of ground

Everything resumes: a run that was cut off goes on in its folder, and a finished cell of the table is one line of
RUNS/table.jsonl. --most stops the table after so many new cells.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.command import data_of, destination, parser, publish
from benchmarks.common import ROOT, machine
from benchmarks.sat2dem.heights import (
    AREAS,
    TILES,
    anchored_scores,
    checkerboard,
    mean_shift_height,
    read_area,
    relief_of,
    shift_scores,
    tile_scores,
    tiles,
    turned,
)
from benchmarks.sat2dem.page import KINDS

RECIPES = ROOT / "src" / "terrafine" / "systems" / "sat2dem" / "recipes"
GAMES, ATTENTION = ("unet", "pix2pix", "drpan"), ("none", "cbam", "gam", "simam")
LOSSES, SEEDS = ("plain", "gradient"), (1, 2, 3)
PARTS = ("areas", "table", "leakage")
SCORED = ("gutzler", "ecklund")


def short_recipes(folder: Path) -> Path:
    """Copies of the shipped recipes that train for two steps on patches of 64 cells: for --quick."""
    folder.mkdir(parents=True)
    for path in RECIPES.glob("*.toml"):
        text = path.read_text(encoding="utf-8")
        for pattern, new in ((r"\bsteps = (200|1000)\b", "steps = 2"), (r"\b(size|tile) = 160\b", r"\1 = 64")):
            text = re.sub(pattern, new, text)
        (folder / path.name).write_text(text.replace("validation_tiles = 48", "validation_tiles = 2"), encoding="utf-8")
    return folder


def trained(recipe: str, data: Path, runs: Path, threads: int) -> tuple[Path, float]:
    """Weights of that recipe, trained or resumed unless they are there; and the seconds that it took now."""
    from terrafine.training.start import train

    weights, start = runs / recipe / f"{recipe}.safetensors", time.perf_counter()
    if not weights.exists():
        train(recipes_of(runs) / f"{recipe}.toml", data_root=data, out=runs / recipe, device="cpu", threads=threads)
    return weights, time.perf_counter() - start


def recipes_of(runs: Path) -> Path:
    """The recipes that a run folder brings along, or the shipped ones."""
    return own if (own := runs / "recipes").is_dir() else RECIPES


def opened(weights: Path) -> Any:
    """The model in that file."""
    from terrafine.systems import find_model, load_model

    return load_model(find_model(weights, 1, verb="height", threads=torch.get_num_threads()))


def run_areas(data: Path, runs: Path, threads: int, most: int = len(AREAS)) -> dict[str, Any]:
    """Leave one area out."""
    areas = {name: read_area(data, name) for name in AREAS}
    record: dict[str, Any] = {}
    for name, area in list(areas.items())[:most]:
        weights, _ = trained(f"relief-no{name}", data, runs, threads)
        model = opened(weights)
        relief = relief_of(model, area.image)
        others = {n: a for n, a in areas.items() if n != name}
        shift = {
            str(side): shift_scores(area, relief, side, mean_shift_height(others, side))
            for side in TILES
            if any(True for _ in tiles(area.valid, side))
        }
        anchored = {str(m): anchored_scores(area, relief, m) for m in (900, 90) if m > 90 or name != "zion"}
        turns = {str(90 * q): turned(model, area, q) for q in range(4)}
        record[name] = {
            "shift": shift,
            "anchored": anchored,
            "turned": turns,
            "checkerboard": {str(p): checkerboard(relief, p) for p in (2, 4, 8)},
            "ground": float(checkerboard(area.z, 2)),
        }
        print(f"{name}: {json.dumps(record[name])}", flush=True)
    return record


def run_table(data: Path, runs: Path, threads: int, most: int | None) -> list[dict[str, Any]]:
    """Every cell that is not there yet; all that are."""
    path = runs / "table.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known, new = {cell["recipe"] for cell in done}, 0
    areas = [read_area(data, name) for name in SCORED]
    for seed, game, attend, loss, kind, up in cells():
        recipe = f"sat2dem-laptop-{game}-{attend}-{loss}-{kind}{'' if up == 'transposed' else f'-{up}'}"
        recipe += f"-seed{seed}" if seed > 1 else ""
        if recipe in known or (most is not None and new >= most):
            continue
        weights, seconds = trained(recipe, data, runs, threads)
        scores = cell_scores(opened(weights), areas, kind)
        cell = {"recipe": recipe, "game": game, "attend": attend, "loss": loss, "kind": kind, "up": up, "seed": seed}
        done.append({**cell, "seconds": round(seconds, 1), **scores})
        with path.open("a") as f:
            f.write(json.dumps(done[-1]) + "\n")
        new += 1
        print(json.dumps(done[-1]), flush=True)
    return done


def cells() -> list[tuple[int, str, str, str, str, str]]:
    """All cells, seed by seed, so that a cut-off table is whole in its first seeds; then other ways up."""
    every = [
        (seed, *cell, "transposed") for seed in SEEDS for cell in itertools.product(GAMES, ATTENTION, LOSSES, KINDS)
    ]
    ways = itertools.product(SEEDS, KINDS, ("resize", "smooth"))
    return every + [(seed, "unet", "none", "plain", kind, up) for seed, kind, up in ways]


def cell_scores(model: Any, areas: list[Any], kind: str, side: int = 64) -> dict[str, float]:
    """Means over all tiles of the held-out areas of MAE, RMSE, SSIM, R² as the network states them, beside baselines.

    Under `global` heights are absolute; under `shift` above the tile's lowest cell. `level_known` gives the network the
    tile's true mean, as `tile_mean` has it. `checker` is the checkerboard in the slope of what it makes.
    """
    from terrafine.nn.model import Tiles

    rows, checks = [], []
    for area in areas:
        for at in tiles(area.valid, side):
            valid, image = area.valid[at], area.image[:, at[0], at[1]]
            bands = {n: b[None] for n, b in zip(("red", "green", "blue"), image, strict=True)}
            made = model(Tiles(bands, valid[None], np.full((1, 2, side), 30.0)))["relief"][0].astype(np.float64)
            truth = area.z[at] - (area.z[at][valid].min() if kind == "shift" else 0.0)
            row = tile_scores(made, truth, valid)
            known = tile_scores(made - made[valid].mean() + truth[valid].mean(), truth, valid)
            row["level_known"] = known["mae"]
            row["tile_mean"] = tile_scores(np.full_like(truth, truth[valid].mean()), truth, valid)["mae"]
            rows.append(row)
            checks.append(checkerboard(made, 2))
    return {k: float(np.mean([r[k] for r in rows])) for k in rows[0]} | {"checker": float(np.mean(checks))}


def run_leakage(data: Path, runs: Path, threads: int, seeds: Sequence[int] = SEEDS) -> dict[str, Any]:
    """Tiles of four areas dealt at random, as the public splits are, and by blocks of ground; three seeds."""
    from terrafine.systems import find_system
    from terrafine.training.batches import Batches
    from terrafine.training.checkpoint import read_checkpoint, start_state
    from terrafine.training.folder import open_folder
    from terrafine.training.height.data import ImageSampler, crop, stack
    from terrafine.training.height.recipe import ImageRecipe
    from terrafine.training.height.task import HeightTask
    from terrafine.training.recipe import read_recipe
    from terrafine.training.runner import fit

    torch.set_num_threads(threads)
    shipped = read_recipe(recipes_of(runs) / "sat2dem-laptop-unet-none-plain-shift.toml", ImageRecipe)
    side, steps, cpu, record = shipped.patches.size, shipped.optim.steps, torch.device("cpu"), {}
    for how, seed in itertools.product(("random", "blocks"), seeds):
        once = {"validate_every": steps, "checkpoint_every": steps, "adversary": {"kind": "none"}}
        recipe = replace(shipped, name=f"leakage-{how}-{seed}", seed=seed, **once)
        task = HeightTask(find_system("sat2dem"), recipe)
        scenes, kept_out = dealt(data, how, seed, side)
        tiles = stack([crop(scene, y, x, side) for scene, y, x in kept_out])
        sampler = ImageSampler(scenes, side, recipe.patches.batch, seed)
        network, discriminators = task.networks(data, cpu)
        state = start_state(network, discriminators, recipe.optim, recipe.stop)
        with open_folder(runs / recipe.name) as folder:
            if folder.checkpoint.exists():
                read_checkpoint(folder.checkpoint, state, recipe.digest)
            folder.prepare(recipe.to_json(), state.step)
            fit(task, Batches(sampler, [tiles]), state, folder, cpu)
            last = folder.log[-1]
        scores = {k: last[k] for k in ("mae", "rmse", "r2")}
        record[f"{how} {seed}"] = scores | {"tile_mean": shift_of_tile_mean(tiles)}
        print(how, seed, record[f"{how} {seed}"], flush=True)
    return record


def shift_of_tile_mean(tiles: Any) -> float:
    """Mean absolute error of each tile's own mean, above its lowest cell; metres."""
    from terrafine.training.height.scores import level_of, score_tiles

    truth = level_of(tiles.target, tiles.valid, "shift")
    mean = truth - level_of(truth, tiles.valid, "relief")
    return float(score_tiles(mean, truth, tiles.valid)["mae"].mean())


def dealt(data: Path, how: str, seed: int, side: int, block: int = 3) -> tuple[list[Any], list[Any]]:
    """Training scenes whose zones are tiles, and (scene, y, x) of the tiles kept out, about a third of all."""
    from benchmarks.sat2dem.heights import pair_of
    from terrafine.training.height.data import all_tiles, load_scenes

    names = [name for name in AREAS if name != "zion"]
    scenes = load_scenes(data, dict(pair_of(n) for n in names), "landsat-l1")
    rng, training, kept_out = np.random.default_rng(seed), [], []
    for scene in scenes:
        spots = [(y, x) for _, y, x in all_tiles([scene], side, 1.0)]
        groups = {s: (s if how == "random" else (s[0] // (side * block), s[1] // (side * block))) for s in spots}
        order = sorted(set(groups.values()))
        out = {order[i] for i in rng.permutation(len(order))[: max(1, round(len(order) / 3))]}
        kept_out += [(scene, y, x) for (y, x) in spots if groups[y, x] in out]
        zones = tuple((y, y + side, x, x + side) for (y, x) in spots if groups[y, x] not in out)
        training.append(replace(scene, terrain=replace(scene.terrain, zones=zones, weight=float(len(zones)))))
    return [s for s in training if s.terrain.zones], kept_out


def main() -> None:
    """Parse, run, write."""
    made = parser(__doc__, "sat2dem")
    made.add_argument("parts", nargs="*", choices=[*PARTS, []])
    made.add_argument("--runs", type=Path, default=ROOT / "runs" / "sat2dem")
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--most", type=int, help="new cells of the table")
    args = made.parse_args()
    args.parts = args.parts or ["areas"]
    torch.set_num_threads(args.threads)
    out = destination(args, "sat2dem", complete=True)
    with data_of(args) as data:
        if args.quick:
            args.runs, args.parts, args.most = data / "runs", PARTS, 1
            short_recipes(args.runs / "recipes")
        record = measure(data, args)
    record |= {"command": "python -m benchmarks.sat2dem.accuracy areas table leakage", "machine": machine()}
    if out is not None and out.exists() and not args.quick:
        record = json.loads(out.read_text()) | record  # other parts may have run meanwhile
    publish(record, out)


def measure(data: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The parts that are asked for."""
    record: dict[str, Any] = {}
    if "areas" in args.parts:
        record["areas"] = run_areas(data, args.runs, args.threads, 2 if args.quick else len(AREAS))
    if "table" in args.parts:
        record["table"] = run_table(data, args.runs, args.threads, args.most)
    if "leakage" in args.parts:
        record["leakage"] = run_leakage(data, args.runs, args.threads, SEEDS[:1] if args.quick else SEEDS)
    return record


if __name__ == "__main__":
    main()
