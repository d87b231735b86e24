"""Light: what a plane receives is known; the sun is found where it was put."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from terrafine.physics.shading import find_sun, shade_db


def hills(seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    f2 = np.fft.fftfreq(96)[:, None] ** 2 + np.fft.fftfreq(96)[None] ** 2
    z = np.fft.ifft2(np.fft.fft2(rng.normal(size=(96, 96))) * np.exp(-800 * f2)).real
    return torch.from_numpy(100 * z / z.std())


@pytest.mark.parametrize(("slope", "azimuth"), [(30.0, 90.0), (20.0, 180.0), (60.0, 45.0)])
def test_a_plane_gets_what_the_cosine_says(slope: float, azimuth: float) -> None:
    """A plane that falls toward the sun under `elevation` is met at 90° − elevation − slope from its normal."""
    y, x = torch.meshgrid(torch.arange(9).double(), torch.arange(9).double(), indexing="ij")
    rise, alpha = math.tan(math.radians(slope)), math.radians(azimuth)
    z = -rise * 30 * (x * math.sin(alpha) - y * math.cos(alpha))
    got = shade_db(z, torch.tensor([30.0, 30.0]), azimuth, 40.0, 0.2)
    light = math.cos(math.radians(90 - 40 - slope)) + 0.2
    assert got.numpy() == pytest.approx(10 * math.log10(light / (math.sin(math.radians(40)) + 0.2)), abs=1e-9)
    away = shade_db(-z, torch.tensor([30.0, 30.0]), azimuth, 20.0, 0.2)
    dark = max(math.cos(math.radians(90 - 20 + slope)), 0) + 0.2
    assert away.numpy() == pytest.approx(10 * math.log10(dark / (math.sin(math.radians(20)) + 0.2)), abs=1e-9)


@pytest.mark.parametrize("azimuth", [10.0, 135.0, 250.0])
def test_the_sun_is_found_where_it_was_put(azimuth: float) -> None:
    z, rng = hills(), np.random.default_rng(1)
    image = shade_db(z, torch.tensor([30.0, 30.0]), azimuth, 45.0) + torch.from_numpy(rng.normal(0, 0.5, (96, 96)))
    sun = find_sun(image, z, torch.tensor([30.0, 30.0]), torch.ones_like(z, dtype=torch.bool))
    assert abs((sun.azimuth - azimuth + 180) % 360 - 180) < 8
    assert sun.correlation > 0.5
    noise = torch.from_numpy(rng.normal(size=(96, 96)))
    assert find_sun(noise, z, torch.tensor([30.0, 30.0]), torch.ones_like(z, dtype=torch.bool)).correlation < 0.2


def test_light_follows_a_finite_difference() -> None:
    z = (hills()[:8, :8] * 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: shade_db(t, torch.tensor([30.0, 30.0]), 135.0, 45.0), z)


def test_what_cannot_be_meant_is_refused() -> None:
    size, flat = torch.tensor([30.0, 30.0]), torch.zeros(9, 9).double()
    with pytest.raises(ValueError, match="sun elevation"):
        shade_db(flat, size, 0.0, 0.0)
    with pytest.raises(ValueError, match="level ground"):
        find_sun(flat, flat, size, torch.ones(9, 9, dtype=torch.bool))
