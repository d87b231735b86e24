"""No input and no product makes the shipped network's features grow: its result stays of the size of the terrain."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from terrafine.nn.weights import load
from terrafine.raster.products.model import SensorModel
from terrafine.systems import find_model, find_system
from terrafine.systems.ridgeline2.network import ProductNet
from terrafine.systems.ridgeline2.product import conditions_of

SIDE = 48


def surfaces() -> dict[str, np.ndarray]:
    """Ground that training hardly held: flat sea, a cliff, one spike, steps, and very rough and very steep ground."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    spike = np.full((SIDE, SIDE), 5.0)
    spike[20, 20] = 3000
    return {
        "sea": np.full((SIDE, SIDE), 13.0),
        "coast": np.where(x > 24, 20 * np.sin(y / 5) + x, 0.0),
        "cliff": np.where(x > y, 1500.0, 0.0),
        "spike": spike,
        "steps": np.round((x + y) / 9),
        "rough": rng.normal(0, 40, (SIDE, SIDE)),
        "steep": 90 * x + 40 * np.sin(y),
    }


@pytest.fixture(scope="module")
def network() -> ProductNet:
    ref = find_model("ridgeline2", 4)
    assert ref.path is not None
    spec, tensors = load(ref.path)
    build = find_system("ridgeline2").build
    assert build is not None
    made = build(spec.network, 4)
    made.load_state_dict(tensors)
    assert isinstance(made, ProductNet)
    return made.eval()


PRODUCTS = [
    SensorModel(0.0, 0.0, 0.0, 0.0, 0.0, True),
    *(
        SensorModel(psf, noise, 2 * noise, correlation, rounding, False)
        for psf, noise, correlation, rounding in itertools.product((0.0, 0.95), (0.0, 0.3, 9.0), (0.0, 1.5), (0.0, 1.0))
    ),
]


@torch.no_grad()
def largest_feature(network: ProductNet, heights: np.ndarray, sensor: SensorModel, scale: int) -> tuple[float, float]:
    """Largest feature after the body, and largest correction of a cell relative to the local relief."""
    seen: list[torch.Tensor] = []
    hook = network.body.register_forward_hook(lambda _m, _i, out: seen.append(out))
    z = torch.from_numpy(heights).float()[None, None]
    size = torch.full((1, 2, SIDE, 1), 60.0)
    relief, surface, _ = network(z, size, conditions_of(sensor, size), scale)
    hook.remove()
    local = float(np.ptp(heights)) + 6.0
    return float(seen[0].abs().max()), float((relief - surface).abs().max()) / local


@pytest.mark.parametrize("name", list(surfaces()))
def test_features_and_result_stay_bounded(network: ProductNet, name: str) -> None:
    for sensor in PRODUCTS:
        feature, share = largest_feature(network, surfaces()[name], sensor, 4)
        assert feature < 32, sensor
        assert share < 4, sensor  # of the relief itself: 1.3 at a cliff, 2.1 at one cell of 3 km


def test_a_branch_cannot_amplify_a_large_feature(network: ProductNet) -> None:
    x = torch.randn(1, 48, 9, 9)
    with torch.no_grad():
        for block in network.body:
            small, large = (block(x * factor) - x * factor for factor in (1.0, 1e6))
            assert float(large.abs().max()) < 2 * float(small.abs().max()) + 1


def test_the_sea_stays_level(network: ProductNet) -> None:
    for sensor in PRODUCTS:
        size = torch.full((1, 2, SIDE, 1), 60.0)
        with torch.no_grad():
            relief, _, _ = network(torch.full((1, 1, SIDE, SIDE), 13.0), size, conditions_of(sensor, size), 4)
        assert float(relief[..., 12:-12, 12:-12].abs().max()) < 0.25, sensor
