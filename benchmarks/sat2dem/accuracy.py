"""Relief from one image on five Landsat scenes: what it is worth, beside what needs no image.

    python -m benchmarks.sat2dem.accuracy [areas] [table] [leakage] [page] [--runs DIR] [--data DIR]
                                         [--threads N] [--most N]

areas     leave one area out: the shipped recipe is trained on the other four (or found trained in RUNS) and read on the
          fifth, under both objectives, at three tile sizes, on coarse DEMs of 900 and 90 m, and turned against the sun
table     architecture × attention × loss × normalisation at a laptop's size, three seeds; Gutzler and Ecklund scored
leakage   the same network on tiles split at random among neighbours, and by blocks of ground
page      write the tables into docs/benchmarks/sat2dem.md; every part writes benchmarks/results/sat2dem.json

Everything resumes: a run that was cut off goes on in its folder, and a finished cell of the table is one line of
RUNS/table.jsonl. --most stops the table after so many new cells.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import RESULTS, ROOT, data_dir, machine, write_json
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

RECIPES = ROOT / "src" / "terrafine" / "systems" / "sat2dem" / "recipes"
OUT = RESULTS / "sat2dem.json"
PAGE = ROOT / "docs" / "benchmarks" / "sat2dem.md"
GAMES, ATTENTION = ("unet", "pix2pix", "drpan"), ("none", "cbam", "gam", "simam")
LOSSES, KINDS, SEEDS = ("plain", "gradient"), ("global", "shift"), (1, 2, 3)
SCORED = ("gutzler", "ecklund")
KNOWING = ("constant", "relief above its own lowest cell", "tile mean", "relief, mean known", "plane fit")


def trained(recipe: str, data: Path, runs: Path, threads: int) -> tuple[Path, float]:
    """Weights of that recipe, trained or gone on with unless they are there; and the seconds that it took now."""
    from terrafine.training.start import train

    weights, start = runs / recipe / f"{recipe}.safetensors", time.perf_counter()
    if not weights.exists():
        train(RECIPES / f"{recipe}.toml", data_root=data, out=runs / recipe, device="cpu", threads=threads)
    return weights, time.perf_counter() - start


def opened(weights: Path) -> Any:
    """The model in that file."""
    from terrafine.systems import find_model, load_model

    return load_model(find_model(weights, 1, verb="height", threads=torch.get_num_threads()))


def run_areas(data: Path, runs: Path, threads: int) -> dict[str, Any]:
    """Leave one area out."""
    areas = {name: read_area(data, name) for name in AREAS}
    record: dict[str, Any] = {}
    for name, area in areas.items():
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


def run_leakage(data: Path, runs: Path, threads: int) -> dict[str, Any]:
    """Tiles of four areas dealt at random, as the public splits are, and by blocks of ground; three seeds."""
    from terrafine.systems import find_system
    from terrafine.training.adversarial import Players, read_players, run
    from terrafine.training.height.data import ImageSampler, cut, stack
    from terrafine.training.height.recipe import read_image_recipe
    from terrafine.training.height.scores import level_of, score_tiles

    torch.set_num_threads(threads)
    recipe = read_image_recipe(RECIPES / "sat2dem-laptop-unet-none-plain-shift.toml")
    game = find_system("sat2dem").adversarial
    side, record = recipe.patches.size, {}
    for how, seed in itertools.product(("random", "blocks"), SEEDS):
        folder = runs / f"leakage-{how}-{seed}"
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        scenes, kept_out = dealt(data, how, seed, side)
        torch.manual_seed(seed)
        players = Players.start(game.build(recipe.network), {}, recipe.optim)
        if (folder / "checkpoint.safetensors").exists():
            read_players(folder / "checkpoint.safetensors", players, f"{how}{seed}")
        settings = {"network": recipe.network, "adversary": {"kind": "none"}, "loss": recipe.loss}
        batch = stack([cut(scene, y, x, side) for scene, y, x in kept_out])

        def score(
            network: torch.nn.Module, batch: Any = batch, settings: dict[str, Any] = settings
        ) -> dict[str, float]:
            truth = level_of(batch.target, batch.valid, "shift")
            made = game.metres(game.make(network, batch, settings), settings)
            mean = truth - level_of(truth, batch.valid, "relief")
            found = score_tiles(made, truth, batch.valid)
            return {k: float(v.mean()) for k, v in found.items()} | {
                "tile_mean": float(score_tiles(mean, truth, batch.valid)["mae"].mean())
            }

        sampler = ImageSampler(scenes, side, recipe.patches.batch, seed)
        steps = recipe.optim.steps
        log = run(
            game,
            players,
            sampler,
            settings,
            recipe.optim,
            seed=seed,
            out=folder,
            digest=f"{how}{seed}",
            score=score,
            validate_every=steps,
            checkpoint_every=steps,
        )
        record[f"{how} {seed}"] = {k: log[-1][k] for k in ("mae", "rmse", "r2", "tile_mean")}
        print(how, seed, record[f"{how} {seed}"], flush=True)
    return record


def dealt(data: Path, how: str, seed: int, side: int, block: int = 3) -> tuple[list[Any], list[Any]]:
    """Training scenes whose zones are tiles, and (scene, y, x) of the tiles kept out, about a third of all."""
    from dataclasses import replace

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


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


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


def write_page(record: dict[str, Any]) -> None:
    """Put the tables between their marks."""
    made = {
        "shift": shift_table(record["areas"]) if record.get("areas") else "",
        "anchored": anchored_table(record["areas"]) if record.get("areas") else "",
        "turned": turned_table(record["areas"]) if record.get("areas") else "",
        "games": game_table(record["table"]) if record.get("table") else "",
        "leakage": leakage_table(record["leakage"]) if record.get("leakage") else "",
    }
    text = PAGE.read_text(encoding="utf-8")
    for name, body in made.items():
        mark = re.compile(rf"(<!-- sat2dem: {name} -->\n).*?(<!-- /sat2dem -->)", re.DOTALL)
        text = mark.sub(lambda m, body=body: m[1] + (body or "*not run yet*") + "\n" + m[2], text)
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=["areas", "table", "leakage", "page"], default=["areas", "page"])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "sat2dem")
    parser.add_argument("--data")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--most", type=int, help="new cells of the table")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = data_dir(args.data)
    record: dict[str, Any] = {}
    if "areas" in args.parts:
        record["areas"] = run_areas(data, args.runs, args.threads)
    if "table" in args.parts:
        record["table"] = run_table(data, args.runs, args.threads, args.most)
    if "leakage" in args.parts:
        record["leakage"] = run_leakage(data, args.runs, args.threads)
    record |= {"command": "python -m benchmarks.sat2dem.accuracy areas table leakage page", "machine": machine()}
    record = (json.loads(OUT.read_text()) if OUT.exists() else {}) | record  # other parts may have run meanwhile
    write_json(OUT, record)
    if "page" in args.parts:
        write_page(record)


if __name__ == "__main__":
    main()
