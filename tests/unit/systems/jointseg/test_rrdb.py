"""Super-resolution in two stages: sizes, weights as published, tiling, the observation; and the discriminator."""

from __future__ import annotations

import pytest
import torch
from benchmarks.jointseg.cost import multiply_adds
from torch.nn import functional

from terrafine.errors import UsageError
from terrafine.physics.sensor_model import Sensor, back_project, downsample, point_spread, simulate
from terrafine.systems.jointseg.rrdb import COMPACT, FULL, ProgEsrgan, RrdbNet
from terrafine.systems.jointseg.unet_discriminator import UnetDiscriminator

TINY = {"blocks": 1, "features": 8, "growth": 4}


def weights(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def scene(side: int = 24, bands: int = 3, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return functional.interpolate(torch.rand(1, bands, side // 4, side // 4), size=side, mode="bicubic").clamp(0, 1)


def test_networks_have_the_weights_that_are_published() -> None:
    with torch.device("meta"):
        assert weights(RrdbNet(3, 3, 4, **FULL)) == 16_697_987
    assert weights(RrdbNet(3, 3, 4, **COMPACT)) == 758_755
    assert weights(UnetDiscriminator(3)) == 4_376_897


def test_multiply_adds_are_those_of_the_convolutions() -> None:
    net = ProgEsrgan(3, TINY, rounds=0)
    counted = 0.0

    def count(module: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal counted
        counted += module.weight.numel() * out.shape[-1] * out.shape[-2]  # type: ignore[operator,union-attr]

    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    net(scene(12))
    assert sum(multiply_adds(3, TINY)) == pytest.approx(counted / 120**2)


@pytest.mark.parametrize("bands", [3, 4])
def test_the_chain_gives_images_four_and_ten_times_as_fine(bands: int) -> None:
    first, second = ProgEsrgan(bands, TINY)(scene(12, bands))
    assert first.shape == (1, bands, 48, 48)
    assert second.shape == (1, bands, 120, 120)


def test_a_fresh_network_is_near_its_input_interpolated() -> None:
    x = scene()
    _, second = ProgEsrgan(3, TINY, rounds=0)(x)
    up = functional.interpolate(x, scale_factor=10, mode="bilinear")
    assert (second - up).abs().mean() < 0.05 * x.std()
    assert (RrdbNet(3, 3, 4, **TINY, skip=False)(x) - functional.interpolate(x, scale_factor=4)).abs().mean() > 0.1


@pytest.mark.parametrize("scale", [2.5, 4])
def test_a_tile_with_its_halo_equals_the_whole_and_with_less_does_not(scale: float) -> None:
    torch.manual_seed(1)
    net = RrdbNet(3, 3, scale, **TINY, skip=True)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.2 * torch.randn_like(p))
    x = torch.rand(1, 3, 64, 64)
    whole = net(x)

    def apart(halo: int) -> float:
        part = net(x[..., 26 - halo : 34 + halo, 26 - halo : 34 + halo])
        mine = part[..., int(halo * scale) : int((halo + 8) * scale), int(halo * scale) : int((halo + 8) * scale)]
        there = whole[..., int(26 * scale) : int(34 * scale), int(26 * scale) : int(34 * scale)]
        return float((mine - there).abs().max() / there.abs().max())

    with torch.no_grad():
        assert net.radius == 19
        assert apart(20) < 1e-5
        assert apart(6) > 1e-4


@pytest.mark.parametrize("mtf", [None, 0.2])
def test_agreement_brings_the_observation_back_and_leaves_the_detail(mtf: float | None) -> None:
    x = scene()
    torch.manual_seed(3)
    wild = functional.interpolate(x, scale_factor=10, mode="bilinear") * 1.2 + 0.1 + 0.05 * torch.randn(1, 3, 240, 240)
    before = (downsample(wild, 10, mtf) - x).abs().mean()
    found = back_project(wild, x, 10, mtf=mtf, rounds=3)
    after = (downsample(found, 10, mtf) - x).abs().mean()
    assert after < 0.05 * before
    assert (downsample(back_project(wild, x, 10, mtf=mtf, rounds=0), 10, mtf) - x).abs().mean() == before
    detail = [f - functional.avg_pool2d(f, 5, 1, 2) for f in (wild, found)]
    assert torch.corrcoef(torch.stack([d[..., 9:-9, 9:-9].ravel() for d in detail]))[0, 1] > 0.999


def test_the_sensor_is_the_one_that_makes_the_samples() -> None:
    import numpy as np

    fine = scene(200)
    there = simulate(fine[0].numpy(), 10, Sensor(mtf=0.2, noise=0.0, step=0.0), np.random.default_rng(0))
    here = downsample(fine, 10, 0.2)[0].numpy()
    assert here[:, 3:-3, 3:-3] == pytest.approx(there[:, 3:-3, 3:-3], abs=1e-6)
    assert float(point_spread(10, 0.2).sum()) == pytest.approx(1)
    assert (downsample(fine, 10, 0.35)[0] - torch.from_numpy(there)).abs().max() > 1e-3


def test_what_cannot_be_observed_is_refused() -> None:
    with pytest.raises(UsageError, match="does not consist of whole blocks"):
        downsample(torch.rand(1, 3, 25, 30), 10)
    with pytest.raises(UsageError, match="between 0 and 1"):
        point_spread(10, 1.5)


def test_a_loss_on_the_fine_image_reaches_both_stages() -> None:
    net = ProgEsrgan(3, TINY)
    net(scene(12))[1].square().mean().backward()
    for stage in (net.first, net.second):
        grad = stage.first.weight.grad
        assert grad is not None
        assert float(grad.abs().sum()) > 0


def test_the_discriminator_speaks_of_every_cell_and_its_norms_are_bounded() -> None:
    torch.manual_seed(0)
    net = UnetDiscriminator(4, 8)
    x = torch.rand(2, 4, 32, 40)
    for _ in range(30):
        out = net(x)
    assert out.shape == (2, 1, 32, 40)
    for module in (*net.down, *net.up, *net.more):
        largest = torch.linalg.matrix_norm(module.weight.detach().flatten(1), ord=2)  # type: ignore[operator,union-attr]
        assert float(largest) == pytest.approx(1, abs=0.05)
    with pytest.raises(UsageError, match="multiples of 8"):
        net(torch.rand(1, 4, 30, 32))
