"""The half-pixel slips and the unseen degradations of the benchmarks do what their names say."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.surfaces import cells, terrain

from benchmarks import common
from benchmarks.dem import cross_source, jiao2020


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize(
    ("name", "slip"), [("in register", 0.0), ("corner for centre", None), ("half a coarse cell", 0.5)]
)
def test_a_slip_moves_a_ramp_by_its_name(k: int, name: str, slip: float | None) -> None:
    y, x = np.mgrid[0 : 24 * k, 0 : 24 * k].astype(float)
    coarse = common.block_mean(3 * x - 2 * y, k)
    fine, _ = jiao2020.slips(k)[name](coarse, cells(24))
    moved = k * ((k - 1) / (2 * k) if slip is None else slip)  # fine cells south and east
    inner = np.s_[4 * k : -4 * k, 4 * k : -4 * k]
    np.testing.assert_allclose(fine[inner], (3 * (x + moved) - 2 * (y + moved))[inner], atol=1e-9)


def test_a_slip_costs_what_no_kernel_does() -> None:
    z = terrain(256, rough=2.2)
    found = jiao2020.half_pixel([common.Dem("z", z, np.ones(z.shape, bool), cells(256))], 4)
    assert found["in register"]["inflation"] == 1.0
    assert found["in register"]["rmse"] < found["half a fine cell"]["rmse"] < found["corner for centre"]["rmse"]
    assert found["corner for centre"]["inflation"] > 1.5


def test_the_scores_of_the_paper_have_known_answers() -> None:
    z = terrain(64)
    image = common.Dem("z", z, np.ones(z.shape, bool), cells(64))
    scores = jiao2020.paper_scores([(z + 2.0, image)])
    assert scores["psnr"] == pytest.approx(20 * np.log10(np.ptp(z) / 2.0))
    assert (scores["mae"], scores["rmse"]) == pytest.approx((2.0, 2.0))
    assert scores["min"] == pytest.approx(z.min() + 2.0)
    assert scores["valleys_f1"] == 1.0
    rough = jiao2020.paper_scores([(z + np.random.default_rng(0).normal(0, 9, z.shape), image)])
    assert rough["valleys_f1"] < scores["valleys_f1"]
    assert rough["psnr"] < scores["psnr"]


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.2, -0.15)])
def test_the_turned_spread_keeps_a_ramp_and_moves_it_by_its_shift(shift: tuple[float, float]) -> None:
    k = 4
    y, x = np.mgrid[0 : 24 * k, 0 : 24 * k].astype(float)
    dem = common.Dem("ramp", 3 * x - 2 * y, np.ones(x.shape, bool), cells(24 * k))
    plain = common.coarse_of(dem, k)[0].astype(float)
    found = cross_source.turned_spread(dem, k, shift)
    # The weights are cut at 3.5 cells, which moves their mean by less than a thousandth of a cell.
    np.testing.assert_allclose((found - plain)[4:-4, 4:-4], k * (3 * shift[1] - 2 * shift[0]), atol=0.02)


def test_the_spread_is_not_round_and_the_noise_not_white() -> None:
    weights = cross_source.point_spread(4)
    assert weights.sum() == pytest.approx(1.0)
    assert np.abs(weights - weights[:, ::-1]).max() > 0.1 * weights.max()
    z = terrain(512)
    dem = common.Dem("noise", z, np.ones(z.shape, bool), cells(512))
    field = cross_source.noise(dem, 4)
    assert field.std() == pytest.approx(0.01 * 120 * np.hypot(1, 1 / 3), rel=0.15)
    assert np.corrcoef(field[:, :-1].ravel(), field[:, 1:].ravel())[0, 1] > 0.7
    np.testing.assert_array_equal(field, cross_source.noise(dem, 4))
