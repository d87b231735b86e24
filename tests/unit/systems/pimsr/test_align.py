"""A learned displacement: nothing at first, bounded ever after, able to learn a shift, the same in every tile."""

from __future__ import annotations

import pytest
import torch

from terrafine.systems.pimsr.align import Align
from terrafine.systems.pimsr.net import PimsrNet

K, SEEN = 4, 6


def smooth(side: int, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    noise = torch.randn(1, 1, side + 16, side + 16)
    return 8 * torch.nn.functional.avg_pool2d(noise, 9, stride=1)[..., 4 : side + 4, 4 : side + 4]


def scene(side: int = 24, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A guide, a look, and features of which one knows where the guide should lie."""
    truth = smooth(side * K, seed)
    features = torch.nn.functional.pixel_unshuffle(truth, K)[:, :SEEN]
    return torch.cat((truth, torch.ones_like(truth)), dim=1), torch.full((1, 2, side, side), 0.4), features


def test_at_first_nothing_moves() -> None:
    guide, look, features = scene()
    moved = Align(K, SEEN, 2.0)(guide, look, features)
    torch.testing.assert_close(moved, guide, atol=1e-4, rtol=0)


def test_it_never_moves_farther_than_its_reach() -> None:
    guide, look, features = scene()
    align = Align(K, SEEN, 1.5)
    torch.nn.init.normal_(align.shift.weight, std=50.0)
    field = align.field(guide, look, features).detach()
    assert 1.0 < float(field.abs().max()) <= 1.5


def test_it_learns_to_put_a_shifted_guide_back() -> None:
    torch.manual_seed(0)
    align = Align(K, SEEN, 2.0)
    optimiser = torch.optim.Adam(align.parameters(), 3e-3)
    inner = (slice(None), slice(0, 1), slice(8, -8), slice(8, -8))

    def error(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        guide, look, features = scene(seed=seed)
        beside = torch.roll(guide, 1, dims=-1)
        moved = align(beside, look, features)
        return (moved - guide)[inner].square().mean(), (beside - guide)[inner].square().mean()

    for step in range(60):
        optimiser.zero_grad()
        error(step)[0].backward()
        optimiser.step()
    mended, left = error(1000)
    assert mended < 0.3 * left


def test_a_cell_made_of_what_was_not_observed_is_not_observed() -> None:
    guide, look, features = scene()
    guide[:, :, 40:50, 40:50] = 0
    align = Align(K, SEEN, 2.0)
    torch.nn.init.constant_(align.shift.bias, 0.2)
    moved = align(guide, look, features)
    assert not moved[:, 1, 42:48, 42:48].any()
    assert (moved[:, 0][moved[:, 1] == 0] == 0).all()


@torch.no_grad()
def test_tiles_move_as_the_whole_does() -> None:
    torch.manual_seed(0)
    relief = {"channels": 8, "blocks": (1, 0), "deep_channels": 0, "deep_blocks": 0}
    net = PimsrNet(K, relief, ("vv",), 8, (8, 1), align=1.5).eval()
    for p in net.parameters():
        p.add_(0.05 * torch.randn_like(p))
    side, halo = 96, net.receptive_radius() + net.receptive_radius() % 2
    z, size = 900 + 10 * smooth(side), torch.full((1, 2, side, 1), 120.0)
    guide = torch.cat((smooth(side * K), torch.ones(1, 1, side * K, side * K)), dim=1)
    way = torch.cat((torch.full_like(guide[:, :1], 0.4), guide[:, 1:]), dim=1)
    guides = {"vv": guide, "look_east": way, "look_north": way}
    whole = net(z, size, guides).relief
    a, b = 40 - halo, 56 + halo
    part = {n: g[..., a * K : b * K, a * K : b * K] for n, g in guides.items()}
    tile = net(z[..., a:b, a:b], size[:, :, a:b], part).relief
    torch.testing.assert_close(tile[..., halo:-halo, halo:-halo], whole[..., 40:56, 40:56], atol=1e-4, rtol=0)


def test_a_reach_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Align(K, SEEN, 0.0)
