"""Results and pictures of an evaluation with every part, for tests of the report."""

from __future__ import annotations

from typing import Any

import numpy as np

from terrafine.evaluation.report import FORMATS, Figures, Results, Window

NAME = "fine <b>&\"'</b>"


def elevation(rmse: float) -> dict[str, Any]:
    """Plausible statistics around one RMSE."""
    return {
        "n": 9000,
        "bias": -0.01,
        "median": 0.0,
        "mae": rmse * 0.7,
        "rmse": rmse,
        "nmad": rmse * 0.6,
        "sd": rmse,
        "le90": rmse * 1.6,
        "le95": rmse * 2,
        "psnr": 40.0,
        "histogram": {"edges_m": [-2.0, -1.0, 0.0, 1.0, 2.0], "counts": [1, 4, 5, 2], "below": 0, "above": 1},
        "intervals": {"rmse": [rmse * 0.9, rmse * 1.1]},
    }


def scores(rmse: float) -> dict[str, Any]:
    """Every part that a surface may have."""
    strata = [{"label": "0–2°", "lower": 0.0, "upper": 2.0, **elevation(rmse / 2)}]
    strata.append({"label": "2–5°", "lower": 2.0, "upper": 5.0, **elevation(rmse)})
    overlap = [{"tolerance_cells": t, "precision": 0.5, "recall": 0.5, "f1": 0.5 + t / 10} for t in (0, 1, 2)]
    return {
        "elevation": elevation(rmse),
        "by_slope": strata,
        "terrain": {"method": "horn", "measures": {"slope": {"unit": "°", "rmse": 1.0, "bias": 0.0, "fuv": 0.1}}},
        "spectrum": {
            "wavelength_m": [1000.0, 500.0, 100.0],
            "power_reference": [9.0, 3.0, 1.0],
            "power_candidate": [9.0, 2.0, 0.1],
            "ratio": [1.0, 0.66, 0.1],
            "coherence": [1.0, 0.7, None],
            "effective_resolution_m": 300.0,
            "invented_fraction": 0.4,
        },
        "consistency": {"n": 100, "bias": 0.0, "rmse": 0.1, "max_abs": 0.5, "within": 0.9, "tolerance_m": 0.01},
        "uncertainty": {"n": 100, "coverage_68": 0.6, "reliability": [{"nominal": 0.5, "observed": 0.4}]},
        "hydrology": {
            "d8": {"n": 9, "agreement": 0.5, "within_45": 0.8, "mean_angle_deg": 30.0},
            "streams": [{"area_km2": 0.1, "overlap": overlap, "offset_mean_m": 20.0, "offset_hd95_m": 90.0}],
            "flood": [{"stage_m": 1.0, "csi": 0.7}],
        },
    }


def results() -> Results:
    """Two candidates, both baselines."""
    verdict = {"sentence": f"{NAME} is better than interpolation: 20 % less RMSE.", "better": True}
    return {  # type: ignore[return-value]
        "format": FORMATS["elevation"],
        "terrafine": "0.1.0",
        "reference": {
            "path": "dir/lidar.tif",
            "width": 90,
            "height": 100,
            "crs": "EPSG:32632",
            "pixel_size_m": [10, 12],
        },
        "settings": {"seed": 0},
        "notes": ["No <mask> was given."],
        "verdict": verdict,
        "candidates": [
            {"name": NAME, "path": "fine.tif", "rank": 1, "verdict": verdict, **scores(0.8)},
            {"name": "other", "path": "other.tif", "rank": 2, "verdict": verdict, **scores(1.1)},
        ],
        "baselines": {"bicubic": scores(1.2), "back_projected": scores(1.0)},
    }


def figures(rows: int = 100, cols: int = 90) -> Figures:
    """A hill with a void, and surfaces that miss it by a metre."""
    y, x = np.mgrid[:rows, :cols].astype(np.float64)
    hill = 300 + 80 * np.exp(-((y - rows / 2) ** 2 + (x - cols / 2) ** 2) / 400)
    hill[:4, :4] = np.nan
    surfaces = {name: hill + np.sin(x / k) for k, name in enumerate((NAME, "other", "bicubic", "back_projected"), 2)}
    streams = {name: np.eye(rows, cols, dtype=bool) for name in ("reference", NAME, "bicubic")}
    return Figures(Window("Whole extent", (10.0, 12.0), hill, surfaces, streams, 0.1))
