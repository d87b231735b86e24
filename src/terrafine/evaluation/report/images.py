"""The report of super-resolved images: one table, and a window of each beside the input and the truth."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terrafine.evaluation.metrics import Cell
from terrafine.evaluation.report.sheet import Picture, Section, sheet_texts
from terrafine.evaluation.report.tables import Table, display_name

__all__ = ["texts"]

_SIDE = 512


def texts(results: Mapping[str, Any], figures: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the files of the report.

    Parameters
    ----------
    results
        The results.
    figures
        The pictures, or None.

    Returns
    -------
    dict
        File name to text: index.html and a CSV for each table.
    """
    sections = [
        Section(
            "How good they are",
            "Reflectance; consistency is with the input, synthesis and correctness are opensr-test's.",
            (_table(results),),
        ),
        Section("What they look like", "One window, stretched as the truth is.", (), _pictures(results, figures or {})),
    ]
    return sheet_texts(results, "Super-resolved image, evaluated against a reference", sections)


def _table(results: Mapping[str, Any]) -> Table:
    found = [(c["name"], c) for c in results["candidates"]] + list(results["baselines"].items())
    consistency = ("reflectance", "block_mean", "block_mean_max", "spectral_angle_deg", "shift_px")
    correctness = ("improvement", "omission", "hallucination", "judged_share")
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            c["psnr"],
            c["ssim"],
            *(c["consistency"][key] for key in consistency),
            c["synthesis"],
            *(c["correctness"][key] for key in correctness),
        )
        for name, c in found
    ]
    columns = ("image", "psnr", "ssim", *consistency, "synthesis", *correctness)
    return Table("images", "Each image; the shift in cells of the input", columns, tuple(rows))


def _pictures(results: Mapping[str, Any], figures: Mapping[str, Any]) -> list[Picture]:
    if not figures:
        return []
    truth = np.asarray(figures["reference"])
    low, high = np.percentile(truth, [1, 99], axis=(1, 2))
    k, cell = int(results["settings"]["scale"]), results["settings"]["cell_m"]
    out = []
    for name in ("coarse", *(c["name"] for c in results["candidates"]), *results["baselines"], "reference"):
        image = np.asarray(figures[name])
        image = image.repeat(k, axis=1).repeat(k, axis=2) if name == "coarse" else image
        shown = "Input" if name == "coarse" else display_name(name)
        cut = image[:, :_SIDE, :_SIDE]
        high_m, wide_m = cut.shape[1] * cell[1], cut.shape[2] * cell[0]
        out.append(Picture(_png(cut, low, high), shown, f"{wide_m:.6g} / {high_m:.6g}", wide_m))
    return out


def _png(image: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    """The first three bands, each from `low` to `high`, as a PNG data URI; two bands as the first in grey."""
    bands = image[:3] if len(image) >= 3 else image[:1]
    scaled = (bands - low[: len(bands), None, None]) / np.maximum(high - low, 1e-9)[: len(bands), None, None]
    bytes_ = np.clip(scaled * 255 + 0.5, 0, 255).astype(np.uint8)
    picture = Image.fromarray(np.moveaxis(bytes_, 0, -1) if len(bytes_) == 3 else bytes_[0])
    out = io.BytesIO()
    picture.save(out, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")
