"""Under bfloat16 autocast the fixed parts of every system stay float32: the CPU path against itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from terrafine.nn.device import autocast
from terrafine.nn.model import Tiles
from terrafine.nn.precision import fixed_correlation
from terrafine.nn.system import Options
from terrafine.systems import find_system

BF16 = "bfloat16"
CPU = torch.device("cpu")
GUIDED: Mapping[str, Mapping[str, Any]] = {"pimsr": {"relief": {"channels": 8, "blocks": [1, 0], "deep_blocks": 0}}}
RELIEF: Mapping[str, Mapping[str, Any]] = {
    "ridgeline": {"channels": 8, "blocks": [1, 0], "deep_blocks": 0},
    "srcnn": {},
    "drn": {"layers": 4},
    "pimsr_published": {"channels": 8, "fused": [8, 8, 8]},
    **GUIDED,
}


def heights(side: int = 24) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A steep slope of 40 m a cell with relief on it, 3,000 m up."""
    y, x = np.mgrid[:side, :side]
    relief = np.random.default_rng(4).normal(0, 5, (side, side))
    return (3000 + 40 * y - 25 * x + relief).astype(np.float32)[None]


def tiles(z: np.ndarray[Any, Any]) -> Tiles:
    return Tiles({"elevation": z}, np.ones(z.shape, bool), np.full((1, 2, z.shape[1]), 30.0))


def zeroed(network: nn.Module) -> nn.Module:
    """The network with every learned weight 0: only what is fixed is left."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    return network


@pytest.mark.parametrize("name", sorted(RELIEF))
def test_what_is_fixed_in_a_system_is_the_same_under_autocast(name: str) -> None:
    system, arguments = find_system(name), RELIEF[name]
    assert system.build is not None
    torch.manual_seed(0)
    net = zeroed(system.build(arguments, 4).eval())
    spec = system.describe(net, arguments, 4)
    plain, half = (system.adapt(spec, net, Options(precision=p))(tiles(heights())) for p in ("float32", BF16))
    np.testing.assert_allclose(half["elevation"], plain["elevation"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("method", find_system("interpolation").variants)
def test_an_interpolation_is_bit_for_bit_the_same_under_autocast(method: str) -> None:
    system = find_system("interpolation")
    spec = system.describe(None, {"method": method}, 4)
    plain, half = (system.adapt(spec, None, Options(precision=p))(tiles(heights())) for p in ("float32", BF16))
    np.testing.assert_array_equal(half["elevation"], plain["elevation"])


def test_the_images_of_jointseg_agree_with_the_observation_under_autocast() -> None:
    size = {"blocks": 1, "features": 4, "growth": 2}
    system = find_system("jointseg")
    assert system.build is not None
    net: Any = zeroed(system.build({"first": size, "second": size}, 10).eval())
    x = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 0.3
    with torch.no_grad():
        plain = net.generate_images(x)
        with autocast(CPU, BF16):
            half = net.generate_images(x)
    for one, two in ((plain.fine, half.fine), (plain.quarter, half.quarter)):
        torch.testing.assert_close(two, one, rtol=0, atol=1e-6)


def test_a_correlation_left_to_autocast_would_be_decimetres_off() -> None:
    steps = torch.from_numpy(heights())[None].diff(dim=-1)
    kernel = torch.full((1, 1, 5, 5), 1 / 25)
    exact = fixed_correlation(steps.double(), kernel.double())
    with autocast(CPU, BF16):
        kept = fixed_correlation(steps, kernel)
        left = nn.functional.conv2d(steps, kernel, padding=2)
    assert float((kept - exact).abs().max()) < 1e-4
    assert float((left - exact).abs().max()) > 0.03


def test_with_the_shipped_weights_bfloat16_moves_heights_by_centimetres_and_keeps_the_observation() -> None:
    from terrafine.systems import find_model, load_model

    z = heights(32)
    plain, half = (
        load_model(find_model("ridgeline", 4, precision=p))(tiles(z))["elevation"] for p in ("float32", BF16)
    )
    difference = np.abs(half - plain)
    assert 0 < difference.max() < 0.5
    means = half.reshape(1, 32, 4, 32, 4).astype(np.float64).mean(axis=(2, 4))
    assert np.abs(means - z).max() < 1e-3
