"""The published PIMSR: as it is described, tiled without seams, and no term of its loss is ever silently nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from terrafine.errors import DataError, UsageError
from terrafine.nn.attention import Cbam
from terrafine.nn.system import Options, TrainingBatch
from terrafine.nn.upsample import assemble, relief_of
from terrafine.physics.radar import look_vector
from terrafine.systems import find_system
from terrafine.systems.pimsr_published.net import PATCH, STRIDE, PublishedNet, log_power

SMALL = {"channels": 4, "fused": (4, 4, 4), "relief": 0.5, "backscatter": {"vv": (0.1, 0.05), "vh": (0.02, 0.01)}}
SIZE = torch.full((1, 2, 1, 1), 120.0)


@pytest.fixture
def net() -> PublishedNet:
    torch.manual_seed(0)
    made = PublishedNet(**SMALL)  # type: ignore[arg-type]
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return made.eval()


def heights(side: int = 32, seed: int = 0) -> Tensor:
    steps = np.random.default_rng(seed).normal(size=(1, 1, side, side))
    return torch.from_numpy(steps.cumsum(2).cumsum(3) + 500).float()


def radar(side: int = 32, seed: int = 1) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    shape = (1, 1, 4 * side, 4 * side)
    out = {name: torch.from_numpy(rng.normal(-12, 3, shape)).float() for name in ("vv", "vh")}
    east, north, _ = look_vector(40.0, 100.0)
    out |= {"look_east": torch.full(shape, float(east)), "look_north": torch.full(shape, float(north))}
    return {name: torch.cat((value, torch.ones_like(value)), dim=1) for name, value in out.items()}


def batch(guides: Mapping[str, Tensor], side: int = PATCH) -> TrainingBatch:
    z = heights(side)
    fine = assemble(z, relief_of(z, 4, "bicubic"), 4) + torch.from_numpy(np.random.default_rng(3).normal(size=(64, 64)))
    return TrainingBatch(z, fine.float(), SIZE.expand(1, 2, side, 1), 4, guides)


def test_it_is_built_as_the_public_code_is_described() -> None:
    made = PublishedNet()
    sobel = [conv.weight[0, 0] * 8 for conv in made.heights.sobel]
    torch.testing.assert_close(sobel[0], torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]))
    torch.testing.assert_close(sobel[1], sobel[0].T)
    assert [made.at_16.body[0][0].out_channels, made.at_32.body[0][0].out_channels] == [128, 64]
    assert made.at_64.body[0][0].out_channels == 32
    for name in ("vv", "vh"):
        levels = made.radar[name](torch.zeros(1, 1, 64, 64))
        assert [tuple(x.shape[1:]) for x in levels] == [(64, 64, 64), (64, 32, 32), (64, 16, 16)]
    assert sum(isinstance(m, Cbam) for m in made.modules()) == 3 * 2 + 1 + 3


@torch.no_grad()
def test_each_guide_and_the_heights_are_heard(net: PublishedNet) -> None:
    z, guides = heights(PATCH), radar(PATCH)
    full = net(z, SIZE, guides)
    for name in ("vv", "vh"):
        assert (net(z, SIZE, {n: g for n, g in guides.items() if n != name}) - full).abs().max() > 1e-4
    assert (net(heights(PATCH, seed=5), SIZE, guides) - full).abs().max() > 1e-4


@torch.no_grad()
def test_what_is_not_observed_counts_as_the_mean(net: PublishedNet) -> None:
    blank = {name: torch.zeros((1, 2, 64, 64)) for name in ("vv", "vh")}
    mean = {
        name: torch.cat((torch.full((1, 1, 64, 64), 10 * float(np.log10(np.expm1(m)))), torch.ones(1, 1, 64, 64)), 1)
        for name, (m, _) in net.backscatter.items()
    }
    z = heights(PATCH)
    torch.testing.assert_close(net(z, SIZE, blank), net(z, SIZE, {}))
    torch.testing.assert_close(net(z, SIZE, mean), net(z, SIZE, {}), atol=1e-4, rtol=0)
    assert (net(z, SIZE, radar(PATCH)) - net(z, SIZE, {})).abs().max() > 1e-3


def test_backscatter_enters_as_the_logarithm_of_one_and_its_power() -> None:
    torch.testing.assert_close(log_power(torch.tensor([-10.0, 0.0])), torch.tensor([np.log(1.1), np.log(2.0)]).float())


@torch.no_grad()
def test_patches_are_blended_by_weights_that_sum_to_one(net: PublishedNet) -> None:
    z, guides = heights(), radar()
    one = net(z[..., 8:24, 8:24], SIZE, {n: g[..., 32:96, 32:96] for n, g in guides.items()})
    net.forward_patches = lambda h, r, u: torch.ones_like(r[:, :1])  # type: ignore[method-assign]
    torch.testing.assert_close(net(z, SIZE, guides), torch.ones(1, 1, 128, 128))
    assert (one - 1).abs().max() > 1e-3


@torch.no_grad()
def test_tiles_on_the_lattice_have_no_seam_with_radar(net: PublishedNet) -> None:
    side = 64
    z, guides, edge = heights(side), radar(side), PATCH
    whole = net(z, SIZE, guides)
    at, inner = STRIDE, 16
    cut = slice(at, at + inner + 2 * edge)
    fine = slice(4 * at, 4 * (at + inner + 2 * edge))
    part = net(z[..., cut, cut], SIZE, {n: g[..., fine, fine] for n, g in guides.items()})
    mine = part[..., 4 * edge : 4 * (edge + inner), 4 * edge : 4 * (edge + inner)]
    there = slice(4 * (at + edge), 4 * (at + edge + inner))
    torch.testing.assert_close(mine, whole[..., there, there], atol=1e-4, rtol=0)
    off = slice(4 * (at + edge) + 1, 4 * (at + edge + inner) + 1)
    assert (mine - whole[..., off, off]).abs().max() > 1e-3


def test_other_sides_are_refused(net: PublishedNet) -> None:
    for side in (8, 20):
        with pytest.raises(ValueError, match="multiples of 8"):
            net(heights(side), SIZE, {})


def test_normalisation_that_cannot_be_is_refused() -> None:
    with pytest.raises(TypeError, match="above 0"):
        PublishedNet(relief=0.0)
    with pytest.raises(TypeError, match="vv and vh"):
        PublishedNet(backscatter={"vv": (0.1, 0.1)})


def test_the_sar_term_sees_slopes_and_without_a_look_it_is_an_error(net: PublishedNet) -> None:
    training = find_system("pimsr_published").training
    assert training is not None
    guides = radar(PATCH)
    parts = training.losses(net, batch(guides), {"loss": {"sar": 0.15}})
    assert parts["sar"] > 0
    torch.testing.assert_close(parts["total"], parts["l1"] + 0.15 * parts["sar"])
    parts["total"].backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())
    silent = guides | {"look_east": torch.zeros_like(guides["look_east"])}
    for without in (silent, {n: g for n, g in guides.items() if n != "look_north"}, {}):
        with pytest.raises(DataError, match="needs the look"):
            training.losses(net, batch(without), {"loss": {}})
    assert set(training.losses(net, batch({}), {"loss": {"sar": 0}})) == {"total", "l1"}


def test_a_perfect_surface_has_no_loss(net: PublishedNet) -> None:
    training = find_system("pimsr_published").training
    assert training is not None
    torch.nn.init.zeros_(net.tail.weight)
    torch.nn.init.zeros_(net.tail.bias)  # type: ignore[arg-type]
    rough = batch(radar(PATCH))
    smooth = replace(rough, fine=assemble(rough.coarse, relief_of(rough.coarse, 4, "bicubic"), 4))
    assert training.losses(net, smooth, {"loss": {}})["total"] < 1e-6
    assert training.losses(net, rough, {"loss": {}})["total"] > 1e-3


def test_other_engines_are_refused(net: PublishedNet) -> None:
    system = find_system("pimsr_published")
    with pytest.raises(UsageError, match="runs on torch"):
        system.adapt(system.describe(net, SMALL, 4), net, Options(engine="onnx"))
