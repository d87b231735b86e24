"""The tables of docs/benchmarks/jointseg.md, from the JSON that the benchmark wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.jointseg.rows import FAIR, FIRST, LONGER, OURS, ROWS
from benchmarks.markdown import Record, Section, number, result, table


def rows(record: Record) -> str:
    """Maps."""
    part = record["score"]
    head = [
        "row",
        "F1 (95 %)",
        "IoU (95 %)",
        "OA",
        "boundary IoU 2 m",
        "5 m",
        "area bias",
        "F1 dense",
        "F1 sparse",
        "resolution, m",
        "s",
    ]
    runs = part["seconds"]
    out = []
    for name, (run, _) in ROWS.items():
        if name not in part["rows"]:
            continue
        r = part["rows"][name]
        one = r["classes"][1]
        regions = {g["region"]: g["classes"][1]["f1"] for g in r["by_region"]}
        seconds = runs.get(run)
        out.append(
            [
                name,
                number(one["f1"], one["intervals"]["f1"]),
                number(one["iou"], one["intervals"]["iou"]),
                number(r["overall_accuracy"]),
                *(number(one["boundary_iou"][d]) for d in ("2", "5")),
                "not known" if one["area_bias"] is None else f"{one['area_bias']:+.1%}",
                *(number(regions.get(i)) for i in (1, 2)),
                number(part["effective_resolution_m"][name], None, 0),
                "" if seconds is None else f"{seconds:.0f}",
            ]
        )
    text = table(head, out)
    if part["missing"]:
        text += f"\nNot run: {'; '.join(part['missing'])}.\n"
    return text


def ohio(record: Record) -> str:
    """Other ground."""
    part = record["ohio"]
    out = []
    for name, r in part["rows"].items():
        one = r["classes"][1]
        bias = "not known" if one["area_bias"] is None else f"{one['area_bias']:+.1%}"
        f1, iou = number(one["f1"], one["intervals"]["f1"]), number(one["iou"], one["intervals"]["iou"])
        out.append([name, f1, iou, number(r["overall_accuracy"]), bias])
    return table(["row", "F1 (95 %)", "IoU (95 %)", "OA", "area bias"], out) + (
        f"\nTrained on {part['train_km2']:.2f} km² for {part['steps']} steps; scored on {part['held_out_km2']:.2f} "
        f"km² in {part['blocks']} squares, {part['impervious']:.1%} of them impervious.\n"
    )


def targets(record: Record) -> str:
    """What it had to show."""
    gaps = record["score"]["differences"]
    out = []

    def row(what: str, wanted: str, gap: Mapping[str, Any] | None, met: Callable[[Mapping[str, Any]], bool]) -> None:
        if gap is not None and gap["value"] is not None:
            out.append([what, wanted, number(gap["value"], gap["interval"]), "met" if met(gap) else "missed"])

    first = gaps.get(f"{OURS} − {FIRST}")
    row("F1 above bilinear, segmenter trained on the truth", "0.095", first, lambda g: g["value"] >= 0.095)
    for more in ("", LONGER):
        fair, half = gaps.get(f"{OURS}{more} − {FAIR}{more}"), record["score"]["halfway"].get(f"{OURS}{more}")
        row(
            f"F1 above bilinear, segmenter trained on bilinear{more}",
            "above the interval",
            fair,
            lambda g: bool(g["interval"]) and g["interval"][0] > 0,
        )
        row(f"of the way from fair bilinear to the true image{more}", "0.5", half, lambda g: g["value"] >= 0.5)
    image = record["score"]["images"].get(OURS)
    if image is not None:
        away = image["consistency"]["reflectance"]
        out.append(
            ["consistency with the input, reflectance", "0.01", f"{away:.4f}", "met" if away <= 0.01 else "missed"]
        )
    return table(["what", "target", "measured", ""], out)


def images(record: Record) -> str:
    """Images."""
    return _images(record["score"]["images"])


def _images(part: Record) -> str:
    head = ["image", "PSNR, dB", "SSIM", "effective resolution, m",
            "consistency", "back-projected", "angle, °", "synthesis",
            "improvement", "omission", "hallucination"]  # fmt: skip
    out = []
    for name, r in part.items():
        c, j = r["consistency"], r["correctness"]
        out.append(
            [
                name,
                number(r["psnr"], None, 2),
                number(r["ssim"]),
                number(r["effective_resolution_m"], None, 1),
                number(c["reflectance"], None, 4),
                number(r["sensor_gap"], None, 4),
                number(c["spectral_angle_deg"], None, 2),
                number(r["synthesis"], None, 4),
                *(number(j[k]) for k in ("improvement", "omission", "hallucination")),
            ]
        )
    return table(head, out)


def features(record: Record) -> str:
    """Perceptual losses."""
    part = record.get("features", {})
    text = _images({f"perceptual: {n}": r for n, r in part.items()})
    scores = "; ".join(f"{n} {number(r['f1'])}, {r['seconds']:.0f} s" for n, r in part.items())
    return text + f"\nF1 and seconds: {scores}.\n"


def public(record: Record) -> str:
    """Public weights."""
    part = record["public"]
    text = table(["2.5 m image", "PSNR, dB"], [[n, f"{v:.2f}"] for n, v in part["psnr"].items()])
    start = part["start"]
    rows = [[n, f"{r['rate']:g}", f"{r['psnr']:.2f}", f"{r['core_s']:.0f}"] for n, r in start["rows"].items()]
    return (
        text
        + f"\nAs a start, {start['steps']} steps of L1:\n\n"
        + table(["stage 1, agreeing with the input", "rate", "PSNR, dB", "core-seconds"], rows)
    )


def speed(record: Record) -> str:
    """By stage."""
    part = record["speed"]
    compact, full = part["multiply_adds"]["compact"], part["multiply_adds"]["full"]
    rows = [[name, f"{v:.3f}"] for name, v in part.get("km2_per_core_s", {}).items()]
    text = table(["stage, compact", "km² per core-second"], rows)
    small, large = sum(compact), sum(full)
    return text + (
        f"\nMultiply-adds of the images for a cell of 1 m: compact {small / 1e3:.0f} thousand, full {large / 1e6:.2f} "
        f"million, {large / small:.0f} times as many: {large / 1e6:.2f} · 10¹² for a km².\n"
    )


def city(record: Record) -> str:
    """The real city."""
    part = record["city"]
    return (
        f"{part['city']}: {part['km2']:.2f} km², {part['impervious']:.1%} classified as impervious, mean probability "
        f"{part['mean_probability']:.3f}.\n"
    )


def _section(part: Callable[[Record], str]) -> str:
    """A part of the page from the result file."""
    return part(result("jointseg"))


PARTS: Mapping[str, Callable[[Record], str]] = {
    "rows": rows,
    "targets": targets,
    "images": images,
    "ohio": ohio,
    "features": features,
    "public": public,
    "speed": speed,
    "city": city,
}
SECTIONS: dict[str, Section] = {f"jointseg_{name}": partial(_section, part) for name, part in PARTS.items()}
