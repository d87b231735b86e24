"""PIMSR without radar is the relief network; with it, shares sum to one and nothing leaks past the stated halo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from terrafine.errors import UsageError
from terrafine.nn.system import TrainingBatch
from terrafine.nn.weights import save
from terrafine.systems import export_onnx, find_model, find_system
from terrafine.systems.pimsr.net import PimsrNet
from terrafine.training.dem.scores import equivariance_error

RELIEF = {"channels": 16, "blocks": (1, 0), "deep_channels": 0, "deep_blocks": 0}


@pytest.fixture(scope="module")
def net() -> PimsrNet:
    torch.manual_seed(0)
    made = PimsrNet(4, RELIEF, width=8, body=(8, 2)).double()
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return made.eval()


def heights(side: int = 96, seed: int = 0) -> Tensor:
    steps = np.random.default_rng(seed).normal(size=(1, 1, side, side))
    return torch.from_numpy(steps.cumsum(2).cumsum(3) + 500)


def radar(side: int = 96, *, names: tuple[str, ...] = ("vv", "vh"), seed: int = 1) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    out = {}
    for name in (*names, "look_east", "look_north"):
        value = torch.from_numpy(rng.normal(size=(1, 1, 4 * side, 4 * side)))
        out[name] = torch.cat((value, torch.ones_like(value)), dim=1)
    return out


SIZE = torch.full((1, 2, 1, 1), 120.0, dtype=torch.float64)


@torch.no_grad()
def test_without_radar_it_is_the_relief_network(net: PimsrNet) -> None:
    z = heights()
    relief, detail, log_sigma = net.relief(z, SIZE)
    silent = {name: torch.zeros_like(g) for name, g in radar().items()}
    for guides in ({}, silent):
        out = net(z, SIZE, guides)
        torch.testing.assert_close(out.relief, relief)
        torch.testing.assert_close(out.detail, detail)
        torch.testing.assert_close(out.log_sigma, log_sigma)
        assert (out.gates[:, 1:] == 0).all()
    assert (net(z, SIZE, radar()).relief - relief).abs().max() > 1e-3


@torch.no_grad()
def test_gates_begin_open_where_radar_is_observed() -> None:
    torch.manual_seed(3)
    fresh = PimsrNet(4, RELIEF, width=8, body=(8, 2)).double().eval()
    assert fresh(heights(), SIZE, radar()).gates[:, 0].mean() < 0.2
    assert fresh(heights(), SIZE, {}).gates[:, 0].min() == 1


def test_shares_sum_to_one_and_what_is_absent_has_none(net: PimsrNet) -> None:
    gates = net(heights(), SIZE, radar(names=("vh",))).gates
    torch.testing.assert_close(gates.sum(dim=1), torch.ones_like(gates[:, 0]))
    assert (gates[:, 1] == 0).all()
    assert (gates[:, 2] > 0).all()


@torch.no_grad()
def test_radar_without_a_look_is_not_heard(net: PimsrNet) -> None:
    guides = radar()
    del guides["look_north"]
    assert (net(heights(), SIZE, guides).gates[:, 1:] == 0).all()


@torch.no_grad()
@pytest.mark.parametrize("gone", ["vv", "vh"])
def test_a_tile_without_a_guide_does_not_depend_on_who_else_has_it(net: PimsrNet, gone: str) -> None:
    z, here, there = heights(), radar(), radar(seed=2)
    here[gone] = torch.zeros_like(here[gone])
    alone = net(z, SIZE, here).relief
    together = net(torch.cat((z, z)), SIZE, {name: torch.cat((here[name], there[name])) for name in here}).relief
    torch.testing.assert_close(together[:1], alone)
    unsaid = net(z, SIZE, {name: guide for name, guide in here.items() if name != gone}).relief
    torch.testing.assert_close(unsaid, alone)
    assert (together[1:] - alone).abs().max() > 1e-3


@torch.no_grad()
def test_cell_means_are_kept(net: PimsrNet) -> None:
    assert net(heights(), SIZE, radar()).relief.mean(dim=1).abs().max() < 1e-9


@torch.no_grad()
@pytest.mark.parametrize("what", ["heights", "vv"])
def test_nothing_beyond_the_stated_radius_matters(net: PimsrNet, what: str) -> None:
    z, guides, middle = heights(), radar(), 48
    before = net(z, SIZE, guides).relief[..., middle, middle]
    reach = net.receptive_radius()
    far = torch.ones(96, dtype=torch.bool)
    far[middle - reach : middle + reach + 1] = False
    if what == "heights":
        z = z.clone()
        z[..., far, :] += 30 * torch.rand_like(z[..., far, :])
    else:
        fine = far.repeat_interleave(4)
        changed = guides["vv"].clone()
        changed[:, :1, fine] += 5 * torch.rand_like(changed[:, :1, fine])
        guides = guides | {"vv": changed}
    after = net(z, SIZE, guides).relief[..., middle, middle]
    torch.testing.assert_close(after, before, rtol=0, atol=1e-9)


@torch.no_grad()
def test_radar_next_door_matters(net: PimsrNet) -> None:
    guides = radar()
    changed = guides["vv"].clone()
    changed[:, :1, 4 * 49 : 4 * 50] += 5 * torch.rand_like(changed[:, :1, 4 * 49 : 4 * 50])
    a, b = (net(heights(), SIZE, g).relief[..., 48, 48] for g in (guides, guides | {"vv": changed}))
    assert (a - b).abs().max() > 1e-6


def test_training_leaves_the_relief_network_alone(net: PimsrNet) -> None:
    out = net(heights(), SIZE, radar())
    out.relief.square().mean().backward()
    assert all(p.grad is None for p in net.relief.parameters())
    assert all(p.grad is not None for p in net.body.parameters())


@torch.no_grad()
@pytest.mark.parametrize("without", [{"pyramid": False}, {"gated": False}, {"pyramid": False, "gated": False}])
def test_without_pyramid_or_gates_radar_is_still_heard_where_it_is_observed_alone(without: dict[str, bool]) -> None:
    torch.manual_seed(1)
    made = PimsrNet(4, RELIEF, width=8, body=(8, 2), **without).double().eval()
    for p in made.parameters():
        p.add_(0.05 * torch.randn_like(p))
    half = {name: g.clone() for name, g in radar().items()}
    for g in half.values():
        g[..., 192:] = 0
    plain, out = made.relief(heights(), SIZE)[0], made(heights(), SIZE, half)
    torch.testing.assert_close(out.relief[..., 48:], plain[..., 48:])
    assert (out.relief[..., :48] - plain[..., :48]).abs().max() > 1e-3
    torch.testing.assert_close(out.gates.sum(dim=1), torch.ones_like(out.gates[:, 0]))
    assert (out.gates[:, 1:, :, 48:] == 0).all()
    if without.get("gated") is False:
        torch.testing.assert_close(out.gates[:, 1:, :, :48], torch.full_like(out.gates[:, 1:, :, :48], 0.5))
    names = {n.split(".")[0] for n, _ in made.named_parameters()}
    assert ("low" in names, "gates" in names) == (without.get("pyramid", True), without.get("gated", True))


def test_an_odd_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of two"):
        PimsrNet(3, RELIEF)


def test_the_equivariance_error_is_that_of_the_heights_alone(net: PimsrNet) -> None:
    z = heights(24)
    fine = z.repeat_interleave(4, -1).repeat_interleave(4, -2)
    plain, guided = (TrainingBatch(z, fine, SIZE.expand(1, 2, 24, 1), 4, g) for g in ({}, radar(24)))
    errors = [equivariance_error(find_system("pimsr"), net, [batch]) for batch in (plain, guided)]
    assert errors[0] == errors[1] > 0


def test_a_graph_without_guides_is_not_exported(tmp_path: Path) -> None:
    arguments = {"relief": RELIEF, "width": 8, "body": (8, 2)}
    system = find_system("pimsr")
    assert system.build is not None
    made = system.build(arguments, 4)
    save(tmp_path / "small.safetensors", made.state_dict(), system.describe(made, arguments, 4))
    with pytest.raises(UsageError, match="uses guides"):
        export_onnx(find_model(tmp_path / "small.safetensors", 4), tmp_path / "small.onnx")
