"""Radar brightness: the model, its fit under speckle, the loss on observed radar, and real radar over real relief."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
import torch
from tests.support.paths import DATA
from tests.support.surfaces import plane, rough
from torch import Tensor

from terrafine.physics.backscatter import (
    Backscatter,
    backscatter_db,
    fit_backscatter,
    fit_exponent,
    sar_loss,
    simulate_db,
)
from terrafine.physics.highpass import highpass
from terrafine.physics.radar import cos_local_incidence, look_azimuth
from terrafine.physics.speckle import speckle, speckle_bias_db

FOLDER = DATA / "radar"
THETA, ALPHA = 38.0, 101.0
PARAMS = Backscatter(-9.0, 1.6, 1.0)


def seen(z: Tensor, looks: float | None = None, params: Backscatter = PARAMS, seed: int = 0) -> Tensor:
    """Simulated dB of a surface of 30 m cells, speckled where looks are given."""
    clean = simulate_db(z, 30.0, THETA, ALPHA, params)
    if looks is None:
        return clean
    return clean + 10 * torch.log10(speckle(tuple(z.shape), looks, np.random.default_rng(seed)).double())


def test_level_ground_has_the_level() -> None:
    level = backscatter_db(torch.full((4, 4), math.cos(math.radians(THETA))), THETA, PARAMS)
    torch.testing.assert_close(level, torch.full((4, 4), -9.0))


@pytest.mark.parametrize("slope", [-20.0, 10.0, 20.0])
def test_a_slope_in_the_range_plane_has_the_law_s_brightness(slope: float) -> None:
    cosine = torch.tensor(math.cos(math.radians(THETA - slope)), dtype=torch.float64)
    facing = math.cos(math.radians(THETA - slope)) / math.cos(math.radians(THETA))
    area = math.sin(math.radians(THETA)) / math.sin(math.radians(THETA - slope))
    assert float(backscatter_db(cosine, THETA, PARAMS)) == pytest.approx(-9 + 10 * math.log10(facing**1.6 * area))
    normalised = backscatter_db(cosine, THETA, Backscatter(-9.0, 1.6, 0.0))
    assert float(normalised) == pytest.approx(-9 + 10 * math.log10(facing**1.6))


def test_the_model_is_finite_at_every_angle_with_its_gradient() -> None:
    cosine = torch.linspace(-1, 1, 201, requires_grad=True)
    value = backscatter_db(cosine, THETA)
    (gradient,) = torch.autograd.grad(value.sum(), cosine)
    assert torch.isfinite(value).all()
    assert torch.isfinite(gradient).all()


def test_ground_that_faces_the_sensor_is_brighter() -> None:
    east, west = seen(plane(-0.2, 0)), seen(plane(0.2, 0))
    assert east.mean() > west.mean() + 3


def test_simulation_passes_the_finite_difference_check() -> None:
    z = rough(1, 6, 20.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: simulate_db(z, (30.0, 20.0), THETA, ALPHA, PARAMS), (z,), atol=1e-6)


def test_speckle_has_mean_one_and_variance_one_over_looks() -> None:
    for looks in (1, 4.4, 50):
        drawn = speckle((300, 300), looks, np.random.default_rng(1)).double()
        assert float(drawn.mean()) == pytest.approx(1, abs=0.02)
        assert float(drawn.var()) == pytest.approx(1 / looks, rel=0.05)
        assert float(10 * torch.log10(drawn).mean()) == pytest.approx(speckle_bias_db(looks), abs=0.08)
    again = (speckle((5, 5), 4, np.random.default_rng(s)) for s in (7, 7, 8))
    a, b, c = again
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert speckle_bias_db(1) == pytest.approx(-2.507, abs=1e-3)
    for looks in (0, -1, math.inf):
        with pytest.raises(ValueError, match="looks above 0"):
            speckle((2, 2), looks, np.random.default_rng(0))


@pytest.mark.parametrize("looks", [4.4, 50.0])
def test_the_fit_finds_the_parameters_under_speckle(looks: float) -> None:
    z = rough(2, 128, 150.0)
    c = cos_local_incidence(z, 30.0, THETA, ALPHA)
    clear = (c > 0.2) & (c < 0.98)
    fit = fit_backscatter(seen(z, looks), c, THETA, clear, looks=looks)
    assert fit.parameters.exponent == pytest.approx(1.6, abs=0.05)
    assert abs(fit.parameters.exponent - 1.6) < 4 * fit.errors.exponent
    assert fit.parameters.level_db == pytest.approx(-9, abs=0.3)
    assert fit.parameters.area == 1.0
    free = fit_backscatter(seen(z, looks), c, THETA, clear, area=None)
    assert free.parameters.area == pytest.approx(1.0, abs=0.25)
    assert abs(fit_backscatter(seen(z, looks), c, THETA, clear, area=0.0).parameters.exponent - 1.6) > 0.3


@pytest.mark.parametrize("looks", [4.4, 50.0])
def test_exponents_of_many_images_are_found_at_once(looks: float) -> None:
    z = torch.stack([rough(2, 128, 100.0), rough(3, 128, 40.0)])[:, None]
    observed = torch.cat([seen(z, looks), seen(z, looks, Backscatter(-16.0, 0.7, 1.0), seed=1)], dim=1)
    c = cos_local_incidence(z, 30.0, THETA, ALPHA)
    clear = ((c > 0.2) & (c < 0.98)).expand_as(observed)
    found = fit_exponent(observed, c, THETA, clear)
    assert found.shape == (2, 2, 1, 1)
    torch.testing.assert_close(found[:, :, 0, 0], torch.tensor([[1.6, 0.7]] * 2).double(), atol=0.15, rtol=0)
    one = fit_exponent(observed[:1, :1], c[:1], THETA, clear[:1, :1])
    torch.testing.assert_close(one[0, 0], found[0, 0])
    assert (fit_exponent(observed, c, THETA, clear, area=0.0) - found).abs().max() > 0.3


def test_level_ground_leaves_the_exponent_at_lambert_s() -> None:
    z = plane(0, 0, 40)
    known = torch.ones(40, 40, dtype=torch.bool)
    fit = fit_exponent(seen(z, 4), cos_local_incidence(z, 30.0, THETA, ALPHA), THETA, known)
    torch.testing.assert_close(fit, torch.ones(1, 1).double())


def test_each_patch_has_a_sar_loss_of_its_own() -> None:
    truth = torch.stack([rough(5, 40, 40.0), rough(7, 40, 40.0)])[:, None]
    off = truth + 0.2 * rough(6, 40)
    both = sar_loss(off, seen(truth), 30.0, THETA, ALPHA, PARAMS)
    alone = [sar_loss(off[i : i + 1], seen(truth)[i : i + 1], 30.0, THETA, ALPHA, PARAMS) for i in (0, 1)]
    torch.testing.assert_close(both, torch.cat(alone))
    exponent = torch.full((2, 1, 1, 1), PARAMS.exponent, dtype=torch.float64)
    other = sar_loss(off, seen(truth), 30.0, THETA, ALPHA, Backscatter(area=PARAMS.area), exponent=exponent)
    torch.testing.assert_close(other, both)


def test_bright_targets_do_not_lead_the_fit() -> None:
    z = rough(2, 96, 150.0)
    c, observed = cos_local_incidence(z, 30.0, THETA, ALPHA), seen(rough(2, 96, 150.0), 20)
    clear = (c > 0.2) & (c < 0.98)
    towns = torch.from_numpy(np.random.default_rng(3).random((96, 96)) < 0.05)
    spoiled = torch.where(towns, observed + 15, observed)
    plain = fit_backscatter(spoiled, c, THETA, clear, rounds=1).parameters
    robust = fit_backscatter(spoiled, c, THETA, clear).parameters
    assert abs(robust.level_db + 9) < 0.4 < abs(plain.level_db + 9)


def test_a_fit_without_cells_or_relief_is_refused() -> None:
    z = plane(0, 0)
    c = cos_local_incidence(z, 30.0, THETA, ALPHA)
    with pytest.raises(ValueError, match="too level"):
        fit_backscatter(seen(z, 4), c, THETA)
    with pytest.raises(ValueError, match="at least 20"):
        fit_backscatter(seen(rough(), 4), rough() * 0, THETA, torch.zeros(32, 32, dtype=torch.bool))


def test_highpass_takes_constants_away_and_leaves_voids_out() -> None:
    v = rough(4, 40)
    known = torch.rand(40, 40, generator=torch.Generator().manual_seed(0)) > 0.2
    torch.testing.assert_close(highpass(v + 100, known, 9), highpass(v, known, 9))
    torch.testing.assert_close(highpass(torch.where(known, v, torch.nan), known, 9), highpass(v, known, 9))
    box = v[10:19, 10:19][known[10:19, 10:19]].mean()
    assert known[14, 14]
    torch.testing.assert_close(highpass(v, known, 9)[14, 14], v[14, 14] - box)
    for window in (1, 8):
        with pytest.raises(ValueError, match="an odd number"):
            highpass(v, known, window)


def test_the_sar_loss_is_nothing_at_the_truth_whatever_the_cover_s_level() -> None:
    truth = rough(5, 40, 40.0)[None, None]
    observed = torch.cat([seen(truth), seen(truth) + 7], dim=1)
    assert sar_loss(truth, observed, 30.0, THETA, ALPHA, PARAMS) < 1e-12
    assert sar_loss(truth + 500, observed, 30.0, THETA, ALPHA, PARAMS) < 1e-12
    assert sar_loss(truth + 0.2 * rough(6, 40)[None, None], observed, 30.0, THETA, ALPHA, PARAMS) > 0.01
    assert sar_loss(truth, observed, 30.0, THETA, 360 - ALPHA, PARAMS) > 0.1


def test_the_sar_loss_leads_back_to_the_truth() -> None:
    truth = rough(5, 24, 30.0)[None, None]
    error = 0.2 * rough(6, 24, 30.0)[None, None]
    losses = [float(sar_loss(truth + w * error, seen(truth), 30.0, THETA, ALPHA, PARAMS)) for w in (1, 0.5, 0.25, 0)]
    assert losses == sorted(losses, reverse=True)


def test_the_sar_loss_passes_the_finite_difference_check() -> None:
    z = (rough(1, 7, 20.0)[None, None]).requires_grad_()
    observed = seen(rough(2, 7, 20.0))[None, None]
    assert torch.autograd.gradcheck(
        lambda z: sar_loss(z, observed, 30.0, THETA, ALPHA, PARAMS, window=5), (z,), atol=1e-6
    )


def test_hidden_and_missing_cells_do_not_count() -> None:
    truth = rough(5, 24, 30.0)[None, None]
    observed = seen(truth)
    observed[..., 5, 5] = torch.nan
    assert sar_loss(truth, observed, 30.0, THETA, ALPHA, PARAMS) < 1e-12
    observed[..., 10, 10] += 20
    assert sar_loss(truth, observed, 30.0, THETA, ALPHA, PARAMS) > 0.01
    valid = torch.ones(24, 24, dtype=torch.bool)
    valid[10, 10] = False
    assert sar_loss(truth, observed, 30.0, THETA, ALPHA, PARAMS, valid) < 1e-12
    steep = plane(-1.5, 0)[None, None].requires_grad_()
    with pytest.raises(ValueError, match="no cell that is valid, lit"):
        sar_loss(steep, torch.zeros(1, 1, 12, 12), 30.0, THETA, ALPHA)
    assert sar_loss(steep, torch.zeros(1, 1, 12, 12), 30.0, THETA, ALPHA, empty="zero") == 0


@pytest.mark.shared_data
@pytest.mark.parametrize("polarisation", ["vv", "vh"])
def test_real_radar_is_bright_where_the_model_says_so_and_only_with_the_right_orbit(polarisation: str) -> None:
    if not (FOLDER / "myanmar_dem.tif").exists():
        pytest.skip(f"no real radar in {FOLDER}")
    with rasterio.open(FOLDER / "myanmar_dem.tif") as file:
        z = torch.from_numpy(file.read(1)).double()
    with rasterio.open(FOLDER / f"myanmar_s1_{polarisation}_98dates_db_x100.tif") as file:
        stack = file.read(masked=True) / 100.0
    observed = torch.from_numpy(stack.mean(0).filled(np.nan))[1:-1, 1:-1]
    correlation = {}
    fits = {}
    for orbit in ("ascending", "descending"):
        azimuth = look_azimuth(orbit, 19.4)  # type: ignore[arg-type]
        c = cos_local_incidence(z, 30.0, 38.5, azimuth)[1:-1, 1:-1]
        modelled = backscatter_db(c, 38.5)
        correlation[orbit] = float(torch.corrcoef(torch.stack([modelled.ravel(), observed.ravel()]))[0, 1])
        fits[orbit] = fit_backscatter(observed, c, 38.5, area=None).parameters
    assert correlation["descending"] > 0.65
    assert correlation["ascending"] < -0.6
    assert fits["descending"].area > 0.5 > 0 > fits["ascending"].area
