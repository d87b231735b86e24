"""The record of a comparison of images: the dictionary that becomes results.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from terrafine.evaluation.images.measures import GAMMA, QUANTILE, TEMPERATURE, Measured, psnr
from terrafine.evaluation.images.options import Options
from terrafine.evaluation.images.verdict import verdict
from terrafine.evaluation.inputs import PathLike
from terrafine.evaluation.results import FORMATS, finite
from terrafine.evaluation.surfaces import pixel_size, raster_record
from terrafine.raster.read.source import Source
from terrafine.version import __version__

__all__ = ["Inputs", "results", "summary"]


@dataclass(frozen=True)
class Inputs:
    """What was compared.

    Attributes
    ----------
    candidates, reference, coarse
        The files as they were named.
    opened, truth, low
        Their sources.
    bands
        Names of the bands.
    scale
        Fine cells per side of a coarse one.
    full_scale
        Number that stands for a reflectance of 1, by image.
    windows
        Number of windows in all.
    """

    candidates: Mapping[str, PathLike]
    opened: Mapping[str, Source]
    reference: PathLike
    truth: Source
    coarse: PathLike
    low: Source
    bands: Sequence[str]
    scale: int
    full_scale: Mapping[str, float]
    windows: int


def results(parts: Mapping[str, Sequence[Measured]], inputs: Inputs, options: Options) -> dict[str, Any]:
    """Return the content of results.json, candidates ranked by PSNR.

    Parameters
    ----------
    parts
        Measures of each window by name.
    inputs
        What was compared.
    options
        Options of the comparison.

    Returns
    -------
    dict
        The content.
    """
    named = inputs.candidates
    records = [{"name": n, "path": Path(named[n]).name} | summary(parts[n], options.peak) for n in named]
    records.sort(key=lambda r: (-float(r["psnr"] or np.inf), r["name"]))
    for rank, entry in enumerate(records, start=1):
        entry["rank"] = rank
    baselines = {name: summary(found, options.peak) for name, found in parts.items() if name not in named}
    size = pixel_size(inputs.opened[records[0]["name"]])
    return {
        "format": FORMATS["images"],
        "terrafine": __version__,
        "kind": "image",
        "reference": raster_record(inputs.reference, inputs.truth),
        "coarse": raster_record(inputs.coarse, inputs.low),
        "settings": {
            "bands": list(inputs.bands),
            "scale": inputs.scale,
            "cell_m": [size[1], size[0]],
            "full_scale": dict(inputs.full_scale),
            "peak": options.peak,
            "window_cells": options.window,
            "opensr_test": {"gamma": GAMMA, "temperature": TEMPERATURE, "threshold_quantile": QUANTILE},
        },
        "notes": [f"{len(next(iter(parts.values())))} of {inputs.windows} windows are whole and were compared."],
        "verdict": {"sentence": verdict(records[0], baselines)},
        "candidates": records,
        "baselines": baselines,
    }


def summary(parts: Sequence[Measured], peak: float) -> dict[str, Any]:
    """Return the measures of all windows together.

    Sums are divided by cells, shifts are averaged, and correctness is weighted by the cells compared.

    Parameters
    ----------
    parts
        Measures of each window.
    peak
        Largest value, for PSNR.

    Returns
    -------
    dict
        The record.
    """
    n, coarse = sum(p.n for p in parts), sum(p.coarse for p in parts)
    weighted = [(p.correctness, p.correctness[3] * p.n) for p in parts if p.correctness[3] > 0]
    weight = sum(w for _, w in weighted)
    shares = [sum(j[i] * w for j, w in weighted) / weight if weight else math.nan for i in range(3)]
    shifts = [p.shift_px for p in parts if p.shift_px is not None]
    angles = sum(p.angle_n for p in parts)
    return {
        "n": n,
        "psnr": finite(psnr(sum(p.squared for p in parts) / n, peak)),
        "ssim": finite(sum(p.similarity for p in parts) / sum(p.similarity_n for p in parts)),
        "consistency": {
            "reflectance": sum(p.reflectance for p in parts) / coarse,
            "block_mean": sum(p.kept for p in parts) / coarse,
            "block_mean_max": max(p.kept_max for p in parts),
            "spectral_angle_deg": sum(p.angle for p in parts) / angles if angles else None,
            "shift_px": sum(shifts) / len(shifts) if shifts else None,
        },
        "synthesis": sum(p.synthesis for p in parts) / n,
        "correctness": {
            "improvement": finite(shares[0]),
            "omission": finite(shares[1]),
            "hallucination": finite(shares[2]),
            "judged_share": weight / n,
        },
    }
