"""Sat2DEM: the published layout, its normalisations, and region losses that reach the generator."""

from __future__ import annotations

import pytest
import torch

from terrafine.errors import RecipeError
from terrafine.nn.attention import ATTENTION
from terrafine.nn.task import ImageBatch
from terrafine.systems.sat2dem import loss
from terrafine.systems.sat2dem.drpan import compose, propose, roi_align
from terrafine.systems.sat2dem.net import UNet
from terrafine.systems.sat2dem.normalise import HIGH_M, LOW_M, from_units, to_units

SMALL = {"width": 4, "depth": 4, "tile": 64, "dropout": 0.0, "normalisation": "shift"}
DRPAN = {"network": SMALL, "adversary": {"kind": "drpan", "width": 4, "layers": 2}}


def batch(side: int = 64, holes: bool = False) -> ImageBatch:
    torch.manual_seed(0)
    valid = torch.ones(2, 1, side, side)
    if holes:
        valid[:, :, :10, :20] = 0
    heights = 1000 + 300 * torch.rand(2, 1, side, side)
    return ImageBatch(torch.rand(2, 3, side, side) * 0.3, heights * valid, valid)


@pytest.mark.parametrize("attend", ATTENTION)
def test_the_published_generator_has_eight_levels_and_its_channels(attend: str) -> None:
    net = UNet(attend=attend, width=4)
    outs = [block[0].out_channels for block in net.down]
    assert outs == [4, 8, 16, 32, 32, 32, 32, 32]
    assert net(torch.rand(1, 3, 256, 256)).shape == (1, 1, 256, 256)


def test_the_weights_are_those_of_pix2pix() -> None:
    """U-Net-256 layer by layer; at width 64 it has 54,409,857 weights, and two biases more here."""

    def published(w: int) -> int:
        inner = [w, 2 * w, 4 * w, *[8 * w] * 5]
        down = sum(16 * a * b for a, b in zip([3, *inner], inner, strict=False)) + sum(2 * c for c in inner[1:-1])
        before = [8 * w, *[16 * w] * 3, 16 * w, 8 * w, 4 * w]
        after = [*[8 * w] * 4, 4 * w, 2 * w, w]
        up = sum(16 * a * b + 2 * b for a, b in zip(before, after, strict=True))
        return down + up + 16 * 2 * w + 1

    assert published(64) == 54_409_857
    assert sum(p.numel() for p in UNet(width=8).parameters()) == published(8) + 8 + 64


def test_global_maps_the_published_range_to_minus_one_and_one() -> None:
    ends = torch.tensor([LOW_M, HIGH_M]).reshape(1, 1, 1, 2)
    torch.testing.assert_close(to_units(ends, torch.ones_like(ends), "global").flatten(), torch.tensor([-1.0, 1.0]))


def test_shift_puts_each_tiles_lowest_known_cell_at_minus_one_with_the_same_metres_per_unit() -> None:
    z, valid = torch.tensor([[100.0, 900.0], [700.0, 5.0]])[None, None], torch.ones(1, 1, 2, 2)
    valid[..., 1, 1] = 0
    units = to_units(z, valid, "shift")
    expected = torch.tensor([0.0, 800.0, 600.0]) * 2 / (HIGH_M - LOW_M) - 1
    torch.testing.assert_close(units.flatten()[:3], expected)
    torch.testing.assert_close(
        from_units(units, "shift").flatten()[:3], torch.tensor([0.0, 800.0, 600.0]), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("kind", ["global", "relief"])
def test_units_go_back_to_metres(kind: str) -> None:
    z = torch.rand(2, 1, 8, 8, dtype=torch.float64) * 1000
    back = from_units(to_units(z, torch.ones_like(z), kind), kind)
    level = z.mean(dim=(2, 3), keepdim=True) if kind == "relief" else 0.0
    torch.testing.assert_close(back, z - level)


def test_relief_terms_do_not_hear_a_level_and_others_do() -> None:
    b = batch()
    truth = to_units(b.target, b.valid, "relief")
    free, bound = (loss.surface_terms(truth + 5, truth, b.valid, level=level) for level in (False, True))
    assert float(free["l1"]) < 1e-5
    assert float(bound["l1"]) == pytest.approx(5.0, rel=1e-5)
    assert float(loss.surface_terms(2 * truth, truth, b.valid, level=False)["l1"]) > 0.1


def test_what_is_not_known_weighs_nothing() -> None:
    b = batch(holes=True)
    truth = to_units(b.target, b.valid, "shift")
    made = torch.randn_like(truth)
    hidden, seen = torch.where(b.valid > 0, made, made + 100), made.clone()
    seen[..., 40, 40] += 100
    plain, same, other = (loss.surface_terms(m, truth, b.valid, level=True) for m in (made, hidden, seen))
    assert plain == same
    assert other["l1"] > 0.01 + plain["l1"]


def test_the_gradient_term_is_the_mean_forward_difference() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    terms = loss.surface_terms(ramp, torch.zeros_like(ramp), torch.ones_like(ramp), level=True)
    assert float(terms["gradient"]) == pytest.approx(1.0)


def test_the_region_proposed_is_the_one_that_looks_least_real() -> None:
    logits = torch.full((1, 1, 30, 30), 3.0)
    logits[..., 12:17, 20:25] = -3.0
    assert propose(logits, 256, 70).tolist() == [[12 * 256 // 30, 20 * 256 // 30]]
    logits[..., 25:, 25:] = -9.0
    assert propose(logits, 256, 70).tolist() == [[256 - 70, 256 - 70]], "a region stays inside its tile"


def test_the_composed_surface_is_fake_inside_the_region_and_real_outside() -> None:
    fake, real = torch.ones(1, 1, 9, 9), torch.zeros(1, 1, 9, 9)
    mixed = compose(fake, real, torch.tensor([[2, 5]]), 3)
    assert float(mixed.sum()) == 9
    assert bool((mixed[..., 2:5, 5:8] == 1).all())


def test_roi_align_of_a_plane_is_the_plane_at_the_bins_centres() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    plane = (3 * (y + 0.5) + 7 * (x + 0.5))[None, None]
    pooled = roi_align(plane, torch.tensor([[10, 20]]), 30, bins=20)
    centre = (torch.arange(20) + 0.5) * 1.5
    expected = 3 * (10 + centre)[:, None] + 7 * (20 + centre)[None]
    torch.testing.assert_close(pooled[0, 0], expected, atol=1e-2, rtol=0)


@pytest.mark.parametrize("name", ["reviser", "region"])
def test_region_losses_reach_the_generator_unless_they_are_detached(name: str) -> None:
    b, judges = batch(), loss.discriminators(DRPAN)
    net = UNet(**SMALL)
    only = {**DRPAN, "loss": {"l1": 0, "gan": 0, "reviser": 0, "region": 0, name: 1}}
    for detached in (False, True):
        net.zero_grad()
        made = net(b.image)
        total = loss.generator_losses(judges, b, made.detach() if detached else made, only)["total"]
        if total.requires_grad:
            total.backward()
        reached = sum(float(p.grad.abs().sum()) for p in net.parameters() if p.grad is not None)
        assert (reached == 0) if detached else (reached > 0)


def test_a_judge_teaches_no_generator() -> None:
    b, judges, net = batch(), loss.discriminators(DRPAN), UNet(**SMALL)
    losses = loss.discriminator_losses(judges, b, net(b.image), DRPAN)
    assert set(losses) == {"patch", "reviser"}
    sum(losses.values()).backward()
    assert all(p.grad is None for p in net.parameters())
    assert all(p.grad is not None for p in judges["reviser"].parameters())


@pytest.mark.parametrize(("kind", "count"), [("none", 0), ("pix2pix", 1), ("drpan", 2)])
def test_a_game_has_its_discriminators(kind: str, count: int) -> None:
    assert len(loss.discriminators({"adversary": {"kind": kind, "width": 4}})) == count


def test_names_that_mean_nothing_are_refused_with_those_that_do() -> None:
    with pytest.raises(RecipeError, match=r"kind = 'pixpix': expected one of none, pix2pix, drpan"):
        loss.discriminators({"adversary": {"kind": "pixpix"}})
    with pytest.raises(RecipeError, match=r"up = 'bilinear': expected one of transposed, resize, smooth"):
        UNet(up="bilinear")
    with pytest.raises(RecipeError, match=r"normalisation = 'local'"):
        UNet(normalisation="local")
