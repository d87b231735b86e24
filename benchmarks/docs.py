"""Write the published numbers into README, model cards and benchmark pages, from the JSON that the benchmarks wrote.

    python -m benchmarks.docs [--check]

Replaces what stands between `<!-- numbers: NAME -->` and `<!-- /numbers -->`. --check only says whether they agree.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.pimsr import page

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SCALES = ("x2", "x3", "x4")
BASES = ("bicubic", "back-projected bicubic")
MARK = re.compile(r"(<!-- numbers: (\w+) -->\n).*?(<!-- /numbers -->)", re.DOTALL)


def load(name: str) -> dict[str, Any]:
    """A result, or nothing where the benchmark has not run."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def ratios(methods: list[str], record: dict[str, Any]) -> str:
    """RMSE, MAE, slope RMSE and NMAD of each method at each scale, relative to both interpolations."""
    rows = []
    for scale in SCALES:
        known = record.get(scale, {}).get("ratios", {})
        for method in methods:
            if method in known:
                cells = [f"{known[method][b][m]:.3f}" for b in BASES for m in ("rmse", "mae", "slope_rmse", "nmad")]
                rows.append([f"×{scale[1]}", method, *cells])
    head = [
        "",
        "method",
        *(f"{m} / {b}" for b in ("bicubic", "back-projected") for m in ("RMSE", "MAE", "slope", "NMAD")),
    ]
    return table(head, rows)


def by_file(method: str, record: dict[str, Any]) -> str:
    """RMSE in metres at ×4 of one method beside the interpolations, file by file, with coverage where it has σ."""
    files = record["x4"]["files"]
    covered = any("coverage_68" in v for v in files[method].values())
    rows = []
    for name, mine in files[method].items():
        cells = [f"{files[m][name]['rmse']:.3f}" for m in (*BASES, method)]
        cells += [f"{files[m][name]['slope_rmse']:.2f}" for m in (*BASES, method)]
        cells += [f"{100 * mine[c]:.0f} %" for c in ("coverage_68", "coverage_90")] if covered else []
        rows.append([name, *cells])
    head = ["file, ×4", *(f"RMSE {m}, m" for m in (*BASES, method)), *(f"slope {m}, °" for m in (*BASES, method))]
    return table(head + (["within 68 %", "within 90 %"] if covered else []), rows)


def coverage(record: dict[str, Any]) -> str:
    """Mean over the files of the share within the stated intervals."""
    rows = []
    for scale in SCALES:
        files = record.get(scale, {}).get("files", {}).get("ridgeline", {}).values()
        if files and all("coverage_68" in f for f in files):
            shares = [100 * sum(f[c] for f in files) / len(files) for c in ("coverage_68", "coverage_90")]
            rows.append([f"×{scale[1]}", *(f"{s:.1f} %" for s in shares)])
    return table(["", "within the 68 % interval", "within the 90 % interval"], rows)


def card(method: str) -> Callable[[], str]:
    """The section of a model card."""

    def text() -> str:
        record = load("dem_accuracy")
        if method not in record.get("x4", {}).get("files", {}):
            return ""
        out = "`python -m benchmarks.dem.accuracy`: ratios, geometric mean over the six files of `dem/test`.\n\n"
        out += ratios([method], record) + "\n" + by_file(method, record)
        return out + ("\nMean over the files:\n\n" + coverage(record) if method == "ridgeline" else "")

    return text


def accuracy() -> str:
    """The table of the README."""
    record = load("dem_accuracy")
    methods = ["bicubic a=-0.75", "lanczos", "back-projected bicubic", "srcnn", "drn", "ridgeline"]
    return ratios(methods, record) if record else ""


def interpolation() -> str:
    """The table of the interpolations."""
    record = load("dem_accuracy")
    names = ["bicubic", "bicubic a=-0.75", "lanczos", *(f"back-projected bicubic{a}" for a in ("", " a=-0.75"))]
    return ratios(names, record) if record else ""


def speed() -> str:
    """Rates and memory."""
    record = load("dem_speed")
    if not record:
        return ""
    timed = record["speed"]
    rows = []
    for name in ("ridgeline", "drn", "gdal cubic"):
        r = timed[name]
        outside = f"{100 * r['outside_network']:.0f} %" if "outside_network" in r else ""
        cells = "×".join(map(str, r["input_cells"]))
        rows.append([name, cells, f"{r['output_pixels_per_second'] / 1e6:.2f}", outside, f"{r['peak_mb']:.0f}"])
    out = f"{record['machine']['cpu']}, {record['threads']} threads, ×4, "
    out += "from file to published file, medians of one run.\n\n"
    out += table(["", "input cells", "output Mpx/s", "outside the network", "peak MB"], rows)
    out += f"\nRidgeline gives {timed['ridgeline_over_drn']:.1f} times the output pixels per second of drn on the same "
    out += (
        f"engine, and takes {timed['ridgeline_time_over_gdal']:.1f} times as long as GDAL's cubic warp with the same "
    )
    out += "output options.\n"
    for r in record["memory"]:
        out += f"Peak memory for {r['output_side']:,}² output cells: {r['peak_mb']:.0f} MB.\n"
    return out


def peers() -> str:
    """Accuracy at ×3 beside the public VDSR4DEM, and how it was read."""
    record = load("dem_peers")
    if not record:
        return ""
    known, bases = record["x3"]["ratios"], ("bicubic", "back-projected bicubic", "drn")
    rows = [
        [name, *(f"{by[b][m]:.3f}" for b in bases for m in ("rmse", "mae", "nmad", "slope_rmse"))]
        for name, by in known.items()
    ]
    out = table(["×3", *(f"{m} / {b}" for b in bases for m in ("RMSE", "MAE", "NMAD", "slope"))], rows)
    files = record["x3"]["files"]
    stems = list(files["bicubic"])
    for metric, unit in (("rmse", "RMSE, m"), ("mae", "MAE, m"), ("nmad", "NMAD, m"), ("slope_rmse", "slope RMSE, °")):
        rows = [[name, *(f"{by[f][metric]:.3f}" for f in stems)] for name, by in files.items()]
        out += "\n" + table([unit, *stems], rows)
    readings = record["protocol"]["readings"]
    return out + "\n" + "".join(f"- `{name}` reads it as: {reading}.\n" for name, reading in readings.items())


def readings() -> str:
    """Every reading of VDSR4DEM on training terrain."""
    record = load("dem_peers")
    if not record:
        return ""
    found = record["readings"]
    stems = list(next(iter(found.values())))
    rows = [[name, *(f"{by[f]:.3f}" for f in stems)] for name, by in found.items()]
    return table(["RMSE / bicubic, windows of dem/train", *stems], rows)


def peers_speed() -> str:
    """Rates of the networks alone."""
    record = load("dem_peers")
    if not record:
        return ""
    rows = [
        [name, f"{r['weights']:,}", f"{r['output_pixels_per_second'] / 1e6:.2f}", f"{r['over_drn']:.2f}"]
        for name, r in record["speed"].items()
    ]
    out = f"{record['machine']['cpu']}, {record['threads']} thread(s), medians of one run.\n\n"
    return out + table(["×3", "weights", "output Mpx/s", "times drn"], rows)


def ablation() -> str:
    """Each variant's scores on held-out terrain, and what it loses against the recipe."""
    record = load("ablation_ridgeline")
    if not record:
        return ""
    full = record["variants"].get("full", {}).get("scores")
    kinds = sorted(next(iter(record["variants"].values()))["scores"], key=len)  # block mean first
    rows = []
    order = sorted(
        record["variants"].values(),
        key=lambda r: (not r["label"].startswith("the recipe"), r["scores"][kinds[0]]["to_bicubic"]),
    )
    for r in order:
        cells = [f"{r['scores'][k]['to_bicubic']:.4f}" for k in kinds]
        cells.append(f"{r['scores'][kinds[0]]['slope_to_bicubic']:.4f}")
        if full:
            change = r["scores"][kinds[0]]["to_bicubic"] / full[kinds[0]]["to_bicubic"] - 1
            cells.append(f"{100 * change:+.1f} %")
        rows.append([r["label"].replace("|", "\\|"), f"{r['weights']:,}", *cells])
    head = ["variant", "weights", *(f"RMSE / bicubic, {k}" for k in kinds), f"slope / bicubic, {kinds[0]}"]
    out = f"×4, {record['steps']} steps each, held-out terrain of the recipe.\n\n"
    return out + table(head + ([f"RMSE against the recipe, {kinds[0]}"] if full else []), rows)


def ablation_pimsr() -> str:
    """Each variant of PIMSR on simulated radar over held-out terrain, and on the real hillside."""
    record = load("ablation_pimsr")
    if not record:
        return ""
    variants = record["variants"]
    terms = list(next(iter(variants.values()))["terms"])
    rows = []
    for r in variants.values():
        held, real = r["held_out"], r["myanmar"]
        cells = [held["to_bicubic"], held["slope_to_bicubic"], *(r["terms"][t] for t in terms)]
        share = f"{r['share_dem']:.2f}" if "share_dem" in r else ""
        scores = (f"{v:.4f}" for v in (*cells, real["to_bicubic"], real["slope_to_bicubic"]))
        rows.append([r["label"], share, *scores])
    head = ["variant", "share of heights", "RMSE", "slope", *(t.replace("_", " ") for t in terms)]
    head += ["real: RMSE", "real: slope"]
    base = record["myanmar_back_projected"]
    return (
        f"×4, {record['steps']} steps each. RMSE and slope error over bicubic's, terms of physics over those of the "
        f"consistent cubic surface; *real* is the Myanmar hillside with {record['dates']} dates, over bicubic's, where "
        f"back-projected bicubic has {base['to_bicubic']:.3f} and {base['slope_to_bicubic']:.3f}.\n\n"
    ) + table(head, rows)


def cross() -> str:
    """Ratios for coarse inputs that no model was trained on."""
    record = load("cross_source")
    out = ""
    for scale in SCALES:
        rows = [
            [kind, method, *(f"{by[b][m]:.3f}" for b in BASES for m in ("rmse", "mae", "nmad", "slope_rmse"))]
            for kind, part in record.get(scale, {}).items()
            for method, by in part["ratios"].items()
        ]
        if rows:
            heads = (f"{m} / {b}" for b in ("bicubic", "back-projected") for m in ("RMSE", "MAE", "NMAD", "slope"))
            out += table([f"×{scale[1]}, coarse input", "method", *heads], rows)
    return out


def each_file() -> str:
    """RMSE and slope RMSE of Ridgeline at ×4 beside the interpolations, file by file, and what its σ covers."""
    record = load("dem_accuracy")
    if "ridgeline" not in record.get("x4", {}).get("files", {}):
        return ""
    return by_file("ridgeline", record) + "\nMean over the files:\n\n" + coverage(record)


def evaluate_memory() -> str:
    """Peak of `terrafine evaluate`."""
    r = load("evaluate_memory")
    if not r:
        return ""
    return (
        f"A pair of {r['side']:,} × {r['side']:,} cells, report and page included: peak {r['peak_mb']:,.0f} MB "
        f"({r['limit_mb']:,} are allowed), {r['seconds']:.0f} s on {r['machine']['cores']} cores of "
        f"{r['machine']['cpu']}.\n"
    )


def half_pixel() -> str:
    """What a slip does to bicubic, beside what the paper prints."""
    record = load("jiao2020")
    if not record:
        return ""
    slips = {s: record[s]["half_pixel"] for s in SCALES}
    rows = [
        [f"PSNR of bicubic, {name}, dB", *(f"{slips[s][name]['psnr']:.2f}" for s in SCALES)] for name in slips["x4"]
    ]
    printed = record["paper_printed"]["psnr"]
    rows += [[f"*PSNR of {who} in the paper, dB*", *(f"*{v:.2f}*" for v in printed[who])] for who in ("bicubic", "drn")]
    rows.append(["RMSE of bicubic, in register, m", *(f"{slips[s]['in register']['rmse']:.2f}" for s in SCALES)])
    wrong = [slips[s]["corner for centre"] for s in SCALES]
    rows.append(["RMSE of bicubic, corner for centre, m", *(f"{r['rmse']:.2f}" for r in wrong)])
    rows.append(["its inflation", *(f"{r['inflation']:.1f}" for r in wrong)])
    taken = [f"{100 * r['back_projected_gain']:.0f} %" for r in wrong]
    rows.append(["RMSE taken back from it by back-projected bicubic, which learns nothing", *taken])
    gains = [
        f"*{100 * (1 - 10 ** ((b - d) / 20)):.0f} %*" for b, d in zip(printed["bicubic"], printed["drn"], strict=True)
    ]
    rows.append(["*RMSE taken back by the network in the paper, from its PSNR*", *gains])
    return table(["", "×2", "×3", "×4"], rows)


def paper_protocol() -> str:
    """The paper's Tables 1 to 3 on our area, and the same methods in register over the whole file."""
    record = load("jiao2020")
    out = ""
    for scale in SCALES if record else ():
        keys = ("psnr", "mae", "rmse", "min", "max", "sd", "valleys_f1", "ridges_f1")
        exact = record[scale]["registration_exact"]
        rows = []
        for name, row in record[scale]["paper_protocol"].items():
            cells = [f"{row[key]:.3f}" if key in row else "" for key in keys]
            cells += [f"{exact[name][key]:.3f}" if name in exact else "" for key in ("rmse", "slope_rmse")]
            rows.append([name, *cells])
        heads = ("PSNR, dB", "MAE, m", "RMSE, m", "min, m", "max, m", "SD, m", "valleys F1", "ridges F1")
        out += table([f"×{scale[1]}", *heads, "RMSE, whole file, m", "slope RMSE, °"], rows) + "\n"
    return out.removesuffix("\n")


def _pimsr(name: str) -> str:
    """A section of the page on guided models."""
    return page.SECTIONS[name](load("pimsr"), table)


SECTIONS: dict[str, Callable[[], str]] = {
    "jiao_half_pixel": half_pixel,
    "jiao_tables": paper_protocol,
    "accuracy": accuracy,
    "speed": speed,
    "interpolation": interpolation,
    "each_file": each_file,
    "dem_peers": peers,
    "dem_peers_speed": peers_speed,
    "dem_peers_readings": readings,
    "ablation_ridgeline": ablation,
    "ablation_pimsr": ablation_pimsr,
    "cross_source": cross,
    "evaluate_memory": evaluate_memory,
    **{m: card(m) for m in ("srcnn", "drn", "ridgeline")},
    **{name: partial(_pimsr, name) for name in page.SECTIONS},
}


def main() -> int:
    """Write, or with --check compare."""
    stale = []
    cards, pages = (ROOT / "src/terrafine/systems").glob("*/README.md"), (ROOT / "docs/benchmarks").glob("*.md")
    for path in (ROOT / "README.md", *sorted(cards), *sorted(pages)):
        old = path.read_text(encoding="utf-8")
        new = MARK.sub(lambda m: m[1] + (SECTIONS[m[2]]() or "") + m[3], old)
        if new != old:
            stale.append(path.relative_to(ROOT))
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    print("\n".join(f"{'stale' if '--check' in sys.argv else 'written'}: {p}" for p in stale) or "all numbers agree")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    raise SystemExit(main())
