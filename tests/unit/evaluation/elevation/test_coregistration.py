from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import ndimage
from tests.support.surfaces import terrain

from terrafine.errors import MissingExtraError
from terrafine.evaluation.elevation.coregistration import Shift, estimate_shift


def laid(z: np.ndarray, south: float, east: float, up: float) -> np.ndarray:
    """The periodic surface moved by fractions of a cell."""
    return np.fft.ifft2(ndimage.fourier_shift(np.fft.fft2(z), (south, east))).real + up


@pytest.mark.parametrize(("south", "east", "up"), [(0.4, 1.3, 2.0), (-0.5, 0.0, -30.0), (0.0, 0.0, 0.0)])
def test_the_shift_that_takes_a_moved_copy_back_is_found_in_metres(south: float, east: float, up: float) -> None:
    z = terrain(256, rough=2.2)
    shift = estimate_shift(z, laid(z, south, east, up), (30.0, 20.0))
    assert shift is not None
    assert shift.east == pytest.approx(-east * 20, abs=0.05 * 20)
    assert shift.north == pytest.approx(south * 30, abs=0.05 * 30)
    assert shift.up == pytest.approx(-up, abs=0.1)
    assert shift.cells((30.0, 20.0)) == pytest.approx((-south, -east), abs=0.05)


def test_voids_and_noise_do_not_mislead() -> None:
    z = terrain(256, rough=2.2)
    moved = laid(z, 0.3, -0.7, 0.0) + np.random.default_rng(0).normal(0, 1, z.shape)
    moved[100:150, 20:90] = np.nan
    shift = estimate_shift(z, moved, (30.0, 30.0))
    assert shift is not None
    assert shift.cells((30.0, 30.0)) == pytest.approx((-0.3, 0.7), abs=0.05)


def test_a_flat_or_nearly_void_surface_tells_no_shift() -> None:
    flat = np.full((64, 64), 12.0)
    assert estimate_shift(flat, flat, (30.0, 30.0)) is None
    empty = np.full((64, 64), np.nan)
    empty[:5] = 3.0
    assert estimate_shift(empty, empty, (30.0, 30.0)) is None


def test_without_xdem_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xdem.coreg", None)
    with pytest.raises(MissingExtraError, match=r"terrafine\[evaluate\]"):
        estimate_shift(np.eye(4), np.eye(4), (1.0, 1.0))


def test_a_record_is_rounded_to_a_tenth_of_a_millimetre() -> None:
    assert Shift(1.23456, -2.0, 0.00004).record() == {"x": 1.2346, "y": -2.0, "z": 0.0}
