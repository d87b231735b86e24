"""The tables of docs/benchmarks/pimsr.md, from the JSON that the benchmark wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Record = Mapping[str, Any]
Table = Callable[[list[str], list[list[str]]], str]

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


def told(value: Record | None, digits: int = 3, *, interval: bool = True) -> str:
    """A value with its interval."""
    if value is None or value["value"] is None:
        return "not told"
    text = f"{value['value']:.{digits}f}"
    if interval and value["interval"] is not None:
        low, high = value["interval"]
        text += f" ({low:.{digits}f}–{high:.{digits}f})" if low != high else ""
    return text


def ratios(part: Record, table: Table, base: str) -> str:
    """Every method against one base."""
    rows = [[name, *(told(by[base][m]) for m in NAMES)] for name, by in ordered(part) if base in by and name != base]
    return table([f"ratio to {base}", *NAMES.values()], rows)


def terrain(record: Record, table: Table) -> str:
    """Geometric means over dem/test, and the targets."""
    if "terrain" not in record:
        return ""
    part = record["terrain"]
    out = f"{part['looks']:g} looks, {part['draws']} draws of radar for each file, unless the row says otherwise.\n\n"
    for base in ("bicubic", "ridgeline"):
        out += ratios(part["ratios"], table, base) + "\n"
    if part["ratios_30m"]:
        out += "120 m → 30 m, the two files of 30 m cells:\n\n" + ratios(part["ratios_30m"], table, "bicubic")
    return out


def by_ground(record: Record, table: Table) -> str:
    """Each measure of each method, file by file."""
    if "terrain" not in record:
        return ""
    part, out = record["terrain"], []
    stems = list(part["ground"])
    for metric, unit in UNITS.items():
        digits = 2 if metric == "slope_rmse" else 3
        rows = [
            [name, *(told(by[f][metric], digits, interval=metric == "rmse") for f in stems)]
            for name, by in ordered(part["files"])
        ]
        out.append(table([unit, *(f"{part['ground'][f]} (`{f}`)" for f in stems)], rows))
    return "\n".join(out)


def hillside(record: Record, table: Table) -> str:
    """The real hillside: errors, ratios, single dates."""
    if "myanmar" not in record:
        return ""
    part = record["myanmar"]
    relief = part["relief"]
    out = (
        f"{part['days']} dates; relief {relief['range_m']:.0f} m, mean slope {relief['mean_slope_deg']:.1f}°. Beside "
        "each value its 95 % interval.\n\n"
    )
    rows = [[name, *(told(by["myanmar"][m]) for m in UNITS)] for name, by in ordered(part["files"])]
    out += table(["", *UNITS.values()], rows) + "\n"
    for base in ("bicubic", "ridgeline", "pimsr, no guide"):
        if any(base in by for by in part["ratios"].values()):
            out += ratios(part["ratios"], table, base) + "\n"
    for name, one in part["single_dates"].items():
        errors = one["rmse"].values()
        out += (
            f"{name} with one date: {len(errors)} dates spread over the series gave an RMSE from {min(errors):.3f} to "
            f"{max(errors):.3f} m; the row shows their median, {one['day'][:4]}-{one['day'][4:6]}-{one['day'][6:]}.\n\n"
        )
    return out


def registration(record: Record, table: Table) -> str:
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
        moved = f"{found['down'] - rest['down']:+.2f}, {found['right'] - rest['right']:+.2f}" if known else "not told"
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


def backscatter(record: Record, table: Table) -> str:
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


def images(record: Record, table: Table) -> str:
    """Real images: errors by area, ratios, suns and shifts."""
    if "images" not in record:
        return ""
    part = record["images"]
    areas = list(part["told"])
    rows = [
        [name, *(f"{told(by[a]['rmse'])}; {told(by[a]['slope_rmse'], 2, interval=False)}" for a in areas)]
        for name, by in part["files"].items()
    ]
    out = table(["RMSE, m; slope RMSE, °", *areas], rows) + "\n"
    for base in ("bicubic", "pimsr, no guide"):
        out += ratios(part["ratios"], table, base) + "\n"
    rows = []
    for area, by in part["told"].items():
        for bands, said in by.items():
            sun = said.get("OPTICAL_SUN_AZIMUTH", "refused: " + said.get("refused", ""))
            rows.append(
                [area, bands, sun, said.get("OPTICAL_RELIEF_CORRELATION", ""), said.get("OPTICAL_SHIFT_CELLS", "")]
            )
    return out + table(["area", "bands", "sun's azimuth", "correlation with its light", "shift, fine cells"], rows)


def patches(record: Record, table: Table) -> str:
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


def speed(record: Record, table: Table) -> str:
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


def models(record: Record, table: Table) -> str:
    """Which weights were scored, and what they can hear."""
    rows = [
        [n, str(m["version"]), f"`{m['sha256'][:12]}`", ", ".join(m["guides"]) or "none"]
        for n, m in record.get("models", {}).items()
    ]
    return table(["model", "version", "SHA-256 begins with", "guides"], rows) if rows else ""


SECTIONS: dict[str, Callable[[Record, Table], str]] = {
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
