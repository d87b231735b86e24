"""Terms of physics in a loss: against formulas in numpy, finite differences, and what they must not answer to."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from terrafine.errors import RecipeError
from terrafine.evaluation.elevation import terrain as judged
from terrafine.nn.losses import relief_terms
from terrafine.nn.system import TrainingBatch
from terrafine.nn.terms import LEAST, TERMS, physics_terms
from terrafine.nn.upsample import relief_of
from terrafine.physics.backscatter import Backscatter, simulate_db

F64 = NDArray[np.float64]
K, SIDE, EDGE, PIXEL = 2, 24, 4, 30.0
THETA, ALPHA = 38.0, 101.0
PLAIN = ("gradient", "slope_angle", "aspect", "curvature", "flow", "sinks", "accumulation")


def ground(seed: int, relief: float = 60.0) -> Tensor:
    """Rough heights (1, 1, y, x), metres."""
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(K * SIDE), np.fft.fftfreq(K * SIDE)))
    f[0, 0] = 1.0
    noise = np.random.default_rng(seed).standard_normal((K * SIDE, K * SIDE))
    z = np.fft.ifft2(np.fft.fft2(noise) / f**1.6).real
    return torch.from_numpy(z / z.std() * relief)[None, None]


@lru_cache
def batch(n: int = 2, above: float = 0.0, exaggerate: float = 1.0) -> TrainingBatch:
    """Rough ground and radar that sees it: vv of exponent 1.6, vh of 0.8, no speckle."""
    fine = torch.cat([ground(i) for i in range(n)]) * exaggerate + above
    size = torch.full((n, 2, SIDE, 1), K * PIXEL, dtype=torch.float64)
    seen = torch.ones_like(fine)
    theta, alpha = math.radians(THETA), math.radians(ALPHA)
    values = {
        "vv": simulate_db(fine, PIXEL, THETA, ALPHA, Backscatter(-9.0, 1.6, 1.0)),
        "vh": simulate_db(fine, PIXEL, THETA, ALPHA, Backscatter(-16.0, 0.8, 1.0)),
        "look_east": torch.full_like(fine, math.sin(theta) * math.sin(alpha)),
        "look_north": torch.full_like(fine, math.sin(theta) * math.cos(alpha)),
    }
    guides = {name: torch.cat((v, seen), dim=1) for name, v in values.items()}
    return TrainingBatch(functional.avg_pool2d(fine, K), fine, size, K, guides)


def relief(surface: Tensor, b: TrainingBatch) -> Tensor:
    """Subcell minus cell."""
    cells = b.coarse.repeat_interleave(K, -2).repeat_interleave(K, -1)
    return functional.pixel_unshuffle(surface - cells, K)


def cubic(b: TrainingBatch) -> Tensor:
    return relief_of(b.coarse.float(), K, "backprojected").double()


def halfway(b: TrainingBatch) -> Tensor:
    return 0.5 * (relief(b.fine, b) + cubic(b))


def value(name: str, x: Tensor, b: TrainingBatch, **settings: float) -> float:
    return float(physics_terms(x, cubic(b), b, {name: 1.0, **settings}, EDGE)[name])


@pytest.mark.parametrize("name", PLAIN)
def test_a_term_is_nothing_at_the_truth_and_nearly_one_at_the_cubic_surface(name: str) -> None:
    b = batch()
    assert value(name, relief(b.fine, b), b) < 1e-9
    if name == "sinks":
        assert value(name, cubic(b), b) <= 1
    else:
        assert 0.8 < value(name, cubic(b), b) < 1
        assert 0.1 < value(name, halfway(b), b) < 0.95


def test_sar_is_least_at_the_truth_and_nearly_one_at_the_cubic_surface() -> None:
    b = batch(exaggerate=0.3)
    assert value("sar", relief(b.fine, b), b) < 0.02 < value("sar", halfway(b), b) < 0.5
    assert 0.85 < value("sar", cubic(b), b) < 1


def whole(x: Tensor, b: TrainingBatch) -> F64:
    """The inner surfaces (n, y, x), metres."""
    cells = b.coarse.repeat_interleave(K, -2).repeat_interleave(K, -1)
    cut = EDGE * K
    return (cells + functional.pixel_shuffle(x, K))[:, 0, cut:-cut, cut:-cut].numpy()


def by_hand(name: str, z: F64, t: F64) -> float:
    """One patch's error in plain numpy, by formulas of its own."""
    size = np.full((2, len(z)), PIXEL)
    if name == "gradient":
        error = (z - t) / PIXEL
        rows, cols = np.diff(error, axis=0)[:-1, 1:-1], np.diff(error, axis=1)[1:-1, :-1]
        return float(np.abs(rows).mean() + np.abs(cols).mean())
    if name == "slope_angle":
        error = judged.slope_degrees(z, size) - judged.slope_degrees(t, size)
        return float(np.abs(error[1:-1, 1:-1]).mean())
    if name == "aspect":
        (zx, zy), (tx, ty) = (judged.gradient(h, size, "horn") for h in (z, t))
        dot = (zx * tx + zy * ty)[1:-1, 1:-1]
        square, truth = (zx**2 + zy**2)[1:-1, 1:-1], (tx**2 + ty**2)[1:-1, 1:-1]
        p, q = square / (square + 0.02**2), truth / (truth + 0.02**2)  # the law of cosines on softened unit vectors
        cosine = dot / np.sqrt((square + 0.02**2) * (truth + 0.02**2))
        return float(np.average((p + q) / 2 - cosine, weights=np.sin(np.arctan(np.sqrt(truth)))))
    if name == "sinks":
        around = np.ones((3, 3), bool)
        around[1, 1] = False
        depth = [ndimage.minimum_filter(h, footprint=around)[1:-1, 1:-1] - h[1:-1, 1:-1] for h in (z, t)]
        return float(np.maximum(depth[0], 0)[depth[1] <= 0].mean())
    if name == "flow":
        p, q = (directions(h) for h in (z, t))
        clear = 1 + (q * np.log(q)).sum(0) / math.log(8)
        return float(np.average((q * np.log(q / p)).sum(0), weights=clear))
    raise KeyError(name)


def directions(z: F64) -> F64:
    """Probabilities (8, y, x) of the inner cells."""
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    drop = [(z - np.roll(z, (-y, -x), (0, 1)))[1:-1, 1:-1] / (PIXEL * math.hypot(y, x)) for y, x in steps]
    e = np.exp((np.stack(drop) - np.max(drop, axis=0)) / 0.02)
    return np.asarray(e / e.sum(0) + 1e-300)


FLOORS = {"gradient": LEAST, "slope_angle": math.degrees(math.atan(LEAST)), "aspect": 0.005, "flow": 0.02}


@pytest.mark.parametrize("name", ["gradient", "slope_angle", "aspect", "flow"])
def test_a_term_is_the_mean_ratio_of_errors_computed_by_hand(name: str) -> None:
    b = batch()
    z, t, plain = (whole(x, b) for x in (halfway(b), relief(b.fine, b), cubic(b)))
    expected = np.mean(
        [by_hand(name, z[i], t[i]) / (by_hand(name, plain[i], t[i]) + FLOORS[name]) for i in range(len(z))]
    )
    assert value(name, halfway(b), b) == pytest.approx(expected, rel=1e-6)
    assert value(name, 0.99 * halfway(b), b) != pytest.approx(expected, rel=1e-4)


def test_curvature_is_the_judge_s_where_it_is_not_flat() -> None:
    b, size = batch(), np.full((2, K * (SIDE - 2 * EDGE)), PIXEL)
    steep = replace(b, fine=30 * b.fine, coarse=30 * b.coarse)  # so that what is flat is no matter
    x, inner = 30 * halfway(b), np.s_[1:-1, 1:-1]
    z, t, plain = (whole(x, steep) for x in (x, relief(steep.fine, steep), cubic(steep)))

    def error(a: F64, b: F64) -> float:
        pairs = zip(judged.curvatures(a, size), judged.curvatures(b, size), strict=True)
        return float(sum(np.abs(p - q)[inner].mean() for p, q in pairs))

    expected = np.mean([error(z[i], t[i]) / (error(plain[i], t[i]) + 100 * LEAST / PIXEL) for i in range(2)])
    assert value("curvature", x, steep) == pytest.approx(expected, rel=2e-3)


def test_sinks_count_pits_that_the_truth_has_not() -> None:
    b = batch(1)
    x = halfway(b)
    x[0, 0, 12, 12] -= 80
    x[0, 3, 8, 15] -= 50
    z, t, plain = (whole(x, b)[0] for x in (x, relief(b.fine, b), cubic(b)))
    floor = 0.01 * (np.sqrt(np.mean((plain - t) ** 2)) + LEAST * PIXEL)
    expected = by_hand("sinks", z, t) / (by_hand("sinks", plain, t) + floor)
    assert value("sinks", x, b) == pytest.approx(expected, rel=1e-6)
    assert value("sinks", halfway(b), b) < 0.5 * expected


def test_sar_is_the_huber_loss_of_high_passed_decibels() -> None:
    """One patch and polarisation, without layover: exponent, mean and loss by hand."""
    b = batch(1, exaggerate=0.3)
    guides = {name: g for name, g in b.guides.items() if name != "vh"}
    x, cut = halfway(b), EDGE * K
    z, t, plain = (whole(s, b)[0] for s in (x, relief(b.fine, b), cubic(b)))
    observed = b.guides["vv"][0, 0, cut:-cut, cut:-cut].numpy()
    ones = np.pad(np.ones((30, 30)), 1)  # the outermost cells, whose slopes are extrapolated, do not count

    def high(v: F64) -> F64:
        count, total = (ndimage.uniform_filter(a, 31, mode="constant") for a in (ones, v * ones))
        return np.asarray((v - total / count) * ones)

    def laws(h: F64) -> tuple[F64, F64]:
        edge = np.pad(h, 1, mode="reflect", reflect_type="odd")
        zx, north = judged.gradient(edge, np.full((2, len(edge)), PIXEL), "horn")
        zx, zy = zx[1:-1, 1:-1], -north[1:-1, 1:-1]
        th, al = math.radians(THETA), math.radians(ALPHA)
        up = 1 / np.sqrt(1 + zx**2 + zy**2)
        cos = up * (math.cos(th) - math.sin(th) * (zx * math.sin(al) + zy * math.cos(al)))
        return 10 * np.log10(cos / math.cos(th)), 10 * np.log10(math.sin(th) / np.sqrt(1 - cos**2))

    facing, area = laws(t)
    f, y = high(facing), high(observed - area)
    exponent = ((f * y).sum() + 4) / ((f * f).sum() + 4)
    assert exponent == pytest.approx(1.6, abs=0.1)

    def error(h: F64) -> float:
        a, c = laws(h)
        e = np.abs(high(observed - exponent * a - c))
        return float(np.where(e < 2, e**2 / 2, 2 * (e - 1)).sum() / ones.sum())

    expected = error(z) / (error(plain) + 0.01)
    assert value("sar", x, replace(b, guides=guides)) == pytest.approx(expected, rel=1e-4)
    assert value("sar", 0.95 * x, replace(b, guides=guides)) != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", [*PLAIN, "sar"])
def test_a_term_passes_the_finite_difference_check(name: str) -> None:
    b = batch(1)
    small = slice(0, 10)
    guides = {n: g[..., : 10 * K, : 10 * K] for n, g in b.guides.items()}
    b = replace(
        b,
        coarse=b.coarse[..., small, small],
        fine=b.fine[..., : 10 * K, : 10 * K],
        pixel_size_m=b.pixel_size_m[:, :, small],
        guides=guides,
    )
    plain = relief_of(b.coarse.float(), K, "backprojected").double()
    x = 0.5 * (plain + relief(b.fine, b))
    x[0, 1, 5, 5] -= 90  # a pit, so that sinks have something to say
    assert torch.autograd.gradcheck(
        lambda x: physics_terms(x, plain, b, {name: 1.0}, EDGE)[name],
        (x.requires_grad_(),),
        eps=1e-5,
        atol=1e-5,
        rtol=1e-3,
        fast_mode=True,
    )


@pytest.mark.parametrize("name", [*PLAIN, "sar"])
def test_height_above_the_datum_is_no_matter(name: str) -> None:
    low, high = batch(), batch(above=4000.0)
    assert value(name, halfway(low), high) == pytest.approx(value(name, halfway(low), low), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", ["gradient", "slope_angle", "aspect", "curvature", "sar"])
def test_a_term_says_much_the_same_on_gentle_and_on_steep_ground(name: str) -> None:
    gentle, steep = batch(exaggerate=0.5), batch(exaggerate=2.0)
    a, b = value(name, halfway(gentle), gentle), value(name, halfway(steep), steep)
    assert 0.6 < a / b < 1.6


def test_the_wrong_orbit_is_punished() -> None:
    b = batch()
    east = b.guides["look_east"].clone()
    east[:, :1] *= -1
    turned = replace(b, guides={**b.guides, "look_east": east})
    assert value("sar", relief(b.fine, b), turned) > 0.5


def test_covers_and_what_is_not_observed_do_not_count() -> None:
    b = batch()
    vv = b.guides["vv"].clone()
    vv[:, 0] += 7  # a level
    shown = value("sar", halfway(b), b)
    assert value("sar", halfway(b), replace(b, guides={**b.guides, "vv": vv})) == pytest.approx(shown, rel=1e-6)
    vv[:, 0, 20:24, 20:24] += 30
    assert value("sar", halfway(b), replace(b, guides={**b.guides, "vv": vv})) > shown + 0.02
    vv[:, :, 20:24, 20:24] = 0
    assert value("sar", halfway(b), replace(b, guides={**b.guides, "vv": vv})) == pytest.approx(shown, rel=0.1)


def test_patches_without_radar_are_left_out_and_a_batch_of_them_says_nothing() -> None:
    b, alone = batch(2), batch(1)
    first = {name: g * torch.tensor([1.0, 0.0]).double()[:, None, None, None] for name, g in b.guides.items()}
    expected = value("sar", halfway(alone), alone)
    assert value("sar", halfway(b), replace(b, guides=first)) == pytest.approx(expected, rel=1e-6)
    silent = replace(b, guides={name: torch.zeros_like(g) for name, g in b.guides.items()})
    assert physics_terms(halfway(b), cubic(b), silent, {"sar": 1.0, "flow": 1.0}, EDGE).keys() == {"flow"}


@pytest.mark.parametrize("lacks", [("vv", "vh"), ("look_north",), ("vv", "vh", "look_east", "look_north")])
def test_radar_that_the_data_have_not_is_an_error(lacks: tuple[str, ...]) -> None:
    b = batch()
    poor = replace(b, guides={name: g for name, g in b.guides.items() if name not in lacks})
    with pytest.raises(RecipeError, match="expected vv or vh with look_east and look_north"):
        value("sar", halfway(b), poor)
    assert physics_terms(halfway(b), cubic(b), poor, {"sar": 0.0}, EDGE) == {}


def test_the_total_has_each_term_by_its_weight_and_is_as_before_without_them() -> None:
    b = batch()
    detail = halfway(b) - cubic(b)
    outputs = (halfway(b), detail - detail.mean(1, keepdim=True), torch.zeros_like(detail))
    plain = relief_terms(*outputs, b, {})
    asked = {"aspect": 0.2, "sar": 0.3, "flow": 0.0}
    more = relief_terms(*outputs, b, asked)
    assert more.keys() - plain.keys() == {"aspect", "sar"}
    expected = plain["total"] + 0.2 * more["aspect"] + 0.3 * more["sar"]
    torch.testing.assert_close(more["total"], expected)
    assert float(more["aspect"]) == pytest.approx(value("aspect", halfway(b), b), rel=1e-4)
    with pytest.raises(RecipeError, match=r"\['aspekt'\]: no such terms"):
        relief_terms(*outputs, b, {"aspekt": 1.0})


def test_every_term_says_its_unit() -> None:
    assert set(TERMS) == set(PLAIN)
    assert all(term.unit for term in TERMS.values())
