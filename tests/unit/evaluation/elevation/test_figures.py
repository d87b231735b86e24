from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from terrafine.evaluation.elevation.figures import draw
from terrafine.evaluation.overview import Overview


def group(z: np.ndarray, surface: np.ndarray, size: tuple[float, float], max_side: int) -> Any:
    """A compared group of one candidate "a", as far as pictures are taken from it."""
    view = Overview(z.shape, max_side)
    view.add("reference", z, (0, 0))
    view.add("a", surface, (0, 0))

    def read(rows: slice, cols: slice) -> tuple[list[np.ndarray], dict[Any, np.ndarray]]:
        return [surface[rows, cols]], {(0.0, 0.0): z[rows, cols]}

    def shown(surfaces: Any, references: Any) -> dict[str, np.ndarray]:
        return {"reference": references[0.0, 0.0], "a": surfaces[0]}

    return SimpleNamespace(
        overview=view, surfaces=[SimpleNamespace(name="a")], drainage=None, size=size, read=read, shown=shown
    )


def test_large_surfaces_are_averaged_and_a_detail_is_cut() -> None:
    z = np.zeros((700, 900))
    z[500:600, 700:800] = np.random.default_rng(0).normal(size=(100, 100)) * 50
    made = draw(group(z, z + 1, (3.0, 2.0), 300))
    assert made is not None
    assert made.overview.reference.shape == (233, 300)
    assert made.overview.pixel_size_m == (6.0, 9.0)
    assert made.detail is not None
    assert made.detail.pixel_size_m == (2.0, 3.0)
    assert np.abs(made.detail.reference).max() > 50, "the detail shows the ground with the most relief"
    assert np.nanmean(made.overview.surfaces["a"] - made.overview.reference) == pytest.approx(1.0)
    left, top, right, bottom = made.detail_box or (0, 0, 0, 0)
    assert 0 <= left < 700 / 900 < right <= 1
    assert 0 <= top < 550 / 700 < bottom <= 1
