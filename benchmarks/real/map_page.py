"""The generated sections on maps from real Sentinel-2: the page real_map and the table of the README."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import Section, result, table

LONGEST = 320  # metres along a window of the spectrum
WHAT = {"pisa": "buildings", "montpellier": "impervious"}


def _found(kind: str) -> dict[str, Any]:
    record: dict[str, Any] = result("real_map").get(kind, {})
    return record


def _or_none(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _gain(row: dict[str, Any]) -> str:
    if "gain" not in row:
        return ""
    low, high = row["gain_interval"]
    return f"{row['gain']:+.3f} ({low:+.3f} to {high:+.3f})"


def _rows(kind: str) -> str:
    head = [
        "city, labels",
        "date",
        "method",
        "AUC",
        "above −NDVI (95 %)",
        "best MCC",
        "MCC",
        "F1",
        "±1 cell",
        "±2 cells",
    ]
    head += ["recall", "area bias"]
    rows = []
    for city, dates in _found(kind).items():
        for date, record in dates.items():
            for name, m in record["methods"].items():
                if date == "both":
                    rows.append([f"{city}, {WHAT[city]}", "both", name, _or_none(m["auc"]), *[""] * 8])
                    continue
                bias = "" if m["area_bias"] is None else f"{100 * m['area_bias']:+.0f} %"
                rows.append(
                    [
                        f"{city}, {WHAT[city]}",
                        date,
                        name.replace("-NDVI", "−NDVI"),
                        f"{m['auc']:.3f}",
                        _gain(m),
                        *(_or_none(m[key]) for key in ("mcc_best", "mcc_fixed", "f1_0", "f1_1", "f1_2", "recall")),
                        bias,
                    ]
                )
    return table(head, rows)


def held_out() -> str:
    """Every method on the ground held out inside each city."""
    return _rows("held_out")


def left_out() -> str:
    """Every method on the city that it never saw."""
    return _rows("left_out")


def moved() -> str:
    """Displacement of each image against its labels, as found."""
    rows = [
        [record["image"], f"{record['moved_m'][0]:+.1f} m", f"{record['moved_m'][1]:+.1f} m"]
        for dates in _found("held_out").values()
        for date, record in dates.items()
        if date != "both"
    ]
    return table(["image", "east", "north"], rows)


def reliability() -> str:
    """Mean probability against the share of the labels, by bin, on held-out ground."""
    rows = []
    for city, dates in _found("held_out").items():
        for date, record in dates.items():
            for chance, share, cells in record.get("reliability", []):
                rows.append([f"{city}, {WHAT[city]}", date, f"{chance:.2f}", f"{share:.2f}", f"{cells:,}"])
    return table(["city, labels", "date", "mean probability", "share of the labels", "cells"], rows)


def _wavelength(metres: float) -> str:
    return f"{metres:.0f} m" if metres < LONGEST else f"coarser than {LONGEST} m"


def resolution() -> str:
    """Wavelength at which the map of buildings is coherent with the labels by one half."""
    rows = [
        [f"{city}, {WHAT[city]}", date, _wavelength(record["effective_resolution_m"])]
        for city, dates in _found("held_out").items()
        for date, record in dates.items()
        if record.get("effective_resolution_m")
    ]
    return table(["city, labels", "date", "effective resolution"], rows)


def areas() -> str:
    """Area of the shipped weights over that of the labels, counted and expected, on held-out ground."""
    rows = [
        [f"{city}, {WHAT[city]}", date, name, *(f"{100 * found[key]:+.0f} %" for key in ("counted", "expected"))]
        for city, dates in _found("held_out").items()
        for date, record in dates.items()
        for name, found in record.get("areas", {}).items()
    ]
    return table(["city, labels", "date", "method", "counted", "expected"], rows)


def blocks() -> str:
    """AUC on blocks held out all over each city, by models that did not see them."""
    rows = []
    for city, dates in result("real_map_blocks").get("cities", {}).items():
        for date, methods in dates.items():
            for name, m in methods.items():
                shown = name.replace("-NDVI", "−NDVI")
                rows.append([f"{city}, {WHAT[city]}", date, shown, f"{m['auc']:.3f}", _gain(m)])
    return table(["city, labels", "date", "method", "AUC", "above −NDVI (95 %)"], rows)


def chain() -> str:
    """Every way from 10 m bands to a map at the same budget, on windows of the held-out third."""
    rows = []
    record = result("real_map_chain")
    for name, row in record.get("rows", {}).items():
        cells = [
            f"{m['auc']:.3f}" + (f" ({m['gain']:+.3f}: {m['gain_interval'][0]:+.3f} to {m['gain_interval'][1]:+.3f})")
            for city in sorted(row["cities"])
            for _, m in sorted(row["cities"][city].items())
        ]
        if name == "-NDVI":
            cells = [cell.split(" ")[0] for cell in cells]
        took = "" if "seconds" not in row else f"{row['seconds']:.0f}"
        speed = "" if "km2_per_s" not in row else f"{row['km2_per_s']:.2g}"
        rows.append([name.replace("-NDVI", "−NDVI"), *cells, took, speed])
    cities = [f"{city}, date {date}" for city in ("montpellier", "pisa") for date in (1, 2)]
    return table(["method", *cities, "training, s", "km²/s"], rows)


def short() -> str:
    """AUC of the simpler methods and of citymap, every way of holding out."""
    rows = []
    trees = {"per pixel": "trees, per pixel", "context": "trees, context", "all features": "trees, all features"}
    blocks = {
        city: {date: {**m, "citymap": m["citymap trees"]} for date, m in dates.items()}
        for city, dates in result("real_map_blocks").get("cities", {}).items()
    }
    third, left = (
        {city: {d: r["methods"] for d, r in dates.items() if d != "both"} for city, dates in _found(kind).items()}
        for kind in ("held_out", "left_out")
    )
    for how, found in (("held-out blocks", blocks), ("held-out third", third), ("city left out", left)):
        for city, dates in sorted(found.items()):
            for date, m in dates.items():
                cells = [_or_none(m.get(n, {}).get("auc")) for n in ("-NDVI", *trees, "citymap")]
                rows.append([f"{city}, {WHAT[city]}, date {date}", how, *cells, _gain(m.get("citymap", {}))])
    return table(["labels", "ground", "−NDVI", *trees.values(), "citymap", "citymap above −NDVI (95 %)"], rows)


SECTIONS: dict[str, Section] = {
    "real_map_areas": areas,
    "real_map_blocks": blocks,
    "real_map_chain": chain,
    "real_map_held_out": held_out,
    "real_map_left_out": left_out,
    "real_map_moved": moved,
    "real_map_reliability": reliability,
    "real_map_resolution": resolution,
    "real_map_short": short,
}
