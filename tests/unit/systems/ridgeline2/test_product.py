"""What Ridgeline 2 takes of a product, how its result is held to it, and how training draws products."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from terrafine.raster.products.model import SensorModel
from terrafine.systems.ridgeline2.network import ProductNet
from terrafine.systems.ridgeline2.product import LIMITS, conditions_of, noise_of, proximal_step
from terrafine.training.dem.products import ProductDegradation, ProductFamily

SRTM = SensorModel(0.6, 2.0, 4.0, 0.5, 1.0, exact=False)
EXACT = SensorModel(0.0, 0.0, 0.0, 0.0, 0.0, exact=True)


def sizes(*metres: float) -> torch.Tensor:
    """Square cells of each row, (1, 2, y, 1)."""
    return torch.tensor([[metres, metres]])[..., None]


def test_conditions_are_shares_of_the_cell_row_by_row() -> None:
    given = conditions_of(SRTM, sizes(20.0, 40.0))[0, :, :, 0]
    expected = [[0.6, 0.6], [2.6 / 20, 2.6 / 40], [0.5, 0.5], [0.6, 0.6], [0.05, 0.025], [0.0, 0.0]]
    np.testing.assert_allclose(given, expected, rtol=1e-6)


def test_a_product_outside_the_range_of_training_is_told_as_the_nearest_inside() -> None:
    coarse = SensorModel(3.0, 900.0, 1e9, 7.0, 500.0, exact=False)
    given = conditions_of(coarse, sizes(30.0))[0, :5, 0, 0].tolist()
    assert given == pytest.approx([high for _, high in LIMITS.values()])


def test_noise_on_slopes_alone_grows_as_much_as_can_be_told() -> None:
    given = conditions_of(SensorModel(0.3, 0.0, 2.0, 0.5, 0.0, exact=False), sizes(30.0))[0, :, 0, 0]
    assert given[1].item() == pytest.approx(0.15 * 2.0 / 30)
    assert given[3].item() == LIMITS["noise_growth"][1]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_an_exact_product_keeps_its_cell_means_and_a_sensor_need_not(scale: int) -> None:
    torch.manual_seed(1)
    net = ProductNet(scale, channels=8, blocks=1)
    heights = torch.randn(1, 1, 12, 12).cumsum(2).cumsum(3) * 10
    pixel = sizes(*[30.0] * 12)
    kept, *_ = net(heights, pixel, conditions_of(EXACT, pixel), scale)
    moved, *_ = net(heights, pixel, conditions_of(SRTM, pixel), scale)
    assert kept.mean(dim=1).abs().max() < 1e-4
    assert moved.mean(dim=1).abs().max() > 1e-2


def test_a_thousand_metres_more_in_is_a_thousand_metres_more_out() -> None:
    torch.manual_seed(1)
    net = ProductNet(4, channels=8, blocks=1)
    heights, pixel = torch.randn(1, 1, 12, 12), sizes(*[30.0] * 12)
    given = conditions_of(SRTM, pixel)
    assert torch.allclose(net(heights, pixel, given)[0], net(heights + 1024, pixel, given)[0], atol=1e-3)


def test_what_the_noise_explains_stays_and_the_excess_is_subtracted() -> None:
    flat, pixel = torch.zeros(1, 1, 9, 9), sizes(*[30.0] * 9)
    sensor = SensorModel(0.0, 1.0, 0.0, 0.5, 0.0, exact=False)
    relief = torch.zeros(1, 4, 9, 9)
    relief[:, :, 2, 2], relief[:, :, 6, 6] = 2.5, 5.0
    held = proximal_step(relief, flat, noise_of(flat, pixel, sensor), sensor.psf_cells, 2)
    assert torch.equal(held[..., 2, 2], relief[..., 2, 2])
    assert torch.allclose(held[..., 6, 6], torch.tensor(3.0))


def test_noise_of_training_is_that_of_the_sensor_model() -> None:
    rng = np.random.default_rng(3)
    slope, cell, k = 0.4, 30.0, 2
    rows = np.arange(80 * k) * cell / k * slope
    fine = torch.from_numpy(np.repeat(rows[:, None], 80 * k, axis=1))
    sensor = SensorModel(0.0, 1.0, 5.0, 0.0, 0.0, exact=False)
    given = conditions_of(sensor, sizes(cell))[0, :, 0, 0].tolist()
    drawn = ProductDegradation(given[0], given[1], given[2], given[3], 0.0, exact=False)
    clean = ProductDegradation()(fine, k, rng, (cell, cell))
    noise = drawn(fine, k, rng, (cell, cell)) - clean
    assert noise.std() == pytest.approx(sensor.noise_m(slope), rel=0.05)
    assert drawn.conditions((cell, cell)) == pytest.approx(given)


def test_point_spread_and_rounding_of_training_are_those_that_are_told() -> None:
    rng = np.random.default_rng(3)
    k, n = 3, 40
    fine = torch.zeros((n * k, n * k), dtype=torch.float64)
    fine[n * k // 2, n * k // 2] = 9 * k * k
    blurred = ProductDegradation(psf_cells=0.6, exact=False)(fine, k, rng, (30.0, 30.0)).numpy()
    rows = np.arange(len(blurred))[:, None] * np.ones_like(blurred)
    variance = (blurred * rows**2).sum() / blurred.sum() - ((blurred * rows).sum() / blurred.sum()) ** 2
    inside_cell = (1 / 3) ** 2 * 2 / 3  # the impulse is the mean of one of three fine cells
    assert math.sqrt(variance) == pytest.approx(0.6, abs=inside_cell)
    fine = torch.from_numpy(rng.normal(size=(60, 60)))
    stepped = ProductDegradation(rounding_m=0.25, exact=False)(fine, 3, rng, (30.0, 30.0))
    assert torch.equal(stepped * 4, torch.round(stepped * 4))


def test_products_are_drawn_in_the_shares_and_ranges_that_are_stated() -> None:
    rng = np.random.default_rng(5)
    drawn = [ProductFamily().draw(rng) for _ in range(2_000)]
    noisy = [p for p in drawn if not p.exact]
    assert len(noisy) / len(drawn) == pytest.approx(0.65, abs=0.04)
    assert np.mean([p.noise_share == 0 for p in noisy]) == pytest.approx(0.15, abs=0.04)
    levels = [p.noise_share for p in noisy if p.noise_share]
    assert min(levels) >= 0.002
    assert max(levels) <= 0.2
    assert np.median(levels) == pytest.approx(0.02, rel=0.25)
    assert {p.rounding_m for p in noisy} == {0.0, 0.25, 1.0}
