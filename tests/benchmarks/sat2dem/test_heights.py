"""The benchmark of heights from images: its baselines are what they say, its anchor keeps means, its checks see."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sat2dem import heights


def area(rows: int = 200, cols: int = 260) -> object:
    y, x = np.indices((rows, cols))
    z = 900 + 40 * np.sin(y / 6.0) * np.cos(x / 5.0) + 0.7 * y - 0.2 * x
    return heights.Area("here", np.zeros((3, rows, cols), np.float32), z, np.ones(z.shape, bool))


def test_a_perfect_relief_has_no_error_where_its_mean_is_known() -> None:
    here = area()
    rows = heights.shift_scores(here, here.z + 123.0, 64, 50.0)
    assert rows["relief, mean known"]["mae"] < 1e-3
    assert rows["relief above its own lowest cell"]["mae"] < 1e-3
    assert rows["tile mean"]["r2"] == pytest.approx(0.0, abs=1e-5)
    assert 0 < rows["plane fit"]["mae"] < rows["tile mean"]["mae"]
    assert rows["constant"]["mae"] > 5


def test_anchored_methods_come_in_the_order_of_what_they_know() -> None:
    here = area()
    rows = heights.anchored_scores(here, here.z - 500, 300)
    errors = [rows[n]["rmse"] for n in ("coarse DEM", "back-projected bicubic", "image on the coarse DEM")]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-2
    nothing = heights.anchored_scores(here, np.zeros_like(here.z), 300)
    assert nothing["image on the coarse DEM"]["rmse"] == pytest.approx(errors[1], rel=0.05)


def test_a_checkerboard_is_seen_and_smooth_ground_has_none() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 200)).cumsum(0).cumsum(1)
    printed = z + 30 * (np.indices(z.shape)[1] % 4 == 0)
    assert heights.checkerboard(z, 4) < 0.05
    assert heights.checkerboard(printed, 4) > 0.2


def test_ground_without_relief_is_no_better_than_its_mean_when_turned() -> None:
    here = area()
    seen = []

    def made(model: object, image: np.ndarray) -> np.ndarray:
        seen.append(image.shape)
        return here.z if image.shape == (3, 200, 260) else np.zeros(image.shape[1:])

    original, heights.relief_of = heights.relief_of, made
    try:
        straight, across = (heights.turned(None, here, q, 300) for q in (0, 1))
    finally:
        heights.relief_of = original
    assert straight["r2_band"] > 0.999
    assert seen == [(3, 200, 260), (3, 260, 200)]
    assert across["r2_band"] == pytest.approx(0.0, abs=0.01)
