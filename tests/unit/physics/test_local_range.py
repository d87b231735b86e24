"""Back-projection leaves rings around a bright roof; the limits take them away and stay near the observation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from terrafine.physics.local_range import local_range, without_rings
from terrafine.physics.sensor_model import Sensor, back_project, downsample, simulate

K, GROUND, ROOF = 10, 0.08, 0.45


def roof_and_edge() -> np.ndarray:
    """A flat roof of 55 × 105 m and a straight edge, at 1 m, (1, y, x)."""
    fine = np.full((1, 300, 300), GROUND, np.float32)
    fine[:, 100:155, 80:185] = ROOF
    fine[:, 230:] = 0.2
    return fine


def seen(fine: np.ndarray, mtf: float) -> torch.Tensor:
    return torch.from_numpy(simulate(fine, K, Sensor(mtf, 0.0, 0.0), np.random.default_rng(0)))[None]


@pytest.mark.parametrize("mtf", [0.12, 0.2, 0.3])
def test_rings_around_a_flat_roof_and_along_an_edge_vanish(mtf: float) -> None:
    fine = roof_and_edge()
    coarse = seen(fine, mtf)
    smooth = functional.interpolate(coarse, scale_factor=K, mode="bilinear")
    rings = back_project(smooth, coarse, K, mtf=0.2, rounds=20)
    made = without_rings(rings, coarse, K, mtf=0.2, margin=0.05)
    allowed = 0.05 * (ROOF - GROUND) + 1e-3
    assert float(rings.min()) < GROUND - allowed  # so the test can fail
    assert float(made.min()) >= GROUND - allowed
    assert float(made.max()) <= ROOF + allowed
    truth = torch.from_numpy(fine)[None]
    assert float((made - truth).square().mean()) < float((rings - truth).square().mean())


def test_the_observation_stays_close() -> None:
    coarse = seen(roof_and_edge(), 0.2)
    smooth = functional.interpolate(coarse, scale_factor=K, mode="bilinear")
    made = without_rings(smooth, coarse, K, mtf=0.2, margin=0.05)
    before, after = (float((downsample(image, K, 0.2) - coarse).abs().mean()) for image in (smooth, made))
    assert after < 0.5 * before


def test_a_flat_field_stays_flat_and_the_range_is_that_of_the_neighbours() -> None:
    flat = torch.full((1, 2, 8, 8), 0.3)
    made = without_rings(torch.full((1, 2, 80, 80), 0.3), flat, K, mtf=0.2, margin=0.05)
    assert float((made - 0.3).abs().max()) < 1e-6
    coarse = torch.zeros(1, 1, 5, 5)
    coarse[..., 2, 2] = 1.0
    low, high = local_range(coarse, 2, 0.1)
    assert float(high[0, 0, 5, 5]) == pytest.approx(1.1)
    assert float(low[0, 0, 5, 5]) == pytest.approx(-0.1)
    assert float(high[0, 0, 0, 0]) == 0.0
