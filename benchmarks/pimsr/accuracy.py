"""Guided DEM super-resolution ×4 against unguided, on simulated and on real radar: tables, a picture, one JSON.

    python -m benchmarks.pimsr.accuracy [--weights FILE]... [--files bigtujunga_30m ...] [--parts terrain rtc ...]
                               [--draws 3] [--looks 40] [--hdf5 FILE#descending] [--data DIR] [--threads N]

terrain   the files of data/dem/test as in benchmarks.dem.accuracy (block means, ×4 back to the file's own grid;
          where cells are 30 m that is 120 -> 30 m). There is no public radar over them: VV, VH and an image are
          simulated over the fine DEM, by the simulation that the recipe trains with, at --looks looks, --draws times a
          file with held seeds.
          Heights, slopes (Horn), streams and D8 directions are scored, with 95 % intervals by spatial block bootstrap,
          paired, so that ratios have intervals of their own. Ratios are geometric means over files.
myanmar   real Sentinel-1 over a real hillside, 120 -> 30 m, files in and surfaces out as `terrafine dem` has them
images    real Landsat 8 over four areas of real relief, 120 -> 30 m, red and near infrared in digital numbers
rtc       real terrain-corrected patches, which have lost the slope signal
speed     files to published files, guided and by ridgeline, interleaved; the median of the ratios
gates     docs/img/pimsr_gates.png: each cell's shares of heights, VV and VH

Models are the shipped ones; --weights FILE takes the place of that of the same name. A model that is neither is left
out, and the result says so. --models runs some alone and puts their rows into the result that is there, if all that
both have agrees. --hdf5 scores the samples of a file in the public PIMSR layout instead of all that.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import data_of, destination, parser, publish, tested
from benchmarks.common import (
    F64,
    RESULTS,
    ROOT,
    Dem,
    Predict,
    coarse_of,
    crop,
    interpolations,
    machine,
    model_predict,
    padded,
    read_dem,
    scored_cells,
)
from benchmarks.pimsr.gates import draw_gates
from benchmarks.pimsr.guides import guided_predict, only, simulated
from benchmarks.pimsr.images import AREAS, images
from benchmarks.pimsr.score import DRAWS, METRICS, SEED, TOLERANCE, Bootstrap, block_sums, rounded, truth_of
from benchmarks.pimsr.speed import speed
from benchmarks.pimsr.world import SHIFTS, corrected_patches, hillside

SCALE = 4
PICTURE = ROOT / "docs" / "img" / "pimsr_gates.png"
INTERPOLATIONS = ("bicubic", "back-projected bicubic")
UNGUIDED = ("srcnn", "drn", "ridgeline")
GUIDED = ("pimsr-published", "pimsr")
PARTS = ("terrain", "myanmar", "images", "rtc", "speed", "gates")
BASES = (*INTERPOLATIONS, "ridgeline", "pimsr, no guide")
GIVEN = {
    "VV": ("vv",),
    "VH": ("vh",),
    "VV + VH": ("vv", "vh"),
    "image": ("optical",),
    "VV + VH + image": ("vv", "vh", "optical"),
}
BOTH = {"VV + VH": GIVEN["VV + VH"]}
GUIDED_BY = {"pimsr": GIVEN, "pimsr-published": BOTH}  # the published network was never shown one polarisation alone
OTHER_LOOKS = (4.4, 400.0)  # one date of ground-range products, and some ninety
GROUND = {
    "big_butte_30m": "lava plain and butte",
    "bigtujunga_30m": "steep mountains",
    "jacksboro_90m": "folded ridges",
    "merewether_lidar_1m": "town, lidar",
    "oetztal_90m": "glaciers",
    "srtm3_n49e011": "gentle hills",
}


def models(weights: Sequence[str]) -> dict[str, Any]:
    """{name: ModelRef}: shipped, or of the given files."""
    from terrafine.errors import NoModelError
    from terrafine.nn.weights import read_spec
    from terrafine.systems import find_model

    own = {read_spec(Path(w)).name: w for w in weights}
    if strange := sorted(set(own) - {*UNGUIDED, *GUIDED}):
        raise SystemExit(f"--weights: {strange} are none of {(*UNGUIDED, *GUIDED)}")
    found = {}
    for name in (*UNGUIDED, *GUIDED):
        try:
            found[name] = find_model(own.get(name, name), SCALE)
        except (NoModelError, ImportError) as e:
            print(f"{name}: left out ({e})", file=sys.stderr)
    return found


def terrain(files: Sequence[Path], refs: Mapping[str, Any], draws: int, looks: float) -> dict[str, Any]:
    """Every method on every file: {"files", "ratios" over all, "ratios_30m" over those of 30 m cells}."""
    from terrafine.systems import load_model

    opened = {name: load_model(ref) for name, ref in refs.items()}
    sums: dict[str, dict[str, F64]] = {}
    for path in files:
        for method, part in one_file(crop(read_dem(path), SCALE), opened, draws, looks).items():
            sums.setdefault(method, {})[path.stem] = part
        print(f"{path.stem}: done", file=sys.stderr, flush=True)
    drawn = Bootstrap.of(sums)
    names = [f.stem for f in files]
    fine = [n for n in names if n.endswith("_30m")]
    return {
        "ground": {n: GROUND.get(n, "") for n in names},
        "looks": looks,
        "draws": draws,
        "files": drawn.table(),
        "ratios": drawn.ratios(BASES, names),
        "ratios_30m": drawn.ratios(BASES, fine) if fine else {},
    }


def one_file(dem: Dem, opened: Mapping[str, Any], draws: int, looks: float) -> dict[str, F64]:
    """Block sums of every method; those of guided ones pooled over the draws of radar."""
    truth = truth_of(dem, scored_cells(dem.valid))
    coarse, size = coarse_of(dem, SCALE)
    methods: dict[str, list[Predict]] = {n: [padded(interpolations(SCALE)[n], SCALE)] for n in INTERPOLATIONS}
    methods |= {n: [model_predict(opened[n])] for n in UNGUIDED if n in opened}
    radar = [simulated(dem, looks, seed) for seed in range(draws)]
    for name, model in ((n, opened[n]) for n in GUIDED if n in opened):
        methods[f"{name}, no guide"] = [guided_predict(model, {})]
        for label, bands in ((n, b) for n, b in GUIDED_BY[name].items() if set(b) <= set(model.spec.guides)):
            methods[f"{name}, {label}"] = [guided_predict(model, only(r, bands)) for r in radar]
    if "pimsr" in opened:
        for other in OTHER_LOOKS:
            heard = [only(simulated(dem, other, seed), ("vv", "vh")) for seed in range(draws)]
            methods[f"pimsr, VV + VH, {other:g} looks"] = [guided_predict(opened["pimsr"], r) for r in heard]
    return {
        name: np.sum([block_sums(p(coarse, size)[0], truth) for p in predicts], axis=0)
        for name, predicts in methods.items()
    }


def samples(entry: str, refs: Mapping[str, Any]) -> dict[str, Any]:
    """RMSE and MAE of each method over the samples of an HDF5 file in the public PIMSR layout, and the unit found."""
    from terrafine.systems import load_model
    from terrafine.training.dem.hdf5 import read_samples

    file, _, orbit = entry.rpartition("#")
    found = read_samples(Path(file or orbit), orbit)
    if found.scale != SCALE:
        raise SystemExit(f"{file}: samples are at ×{found.scale}, expected ×{SCALE}")
    size = np.full((2, found.coarse.shape[1]), SCALE * found.pixel_size_m)
    opened = {name: load_model(ref) for name, ref in refs.items()}
    errors: dict[str, list[F64]] = {}
    for i, coarse in enumerate(found.coarse):
        methods = {n: padded(interpolations(SCALE)[n], SCALE) for n in INTERPOLATIONS}
        methods |= {n: model_predict(m) for n, m in opened.items() if not m.spec.guides}
        for name, model in ((n, m) for n, m in opened.items() if m.spec.guides):
            methods[f"{name}, no guide"] = guided_predict(model, {})
            methods[f"{name}, VV + VH"] = guided_predict(model, found.guides(i))
        for name, predict in methods.items():
            errors.setdefault(name, []).append(np.asarray(predict(coarse, size)[0], np.float64) - found.fine[i])
    files = {
        name: {"rmse": float(np.sqrt(np.mean(np.square(e)))), "mae": float(np.mean(np.abs(e)))}
        for name, e in errors.items()
    }
    return {"file": Path(file).name, "samples": len(found), "backscatter": found.unit, "files": files}


def show(record: Mapping[str, Any]) -> None:
    """Print the ratios of what was run."""
    titles = {
        "terrain": "dem/test, guides simulated",
        "myanmar": "Myanmar hillside, radar real",
        "images": "Landsat 8, real",
    }
    for part, title in titles.items():
        if part not in record:
            continue
        print(f"\n{title}: ratios to bicubic; RMSE to ridgeline's with its 95 % interval")
        print(f"{'':34}" + "".join(f"{m:>12}" for m in METRICS) + f"{'RMSE':>10}{'from':>10}{'to':>10}")
        for name, by in record[part]["ratios"].items():
            values = (by["bicubic"][m]["value"] for m in METRICS)
            against = by.get("ridgeline", {}).get("rmse")
            more = [] if against is None else [against["value"], *(against["interval"] or ())]
            cells = "".join(f"{'-' if v is None else format(v, '.3f'):>12}" for v in values)
            print(f"{name:34}{cells}" + "".join(f"{v:10.3f}" for v in more))
    for name, r in record.get("rtc", {}).items():
        errors = {m: round(v["rmse"], 3) for m, v in r["files"].items()}
        print(f"\n{name}: relief {r['relief']['range_m']:.0f} m; RMSE", errors)
    if "speed" in record:
        print("\nrate over ridgeline's:", {n: round(v, 3) for n, v in record["speed"]["over_ridgeline"].items()})


def joined(old: Any, new: Any, where: str = "") -> Any:
    """Both records as one; SystemExit where a number that both have is not the same to a thousandth."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{k: joined(old[k], v, f"{where}/{k}") if k in old else v for k, v in new.items()}}
    if new in ([], {}):  # of a model that this run is without
        return old
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (old, new))
    if where.startswith("/speed") or (numbers and np.isclose(old, new, rtol=1e-3, atol=1e-6)):
        return new
    if isinstance(old, list) and isinstance(new, (list, tuple)) and len(old) == len(new):
        return [joined(a, b, f"{where}/{i}") for i, (a, b) in enumerate(zip(old, new, strict=True))]
    if old != new:
        raise SystemExit(f"{where}: the result has {old}, this run {new}; expected the same. Run all models")
    return new


def arguments() -> argparse.Namespace:
    """The command line; --quick draws once, with a small square for the speed."""
    made = parser(__doc__, "pimsr")
    made.add_argument("--weights", action="append", default=[], help="weights file of one of the models; repeatable")
    made.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    made.add_argument("--models", nargs="+", choices=(*UNGUIDED, *GUIDED), help="run these alone; see above")
    made.add_argument("--files", nargs="+", help="stems of files in dem/test")
    made.add_argument("--draws", type=int, default=3, help="of simulated radar for each file")
    made.add_argument("--looks", type=float, default=40.0, help="of the speckle: some nine dates")
    made.add_argument("--side", type=int, default=512, help="coarse cells along a side for the speed")
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--threads", type=int, default=machine()["cores"])
    made.add_argument("--hdf5", metavar="FILE#ORBIT", help="score the samples of this file, and nothing else")
    args = made.parse_args()
    if args.quick:
        args.threads = 1
        args.draws, args.side, args.repeats, args.models = 1, 48, 1, args.models or ["ridgeline", "pimsr"]
    return args


def measure(data: Path, refs: Mapping[str, Any], args: argparse.Namespace, picture: Path) -> dict[str, Any]:
    """The parts that are asked for; `picture` is where the gates are drawn."""
    from terrafine.systems import load_model

    record: dict[str, Any] = {}
    files = tested(args, data)
    guided = {n: refs[n] for n in GUIDED if n in refs}
    if "terrain" in args.parts:
        record["terrain"] = terrain(files, refs, args.draws, args.looks)
    if "myanmar" in args.parts:
        record["myanmar"] = hillside(data, refs, *((3, SHIFTS[:2]) if args.quick else ()))
    if "images" in args.parts and "pimsr" in refs and "optical" in refs["pimsr"].spec.guides:
        record["images"] = images(data, refs, AREAS[:1] if args.quick else AREAS)
    if "rtc" in args.parts:
        record["rtc"] = corrected_patches(data, {n: load_model(r) for n, r in guided.items()})
    if "speed" in args.parts and "ridgeline" in refs:
        record["speed"] = speed(data, {"ridgeline": refs["ridgeline"], **guided}, args.side, args.repeats, args.threads)
    if "gates" in args.parts and "pimsr" in refs:
        draw_gates(data, refs["pimsr"], args.looks, picture)
    return record


def main() -> None:
    """Parse, run, print, write."""
    import torch

    args = arguments()
    torch.set_num_threads(args.threads)
    found = {n: r for n, r in models(args.weights).items() if n in (args.models or (*UNGUIDED, *GUIDED))}
    refs = {n: replace(r, options=replace(r.options, threads=args.threads)) for n, r in found.items()}
    if args.hdf5:
        print(rounded(samples(args.hdf5, refs)))
        return
    used = {n: {"version": r.spec.version, "sha256": r.sha256, "guides": r.spec.guides} for n, r in refs.items()}
    record: dict[str, Any] = {"command": "python -m benchmarks.pimsr.accuracy", "models": used}
    record["protocol"] = {"draws": DRAWS, "seed": SEED, "stream_tolerance_cells": TOLERANCE}
    whole = set(args.parts) == set(PARTS) and not args.files and set(refs) == {*UNGUIDED, *GUIDED}
    out = destination(args, "pimsr", complete=whole and not args.weights)
    with data_of(args) as data:
        beside = out.with_suffix(".png") if out is not None else data / "gates.png"
        record |= measure(data, refs, args, beside if args.quick else PICTURE)
    record = rounded(record)
    show(record)
    if args.models and not (args.out or args.files or args.weights or args.quick):
        out = RESULTS / "pimsr.json"
        record = joined(json.loads(out.read_text(encoding="utf-8")), record)
    publish(record, out)


if __name__ == "__main__":
    main()
