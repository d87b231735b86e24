"""A planted offset is found to a quarter of a cell in noise; where there is nothing to find, prominence says so."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from terrafine.errors import EmptyError, UsageError
from terrafine.raster.warp.registration import estimate_offset


def scene(seed: int = 0, side: int = 200) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 2.5)
    return field / field.std()


@pytest.mark.parametrize("planted", [(0.0, 0.0), (0.3, -0.4), (1.25, 2.6), (-3.0, 3.0), (2.5, -1.5)])
@pytest.mark.parametrize("noise", [0.0, 1.5])
def test_a_planted_offset_is_found(planted: tuple[float, float], noise: float) -> None:
    model = scene()
    guide = 0.6 * shift(model, planted, order=3, mode="nearest") + noise * np.random.default_rng(1).normal(
        size=model.shape
    )
    valid = np.ones(model.shape, bool)
    valid[60:75, 40:120] = False
    guide[~valid] = 1e6
    found = estimate_offset(guide, model, valid)
    assert (found.dy, found.dx) == pytest.approx(planted, abs=0.25)
    assert found.trusted


@pytest.mark.parametrize("seed", range(5))
def test_a_stranger_is_not_trusted(seed: int) -> None:
    found = estimate_offset(scene(seed + 10), scene(seed + 50), np.ones((200, 200), bool))
    assert not found.trusted
    assert abs(found.dy) <= 4.5
    assert abs(found.dx) <= 4.5


def test_a_negative_is_no_match() -> None:
    found = estimate_offset(-scene(), scene(), np.ones((200, 200), bool))
    assert found.correlation < 0.5


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(EmptyError, match="400 valid cells"):
        estimate_offset(scene(), scene(), np.zeros((200, 200), bool))
    with pytest.raises(UsageError, match="one grid"):
        estimate_offset(scene(), scene(side=100), np.ones((200, 200), bool))
    with pytest.raises(UsageError, match="reach"):
        estimate_offset(scene(), scene(), np.ones((200, 200), bool), reach=0)
