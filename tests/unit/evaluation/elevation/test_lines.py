from __future__ import annotations

import numpy as np
from tests.support.surfaces import terrain

from terrafine.evaluation.elevation.lines import LINE_HALO, LineStats, ridges, valleys


def roof(side: int = 31) -> np.ndarray:
    """Slopes that meet in column 15, which falls gently along the rows: a ridge upside up, a valley upside down."""
    y, x = np.mgrid[0:side, 0:side].astype(float)
    return -2.0 * np.abs(x - 15) - 0.3 * y


def test_the_crest_of_a_roof_is_its_ridge_and_upside_down_its_valley() -> None:
    line, told = ridges(roof())
    assert line[3:-3, 15].all()
    assert not line[3:-3, 3:14].any()
    assert not line[3:-3, 17:28].any()
    assert told[2:-2, 2:-2].all()
    upside_down, _ = valleys(-roof())
    np.testing.assert_array_equal(upside_down, line)
    assert not valleys(roof())[0][3:-3, 3:-3].any()


def test_a_flat_and_a_plane_have_no_lines() -> None:
    y, x = np.mgrid[0:20, 0:20].astype(float)
    for z in (np.full((20, 20), 7.3), 2 * x + 0.5 * y):
        assert not valleys(z)[0][3:-3, 3:-3].any()
        assert not ridges(z)[0][3:-3, 3:-3].any()


def test_a_void_leaves_its_surroundings_untold() -> None:
    z = roof()
    z[10, 15] = np.nan
    line, told = ridges(z)
    assert not told[8:13, 13:18].any()
    assert told[7, 15]
    assert not (line & ~told).any()


def stats(c: np.ndarray, r: np.ndarray, tolerance: int = 1) -> dict:
    inner = np.s_[LINE_HALO:-LINE_HALO, LINE_HALO:-LINE_HALO]
    return LineStats(tolerance=tolerance).add(valleys(c), valleys(r), inner).summary()


def test_a_copy_agrees_and_noise_disagrees() -> None:
    z = terrain(rough=2.0)
    same = stats(z, z)
    assert same["precision"] == same["recall"] == same["f1"] == 1.0
    noisy = stats(z + np.random.default_rng(0).normal(0, 20, z.shape), z, tolerance=0)
    assert noisy["f1"] < 0.8


def test_the_tolerance_forgives_one_cell_and_not_three() -> None:
    z = -roof()
    assert stats(np.roll(z, 1, axis=1), z)["f1"] == 1.0
    assert stats(np.roll(z, 3, axis=1), z)["f1"] == 0.0


def test_blocks_with_a_halo_add_up_to_the_whole() -> None:
    z = terrain(64)
    c = z + np.random.default_rng(1).normal(0, 3, z.shape)
    h = LINE_HALO
    whole = LineStats().add(ridges(c), ridges(z), np.s_[h:-h, h:-h])
    parts = LineStats()
    for a, b in ((h, 30), (30, 64 - h)):
        rows = np.s_[a - h : b + h]
        parts = parts.merge(LineStats().add(ridges(c[rows]), ridges(z[rows]), np.s_[h:-h, h:-h]))
    assert parts == whole
    assert whole.candidate > 50


def test_no_line_no_score() -> None:
    assert LineStats().summary()["f1"] is None
