"""The reports of class maps and images: legends, scale bars, names and settings as a reader expects them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from terrafine.evaluation.report import classes, images
from terrafine.evaluation.report.document import setting_rows
from terrafine.evaluation.report.svg import decimal, number
from terrafine.evaluation.report.tables import Table, to_csv, to_html
from terrafine.evaluation.results import FORMATS

INTERVALS = {key: [0.1, 0.2] for key in ("precision", "recall", "f1", "iou", "area_bias", "overall_accuracy", "kappa")}


def class_results(*names: str, values: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
    """An evaluation of one class map named "town-1_a"."""
    rows = [
        {"value": v, "name": n, "precision": 0.5, "recall": 0.5, "f1": 0.5, "iou": 0.4, "area_bias": -6.12e-4}
        | {"boundary_iou": {"2": None}, "intervals": INTERVALS}
        for v, n in zip(values, names, strict=True)
    ]
    one = {
        "name": "town-1_a",
        "n": 100,
        "score": 0.5,
        "score_interval": [0.4, 0.6],
        "overall_accuracy": 0.9,
        "kappa": 0.8,
        "intervals": INTERVALS,
        "classes": rows,
        "confusion": {"cells": [[1] * len(values)] * len(values)},
        "by_region": [],
    }
    return {
        "format": FORMATS["classes"],
        "kind": "classes",
        "reference": {
            "path": "truth.tif",
            "width": 96,
            "height": 48,
            "crs": "EPSG:32633",
            "pixel_size_m": [10.0, 20.0],
        },
        "settings": {
            "classes": [{"value": v, "name": n} for v, n in zip(values, names, strict=True)],
            "boundary_distances_m": [2.0],
            "masks": ["water_a.tif", "ice-b.tif"],
            "seed": 0,
        },
        "verdict": {"sentence": "town-1_a: good."},
        "candidates": [one],
    }


def pictures(shape: tuple[int, int] = (24, 48)) -> dict[str, Any]:
    share = np.linspace(0, 1, shape[0] * shape[1]).reshape(shape)
    return {"reference": share, "factor": 2, "candidates": {"town-1_a": (share**2, share)}}


def test_maps_of_two_classes_have_a_legend_and_a_scale_bar() -> None:
    page = classes.texts(class_results("other", "impervious"), pictures())["index.html"]
    assert page.count('class="ramp') == 2
    for words in ("no impervious", "all impervious", "too little impervious", "too much impervious", "not compared"):
        assert words in page
    bars = re.findall(r'<span class="bar"[^>]*width:calc\(([0-9.]+)% [^>]*>([^<]+)<', page)
    assert len(bars) == 3, "one on each map"
    # 48 blocks of 2 cells of 10 m are 960 m; 200 m of them are 20.83 %.
    assert set(bars) == {("20.83", "200 m")}


def test_maps_of_more_classes_show_where_they_agree_with_a_legend() -> None:
    page = classes.texts(class_results("a", "b", "c", values=(1, 2, 3)), pictures())["index.html"]
    assert "no cell agrees" in page
    assert "all agree" in page
    assert page.count('class="bar"') == 1
    assert "too little" not in page


def test_settings_are_words_and_never_json() -> None:
    page = classes.texts(class_results("other", "impervious"), None)["index.html"]
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    assert not re.search(r"[\[\]{}]|&quot;", body)
    assert "0 = other, 1 = impervious" in body
    assert "water_a.tif, ice-b.tif" in body


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"a_b": {"gamma": 0.05, "threshold_quantile": 0.75}}, "gamma 0.05, threshold quantile 0.75"),
        ({"full_scale": {"s-r_1": 10000.0}}, "s-r_1 10\u202f000"),
        ({"x": True}, "yes"),
        ({"x": [1, 2.5]}, "1, 2.5"),
        ({"x": [{"value": 3, "name": "3"}]}, "3"),
    ],
)
def test_a_setting_reads_as_text(settings: dict[str, Any], text: str) -> None:
    assert setting_rows(settings)[0][1] == text


def test_names_stay_as_they_were_given() -> None:
    texts = classes.texts(class_results("low_m", "bicubic-x_km2"), pictures())
    page = texts["index.html"]
    assert '<th scope="col">low_m</th><th scope="col">bicubic-x_km2</th>' in page
    assert '<th scope="row">low_m</th>' in page
    assert page.count("town-1_a") > 5
    assert "town 1" not in page
    assert "town_1" not in page
    assert texts["confusion_1.csv"].splitlines()[0] == "predicted,low_m,bicubic-x_km2"


def test_small_numbers_of_tables_are_plain_decimals() -> None:
    assert decimal(-6.12e-4) == "\u22120.00061"
    assert decimal(6.126e-4) == "0.00061"
    assert decimal(1e-9) == decimal(-1e-9) == "0"
    assert decimal(1.234) == "1.23"
    assert decimal(12345.6) == "12\u202f346"
    assert decimal(7) == "7"
    assert decimal(None) == "\u2013"
    assert number(-6.12e-4) == "\u22120.000612"
    page = classes.texts(class_results("other", "impervious"), None)["index.html"]
    assert "\u22120.00061" in page
    assert not re.search(r"\de[\u2212-]?\d", re.sub(r"<style>.*?</style>", "", page, flags=re.S))


def test_every_table_has_a_csv_with_the_numbers_in_full() -> None:
    table = Table("t", "c", ("surface", "bias"), (("a", -6.123456789e-4),))
    assert "-0.0006123456789" in to_csv(table)
    assert "\u22120.00061" in to_html(table)


def test_images_have_a_scale_bar() -> None:
    one = {
        "name": "s-r",
        "psnr": 30.0,
        "ssim": 0.9,
        "consistency": dict.fromkeys(
            ("reflectance", "block_mean", "block_mean_max", "spectral_angle_deg", "shift_px"), 6.12e-4
        ),
        "synthesis": 0.1,
        "correctness": dict.fromkeys(("improvement", "omission", "hallucination", "judged_share"), 0.2),
    }
    found = {
        "format": FORMATS["images"],
        "reference": {"path": "t.tif", "width": 64, "height": 64, "pixel_size_m": [2.5, 2.5]},
        "settings": {"scale": 4, "cell_m": [2.5, 2.5], "opensr_test": {"gamma": 0.05}},
        "verdict": {"sentence": "good"},
        "candidates": [one],
        "baselines": {"back_projected": one},
    }
    drawn = {
        "coarse": np.ones((3, 16, 16)),
        **{n: np.ones((3, 64, 64)) for n in ("s-r", "back_projected", "reference")},
    }
    page = images.texts(found, drawn)["index.html"]
    assert page.count('class="bar"') == 4
    assert ">50 m<" in page
    assert "Back-projected bicubic" in page
    assert not re.search(r"[{}]|&quot;", re.sub(r"<style>.*?</style>", "", page, flags=re.S))
