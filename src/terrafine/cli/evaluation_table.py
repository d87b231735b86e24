"""The printed table of an evaluation, depending on what was compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from terrafine.cli.messages import say
from terrafine.cli.table import columns

if TYPE_CHECKING:
    from terrafine.workflows.evaluate import Evaluation

__all__ = ["print_evaluation"]

_ELEVATION = ("surface", "RMSE m", "MAE m", "NMAD m", "bias m", "slope RMSE °", "streams F1")
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


def print_evaluation(done: Evaluation) -> None:
    """Print the verdict, a row for each candidate, notes, gates, and the files of the report.

    Parameters
    ----------
    done
        The evaluation.
    """
    from terrafine.evaluation.gate import measured

    results = done.results
    rows_of = {"classes": _class_rows, "sample": _sample_rows, "image": _image_rows}
    header, rows = rows_of.get(results.get("kind", ""), _elevation_rows)(results)
    say(done.sentence)
    say(columns(header, rows))
    for note in results["notes"]:
        say(note)
    for gate in results.get("gates", []):
        state = "passed" if gate["passed"] else "FAILED"
        say(f"{state}  {gate['candidate']}: {gate['key']} {measured(gate['value'])}")
    if done.files:
        pages = [path for path in done.files if path.suffix != ".csv"]
        tables = len(done.files) - len(pages)
        say(f"{', '.join(map(str, pages))} and {tables} tables as CSV beside them")


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


def _elevation_rows(results: Mapping[str, Any]) -> Printed:
    rows = [_elevation_row(c["name"], c) for c in results["candidates"]]
    rows += [_elevation_row(name.replace("_", "-"), scores) for name, scores in results["baselines"].items()]
    return _ELEVATION, rows


def _elevation_row(name: str, scores: Mapping[str, Any]) -> tuple[str, ...]:
    heights = [scores["elevation"].get(key) for key in ("rmse", "mae", "nmad", "bias")]
    measures = (scores.get("terrain") or {}).get("measures") or {}
    numbers = (*heights, measures.get("slope", {}).get("rmse"), _streams(scores))
    return name, *map(_text, numbers)


def _streams(scores: Mapping[str, Any]) -> float | None:
    """F1 of the streams of the middle contributing area, within one cell."""
    rows = (scores.get("hydrology") or {}).get("streams") or []
    overlap = rows[len(rows) // 2]["overlap"] if rows else []
    return next((row["f1"] for row in overlap if row["tolerance_cells"] == 1), None)
