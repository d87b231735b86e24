"""The tables of docs/benchmarks/pimsr.md, from the JSON that the benchmark wrote."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.markdown import Record, Section, number, result, table

NAMES = {"rmse": "RMSE", "mae": "MAE", "slope_rmse": "slope", "stream_f1": "stream F1", "d8": "D8"}
UNITS = {"rmse": "RMSE, m", "mae": "MAE, m", "slope_rmse": "slope RMSE, °", "stream_f1": "stream F1", "d8": "D8"}


ORDER = ("bicubic", "back-projected bicubic", "srcnn", "drn", "ridgeline", "pimsr-published", "pimsr")
GIVEN = ("", "no guide", "VV", "VH", "VV + VH", "one date", "ten dates", "all dates")


def ordered(part: Record) -> list[tuple[str, Any]]:
    """Methods from the simplest to ours, each from the fewest guides on."""

    def place(name: str) -> tuple[int, int, str]:
        method, _, guides = name.partition(", ")
        return (
            ORDER.index(method) if method in ORDER else len(ORDER),
            GIVEN.index(guides) if guides in GIVEN else len(GIVEN),
            guides,
        )

    return sorted(part.items(), key=lambda item: place(item[0]))


def measured(value: Record | None, digits: int = 3, *, interval: bool = True) -> str:
    """A value with its interval."""
    if value is None:
        return "undefined"
    return number(value["value"], value["interval"] if interval else None, digits)


def ratios(part: Record, base: str) -> str:
    """Every method against one base."""
    known = [(name, by[base]) for name, by in ordered(part) if base in by and name != base]
    rows = [[name, *(measured(scores[m]) for m in NAMES)] for name, scores in known]
    return table([f"ratio to {base}", *NAMES.values()], rows)


def terrain(record: Record) -> str:
    """Geometric means over dem/test, and the targets."""
    if "terrain" not in record:
        return ""
    part = record["terrain"]
    out = f"{part['looks']:g} looks, {part['draws']} draws of radar for each file, unless the row says otherwise.\n\n"
    for base in ("bicubic", "ridgeline"):
        out += ratios(part["ratios"], base) + "\n"
    if part["ratios_30m"]:
        out += "120 m → 30 m, the two files of 30 m cells:\n\n" + ratios(part["ratios_30m"], "bicubic")
    return out


def by_ground(record: Record) -> str:
    """Each measure of each method, file by file."""
    if "terrain" not in record:
        return ""
    part, out = record["terrain"], []
    stems = list(part["ground"])
    for metric, unit in UNITS.items():
        digits = 2 if metric == "slope_rmse" else 3
        rows = [
            [name, *(measured(by[f][metric], digits, interval=metric == "rmse") for f in stems)]
            for name, by in ordered(part["files"])
        ]
        out.append(table([unit, *(f"{part['ground'][f]} (`{f}`)" for f in stems)], rows))
    return "\n".join(out)


def hillside(record: Record) -> str:
    """The real hillside: errors, ratios, single dates."""
    if "myanmar" not in record:
        return ""
    part = record["myanmar"]
    relief = part["relief"]
    out = (
        f"{part['days']} dates; relief {relief['range_m']:.0f} m, mean slope {relief['mean_slope_deg']:.1f}°. Beside "
        "each value its 95 % interval.\n\n"
    )
    rows = [[name, *(measured(by["myanmar"][m]) for m in UNITS)] for name, by in ordered(part["files"])]
    out += table(["", *UNITS.values()], rows) + "\n"
    for base in ("bicubic", "ridgeline", "pimsr, no guide"):
        if any(base in by for by in part["ratios"].values()):
            out += ratios(part["ratios"], base) + "\n"
    for name, one in part["single_dates"].items():
        errors = one["rmse"].values()
        out += (
            f"{name} with one date: {len(errors)} dates spread over the series gave an RMSE from {min(errors):.3f} to "
            f"{max(errors):.3f} m; the row shows their median, {one['day'][:4]}-{one['day'][4:6]}-{one['day'][6:]}.\n\n"
        )
    return out


def registration(record: Record) -> str:
    """What was found of where the radar lies, as it is and displaced on purpose."""
    if "myanmar" not in record:
        return ""
    part = record["myanmar"]
    rows = [
        [name, dates, str(r["said"]), "" if r["correlation"] is None else f"{r['correlation']:.2f}"]
        for name, by in part["registration"].items()
        for dates, r in by.items()
    ]
    out = table(["", "radar", "found, in fine cells", "correlation with the simulation"], rows) + "\n"
    if not part["planted"]:
        return out
    rest = part["planted"][0]["found"]
    rows = []
    for p in part["planted"]:
        found = p["found"]
        known = found["down"] is not None and rest["down"] is not None
        moved = "not identifiable"
        if known:
            moved = f"{found['down'] - rest['down']:+.2f}, {found['right'] - rest['right']:+.2f}"
        rows.append(
            [
                f"{p['down']:+g}, {p['right']:+g}",
                moved,
                f"{p['rmse_registered']:.3f}",
                f"{p['rmse_as_it_lies']:.3f}",
            ]
        )
    head = ["planted: down, right", "found beyond what lies there", "RMSE registered, m", "RMSE as it lies, m"]
    return out + table(head, rows)


def backscatter(record: Record) -> str:
    """The fitted parameters."""
    if "myanmar" not in record:
        return ""
    part = record["myanmar"]["backscatter"]
    rows = [
        [
            name.upper(),
            f"{r['level_db']:.2f} ± {r['level_error']:.2f}",
            f"{r['exponent']:.2f} ± {r['exponent_error']:.2f}",
            f"{r['correlation']:.2f}",
            f"{r['residual_db']:.2f}",
        ]
        for name, r in ((n, part[n]) for n in ("vv", "vh"))
    ]
    head = ["mean of all dates", "level, dB", "exponent of the cosine law", "correlation", "residual, dB"]
    return (
        table(head, rows) + f"\nSensor at azimuth {part['azimuth']:.1f}° from the grid's north, incidence taken as "
        f"{part['incidence']:g}°.\n"
    )


def images(record: Record) -> str:
    """Real images: errors by area, ratios, suns and shifts."""
    if "images" not in record:
        return ""
    part = record["images"]
    areas = list(part["tags"])
    rows = [
        [name, *(f"{measured(by[a]['rmse'])}; {measured(by[a]['slope_rmse'], 2, interval=False)}" for a in areas)]
        for name, by in part["files"].items()
    ]
    out = table(["RMSE, m; slope RMSE, °", *areas], rows) + "\n"
    for base in ("bicubic", "pimsr, no guide"):
        out += ratios(part["ratios"], base) + "\n"
    rows = []
    for area, by in part["tags"].items():
        for bands, said in by.items():
            sun = said.get("OPTICAL_SUN_AZIMUTH", "refused: " + said.get("refused", ""))
            rows.append(
                [area, bands, sun, said.get("OPTICAL_RELIEF_CORRELATION", ""), said.get("OPTICAL_SHIFT_CELLS", "")]
            )
    return out + table(["area", "bands", "sun's azimuth", "correlation with its light", "shift, fine cells"], rows)


def patches(record: Record) -> str:
    """The terrain-corrected patches."""
    if "rtc" not in record:
        return ""
    rows, methods = [], [m for m, _ in ordered(next(iter(record["rtc"].values()))["files"])]
    for name, r in record["rtc"].items():
        follows = "; ".join(
            f"{orbit} {', '.join(f'{b.upper()} {c:+.2f}' for b, c in by.items())}"
            for orbit, by in r["correlation"].items()
        )
        relief = f"{r['relief']['range_m']:.0f} m, {r['relief']['mean_slope_deg']:.1f}°"
        rows.append([name, relief, f"{r['n']:,}", follows, *(f"{r['files'][m]['rmse']:.3f}" for m in methods)])
    head = ["patch", "range, mean slope", "cells", "correlation with light from", *(f"RMSE {m}, m" for m in methods)]
    return table(head, rows)


def speed(record: Record) -> str:
    """Rates beside ridgeline's."""
    if "speed" not in record:
        return ""
    part = record["speed"]
    rows = [
        [n, f"{rate / 1e6:.3f}", f"{part['over_ridgeline'][n]:.2f}"]
        for n, rate in part["output_pixels_per_second"].items()
    ]
    out = f"{part['machine']['cpu']}, {part['threads']} threads, {part['input_side']}² coarse cells, VV and VH of one "
    return out + "date, medians of one run.\n\n" + table(["", "output Mpx/s", "times ridgeline"], rows)


def models(record: Record) -> str:
    """Which weights were scored, and what they can hear."""
    rows = [
        [n, str(m["version"]), f"`{m['sha256'][:12]}`", ", ".join(m["guides"]) or "none"]
        for n, m in record.get("models", {}).items()
    ]
    return table(["model", "version", "SHA-256 begins with", "guides"], rows) if rows else ""


def _section(part: Callable[[Record], str]) -> str:
    """A part of the page from the result file."""
    return part(result("pimsr"))


def ablation() -> str:
    """Each variant of PIMSR on simulated radar over held-out terrain, and on the real hillside."""
    record = result("ablation_pimsr")
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


PARTS: dict[str, Callable[[Record], str]] = {
    "pimsr_models": models,
    "pimsr_terrain": terrain,
    "pimsr_ground": by_ground,
    "pimsr_hillside": hillside,
    "pimsr_registration": registration,
    "pimsr_backscatter": backscatter,
    "pimsr_images": images,
    "pimsr_patches": patches,
    "pimsr_speed": speed,
}
SECTIONS: dict[str, Section] = {
    **{name: partial(_section, part) for name, part in PARTS.items()},
    "ablation_pimsr": ablation,
}
