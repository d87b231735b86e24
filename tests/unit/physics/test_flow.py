"""Soft directions, sinks and flow accumulation against hard D8 and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.support.surfaces import plane, rough
from torch import Tensor

from terrafine.physics.flow import (
    NEIGHBOURS,
    accumulation_loss,
    drops,
    flow_accumulation,
    flow_shares,
    sink_depth,
    sink_penalty,
    soft_direction_loss,
)

pytest.importorskip("numba")
pytest.importorskip("pyflwdir")

from terrafine.evaluation.hydrology import d8, drainage, fill

SIZE = (30.0, 20.0)
CODE = np.array([1, 2, 4, 8, 16, 32, 64, 128], np.uint8)  # ESRI, in the order of NEIGHBOURS


def pitless(seed: int) -> Tensor:
    """A valley of rough ground without pits or flats: filling changes nothing."""
    across = (torch.arange(24) - 11.3).abs().double() * 3
    z = plane(0.02, 0.2, 24) + across + 0.03 * rough(seed, 24)
    assert (sink_depth(z) == 0).all()
    assert torch.equal(z, torch.from_numpy(np.asarray(fill(z.numpy()))))
    return z


def soft_direction(z: Tensor, pixel_size_m: tuple[float, float] | float, temperature: float) -> Tensor:
    """Probability of each of the eight flow directions."""
    return torch.softmax(drops(z, pixel_size_m) / temperature, dim=-3)


def by_row(side: int) -> np.ndarray:
    """The judge's pixel sizes."""
    return np.repeat(np.array(SIZE[::-1])[:, None], side, axis=1)


@pytest.mark.parametrize("k", range(8))
def test_water_on_a_plane_runs_down_it(k: int) -> None:
    dy, dx = NEIGHBOURS[k]
    z = plane(-0.2 * dx, 0.2 * dy)
    toward = soft_direction(z, 30.0, 1e-3)[:, 1:-1, 1:-1]
    assert (toward.argmax(0) == k).all()
    assert toward[k].min() > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_the_coldest_soft_direction_is_hard_d8(seed: int) -> None:
    z = rough(seed)  # not filled: no flats, and pits are looked at apart
    code = d8(z.numpy(), None, by_row(32))[1:-1, 1:-1]
    soft = CODE[soft_direction(z, SIZE, 1e-4).argmax(0).numpy()][1:-1, 1:-1]
    slopes_down = drops(z, SIZE).amax(0).numpy()[1:-1, 1:-1] > 0
    assert (soft == code)[slopes_down].all()
    turned = CODE[soft_direction(z.flip(-1), SIZE, 1e-4).argmax(0).numpy()][1:-1, 1:-1]
    assert (turned == code)[slopes_down].mean() < 0.9


@pytest.mark.parametrize("seed", range(3))
def test_the_coldest_flow_accumulation_is_hard_d8_s(seed: int) -> None:
    z = pitless(seed)
    cells = drainage(z.numpy(), None, by_row(24)).area_km2 / (SIZE[0] * SIZE[1] * 1e-6)
    assert cells.max() > 40
    np.testing.assert_allclose(flow_accumulation(z, SIZE, 1e-7).numpy(), cells, rtol=1e-3)
    assert np.isclose(flow_accumulation(z, SIZE, 0.1).numpy(), cells, rtol=1e-3).mean() < 0.5


@pytest.mark.parametrize("temperature", [1e-3, 0.02, 10.0])
def test_no_water_is_lost(temperature: float) -> None:
    z = rough(4)
    total = flow_accumulation(z, SIZE, temperature)
    stays = 1 - flow_shares(z, SIZE, temperature).sum(0)
    torch.testing.assert_close((total * stays).sum(), torch.tensor(float(z.numel())).double())
    assert (total >= 1).all()
    assert (flow_shares(z, SIZE, temperature)[drops(z, SIZE) <= 0] == 0).all()


def test_a_warm_temperature_shares_by_drop() -> None:
    z = rough(5)
    down = drops(z, SIZE).clamp_min(0)
    share = down / down.sum(0).clamp_min(1e-12)
    torch.testing.assert_close(
        flow_shares(z, SIZE, 500.0)[:, down.sum(0) > 0.1], share[:, down.sum(0) > 0.1], atol=5e-3, rtol=0
    )


def test_own_water_is_what_the_cells_bring() -> None:
    z, own = rough(6, 12), torch.rand(12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    a = flow_accumulation(z, SIZE, own=own)
    torch.testing.assert_close(flow_accumulation(z, SIZE, own=3 * own), 3 * a)
    assert (a >= own).all()


def test_accumulation_passes_the_finite_difference_check() -> None:
    z = rough(7, 6).requires_grad_()
    own = torch.rand(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    # The drops of this surface are far from 0 against the step of the check.
    assert drops(z, SIZE)[torch.isfinite(drops(z, SIZE))].abs().min() > 1e-4
    assert torch.autograd.gradcheck(
        lambda z, own: flow_accumulation(z, SIZE, 0.3, own), (z, own), eps=1e-6, atol=1e-5, rtol=1e-4
    )


def test_a_batch_is_each_of_its_patches() -> None:
    z = torch.stack([rough(8), rough(9)])[:, None]
    size = torch.tensor(SIZE).double()[None, :, None, None].expand(2, 2, 32, 1)
    both = flow_accumulation(z, size)
    torch.testing.assert_close(both[1, 0], flow_accumulation(z[1, 0], SIZE))


@pytest.mark.parametrize("loss", [soft_direction_loss, accumulation_loss])
def test_a_flow_loss_is_nothing_at_the_truth_and_passes_the_finite_difference_check(loss) -> None:  # type: ignore[no-untyped-def]
    truth = rough(10, 6)
    prediction = (truth + 0.3 * rough(11, 6)).requires_grad_()
    assert loss(truth + 100, truth, SIZE) < 1e-9
    assert loss(prediction, truth, SIZE) > 1e-3
    assert torch.autograd.gradcheck(lambda p: loss(p, truth, SIZE, None, 0.3), (prediction,), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("loss", [soft_direction_loss, accumulation_loss])
def test_flat_ground_gives_no_nan(loss) -> None:  # type: ignore[no-untyped-def]
    for truth in (torch.zeros(1, 1, 9, 9), rough(side=9).float()[None, None]):
        prediction = torch.zeros(1, 1, 9, 9, requires_grad=True)
        value = loss(prediction, truth, 30.0)
        (gradient,) = torch.autograd.grad(value, prediction)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


def test_direction_counts_only_where_the_truth_has_one() -> None:
    truth = torch.zeros(12, 12, dtype=torch.float64)
    truth[:, 6:] = plane(-0.5, 0)[:, 6:] - 410
    wrong = truth.clone()
    wrong[2:10, 1:3] += rough(3, 12)[2:10, 1:3] * 1e-2
    assert soft_direction_loss(wrong, truth, 30.0) < 1e-6
    wrong[4:8, 8:11] += 20
    assert soft_direction_loss(wrong, truth, 30.0) > 0.1


def test_a_pit_is_as_deep_as_its_lowest_neighbour_is_higher() -> None:
    z = plane(0.1, 0.05)
    pit = z.clone()
    pit[5, 5] = z[4:7, 4:7].min() - 4
    assert sink_depth(z).max() == 0
    torch.testing.assert_close(sink_depth(pit)[4, 4], torch.tensor(4.0).double())
    torch.testing.assert_close(sink_penalty(pit, z), torch.tensor(4.0 / 100).double())
    assert sink_penalty(pit, pit) == 0


def test_the_sink_penalty_passes_the_finite_difference_check() -> None:
    prediction = rough(12, 8).clone()
    prediction[3, 3] -= 300
    prediction.requires_grad_()
    assert sink_penalty(prediction, plane(0.1, 0.1, 8)) > 1
    assert torch.autograd.gradcheck(lambda p: sink_penalty(p, plane(0.1, 0.1, 8)), (prediction,), atol=1e-6)


def test_a_temperature_must_be_positive() -> None:
    with pytest.raises(ValueError, match="temperature"):
        soft_direction_loss(rough(), rough(), 30.0, temperature=0)
    with pytest.raises(ValueError, match="temperature"):
        flow_shares(rough(), 30.0, 0)
