"""What `terrafine evaluate` does with class maps and images: the right judge, its report, its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from terrafine.cli.table import columns
from terrafine.errors import UsageError

__all__ = ["judge"]


def judge(
    kind: str,
    candidates: Sequence[str],
    truth: str,
    coarse: str | None,
    out: Path | None,
    gates: Sequence[Any],
    names: Sequence[str],
    divide_by: float | None,
    progress: Callable[[int, int], None] | None,
    options: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Judge, write the report, print the table where `progress` is given; returns the gates as they were checked."""
    from terrafine.evaluation.gate import check
    from terrafine.evaluation.report import write_report

    named = _named(candidates)
    drawn: list[Any] = []
    figures = None if out is None else drawn.append
    common = {"assume_crs": options["assume_crs"], "progress": progress}
    results: dict[str, Any]
    if kind == "classes":
        results = _classes(named, truth, coarse, names, divide_by, options, common | {"figures": figures})
    else:
        results = _image(named, truth, coarse, names, divide_by, options, common | {"figures": figures})
    if gates:
        results["gates"] = check(results, gates)
    written = [] if out is None else write_report(results, drawn[0] if drawn else None, out)
    if progress is not None:
        _show(results, written)
    checked: list[dict[str, Any]] = results.get("gates", [])
    return checked


def _named(candidates: Sequence[str]) -> dict[str, str]:
    stems = [Path(c).stem for c in candidates]
    if len(set(stems)) < len(stems):
        stems = list(candidates)
    if len(set(stems)) < len(stems):
        raise UsageError(f"{', '.join(candidates)}: a file is named twice; expected each once")
    return dict(zip(stems, candidates, strict=True))


def _classes(
    named: Mapping[str, str],
    truth: str,
    coarse: str | None,
    names: Sequence[str],
    divide_by: float | None,
    options: Mapping[str, Any],
    common: dict[str, Any],
) -> dict[str, Any]:
    from terrafine.evaluation.classes.compare import compare

    if coarse or divide_by:
        raise UsageError("--coarse and --divide-by mean nothing for class maps; leave them out, or say --as image")
    known = _class_names(names)
    if Path(truth).suffix.lower() == ".csv":
        if options["masks"] or options["classes"]:
            raise UsageError("--mask and --classes mean nothing for a sample of points: its strata are in the CSV")
        return compare(named, truth, class_names=known, assume_crs=common["assume_crs"], progress=common["progress"])
    return compare(named, truth, regions=options["classes"], masks=options["masks"], class_names=known, **common)


def _class_names(given: Sequence[str]) -> dict[int, str]:
    pairs = [text.partition("=") for text in given]
    if not all(number.strip().isdigit() and name.strip() for number, _, name in pairs):
        raise UsageError(f"--class-name {' '.join(given)}: expected for example 1=impervious")
    return {int(number): name.strip() for number, _, name in pairs}


def _image(
    named: Mapping[str, str],
    truth: str,
    coarse: str | None,
    names: Sequence[str],
    divide_by: float | None,
    options: Mapping[str, Any],
    common: dict[str, Any],
) -> dict[str, Any]:
    from terrafine.evaluation.images.compare import compare

    if names or options["masks"] or options["classes"]:
        raise UsageError("--class-name, --mask and --classes mean nothing for images; leave them out")
    if coarse is None:
        raise UsageError(f"{', '.join(named.values())}: images; expected --coarse, the image that they were made from")
    return compare(named, truth, coarse=coarse, divide_by=divide_by, **common)


_CLASSES = ("map", "class", "F1", "95 % from", "to", "precision", "recall", "IoU", "area bias")
_SAMPLE = ("map", "class", "precision", "±", "recall", "±", "area km²", "±", "mapped km²")
_IMAGES = (
    "image",
    "PSNR dB",
    "SSIM",
    "LR mean diff.",
    "angle °",
    "shift px",
    "synthesis",
    "halluc.",
    "omission",
    "improv.",
)


def _show(results: Mapping[str, Any], written: Sequence[Path]) -> None:
    click.echo(results["verdict"]["sentence"])
    header, rows = {"classes": _class_rows, "sample": _sample_rows, "image": _image_rows}[results["kind"]](results)
    click.echo(columns(header, rows))
    for note in results["notes"]:
        click.echo(note)
    for gate in results.get("gates", []):
        click.echo(f"{'passed' if gate['passed'] else 'FAILED'}  {gate['candidate']}: {gate['key']} {gate['value']}")
    if written:
        pages = [path for path in written if path.suffix != ".csv"]
        click.echo(f"{', '.join(map(str, pages))} and {len(written) - len(pages)} tables as CSV beside them")


Printed = tuple[Sequence[str], list[tuple[str, ...]]]


def _text(value: float | None, places: int = 3) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _class_rows(results: Mapping[str, Any]) -> Printed:
    rows = []
    for c in results["candidates"]:
        for row in c["classes"]:
            low, high = row["intervals"]["f1"] or (None, None)
            numbers = (row["f1"], low, high, row["precision"], row["recall"], row["iou"], row["area_bias"])
            rows.append((c["name"], row["name"], *map(_text, numbers)))
    return _CLASSES, rows


def _sample_rows(results: Mapping[str, Any]) -> Printed:
    def half(found: Mapping[str, Any], scale: float = 1.0) -> float | None:
        pair = found["interval"]
        return None if pair is None else scale * (pair[1] - pair[0]) / 2

    rows = []
    for c in results["candidates"]:
        for row in c["sample"]["classes"]:
            p, r, area = row["precision"], row["recall"], row["area_m2"]
            km2 = [None if v is None else v / 1e6 for v in (area["value"], row["mapped_area_m2"])]
            numbers = (p["value"], half(p), r["value"], half(r), km2[0], half(area, 1e-6), km2[1])
            rows.append((c["name"], row["name"], *map(_text, numbers)))
    return _SAMPLE, rows


def _image_rows(results: Mapping[str, Any]) -> Printed:
    rows = []
    for c in results["candidates"]:
        lr = c["consistency"]
        numbers = (c["psnr"], c["ssim"], lr["reflectance"], lr["spectral_angle_deg"], lr["shift_px"])
        test = c["correctness"]
        more = (c["synthesis"], test["hallucination"], test["omission"], test["improvement"])
        rows.append((c["name"], *(_text(v, 4) for v in (*numbers, *more))))
    return _IMAGES, rows
