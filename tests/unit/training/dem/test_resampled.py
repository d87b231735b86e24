"""Resampled patches: planes keep their slope, waves their amplitude, the cell size follows, nothing is invented."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.recipes import RIDGELINE, write_recipe

from terrafine.errors import RecipeError
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.packed import write_pack
from terrafine.training.dem.patches import Sampler
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.dem.resampled import ResampleFamily, Resampling
from terrafine.training.dem.task import read_data
from terrafine.training.dem.terrain import Terrain, load_terrains
from terrafine.training.recipe import read_recipe

CELLS = 40
ALL = ResampleFamily(rescaled=0.7, rescale=(1.0, 2.0), rotated=0.7, stretched=0.7, stretch=1.5)
RESAMPLINGS = [
    Resampling(),
    Resampling((1.0, 1.0), math.pi / 2),
    Resampling((1.0, 1.0), 0.7),
    Resampling((1.3, 1.3), 0.0),
    Resampling((1.0, 1.6), 2.0),
    Resampling((2.5, 1.7), -1.1),
    Resampling((4.0, 8.0), 0.3),
]


def metres(side: int, pixel: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions of the cells of a window from its centre, metres along y and x."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return y * pixel[0], x * pixel[1]


def on_patch(resampling: Resampling, pixel: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions of the patch's cells on the ground, metres along the terrain's y and x."""
    v, u = metres(CELLS, resampling.pixel_size_m(pixel))
    c, s = math.cos(resampling.angle), math.sin(resampling.angle)
    return c * v - s * u, s * v + c * u


@pytest.mark.parametrize("pixel", [(30.0, 30.0), (30.0, 19.0)])
def test_factor_1_and_angle_0_are_the_terrain_itself(pixel: tuple[float, float]) -> None:
    same = Resampling()
    assert same.side(CELLS, pixel) == CELLS
    assert same.pixel_size_m(pixel) == pixel
    window = np.random.default_rng(0).normal(size=(CELLS, CELLS))
    np.testing.assert_array_equal(same(window, CELLS, pixel), window)


def test_a_right_angle_is_the_terrain_turned() -> None:
    quarter, pixel = Resampling(angle=math.pi / 2), (30.0, 19.0)
    side = quarter.side(CELLS, pixel)
    window = np.random.default_rng(0).normal(size=(side, side))
    edge = (side - CELLS) // 2
    np.testing.assert_allclose(quarter.pixel_size_m(pixel), (19.0, 30.0))
    np.testing.assert_allclose(quarter(window, CELLS, pixel), np.rot90(window[edge:-edge, edge:-edge], -1), atol=1e-9)


@pytest.mark.parametrize("pixel", [(30.0, 30.0), (30.0, 19.0)])
@pytest.mark.parametrize("resampling", RESAMPLINGS)
def test_a_plane_stays_the_plane_with_its_slope(resampling: Resampling, pixel: tuple[float, float]) -> None:
    y, x = metres(resampling.side(CELLS, pixel), pixel)
    patch = resampling(2500 + 0.31 * y - 0.17 * x, CELLS, pixel)
    py, px = resampling.pixel_size_m(pixel)
    down, right = np.gradient(patch, py, px)
    np.testing.assert_allclose(np.hypot(down, right), math.hypot(0.31, 0.17), rtol=1e-5)
    at_y, at_x = on_patch(resampling, pixel)
    np.testing.assert_allclose(patch, 2500 + 0.31 * at_y - 0.17 * at_x, atol=1e-3)


@pytest.mark.parametrize("resampling", RESAMPLINGS[:-1])
def test_a_wave_keeps_its_place_and_loses_what_larger_cells_lose(resampling: Resampling) -> None:
    """Mean over a cell n times as large: the transfer is sinc(n·f) / sinc(f) along each axis of the patch."""
    pixel, length, direction = (30.0, 30.0), 16 * 30.0, 0.4
    k = 2 * math.pi / length * np.array([math.cos(direction), math.sin(direction)])
    y, x = metres(resampling.side(CELLS, pixel), pixel)
    patch = resampling(100 * np.sin(k[0] * y + k[1] * x), CELLS, pixel)
    at_y, at_x = on_patch(resampling, pixel)
    along = np.array([math.cos(direction - resampling.angle), math.sin(direction - resampling.angle)]) / 16
    keeps = np.prod(np.sinc(along * resampling.factor) / np.sinc(along))
    wave = np.sin(k[0] * at_y + k[1] * at_x)
    np.testing.assert_allclose(patch, 100 * keeps * wave, atol=0.1)
    assert keeps > 0.9


def test_detail_finer_than_the_new_cells_is_averaged_and_not_aliased() -> None:
    pixel = (30.0, 30.0)
    stripes = np.indices((400, 400))[1] % 2 * 100.0
    assert np.abs(Resampling((1.0, 8.0))(stripes, CELLS, pixel) - 50).max() < 5
    resampling = Resampling((4.0, 4.0), 0.5)
    side = resampling.side(CELLS, pixel)
    chess = np.indices((side, side)).sum(0) % 2 * 100.0
    assert np.abs(resampling(chess, CELLS, pixel) - 50).max() < 5
    noise = np.random.default_rng(0).normal(size=(side, side))
    assert resampling(noise, CELLS, pixel).std() == pytest.approx(1 / 4, rel=0.15)


def terrain(name: str = "a", seed: int = 0) -> Terrain:
    rng = np.random.default_rng(seed)
    heights = np.round(rng.normal(size=(500, 400)).cumsum(0).cumsum(1) / 3).clip(-30000, 30000).astype(np.int16)
    pixel = np.stack([np.full(500, 30.0), np.linspace(12.0, 25.0, 500)])
    return Terrain(name, heights, -32768.0, pixel, 1.0, ((0, 500, 0, 400),))


def sampler(**changes: object) -> Sampler:
    plain = Sampler([terrain(), terrain("b", 1)], 4, 12, 4, Family({"mean": 1.0}), 7, ((1, 0.7), (2, 0.3)))
    return replace(plain, **({"resample": ALL} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_coarse_is_the_block_mean_of_the_resampled_truth(scale: int) -> None:
    for step in range(4):
        batch = sampler(scale=scale)(step)
        n, _, y, x = batch.fine.shape
        means = batch.fine.reshape(n, 1, y // scale, scale, x // scale, scale).mean(axis=(3, 5))
        np.testing.assert_allclose(means, batch.coarse, atol=2e-3)


def test_seed_and_step_determine_the_batch() -> None:
    forward = [sampler()(i) for i in range(4)]
    for step in (3, 0, 2):
        again = sampler()(step)
        for name in ("coarse", "fine", "pixel_size_m"):
            np.testing.assert_array_equal(getattr(again, name), getattr(forward[step], name))
    assert not np.array_equal(sampler(resample=None)(0).fine, forward[0].fine)


def test_the_slope_in_metres_is_that_of_the_ground_at_any_size_angle_and_ratio() -> None:
    """A slope of 1:2 along x, on cells of 30 by 20 m."""
    heights = np.broadcast_to(np.arange(400, dtype=np.float32) * 10, (500, 400)).copy()
    pixel = np.stack([np.full(500, 30.0), np.full(500, 20.0)])
    slope = Terrain("slope", heights, -32768.0, pixel, 1.0, ((0, 500, 0, 400),))
    sizes = set()
    for step in range(6):
        batch = sampler(terrains=[slope])(step)
        for fine, size in zip(batch.fine[:, 0], batch.pixel_size_m[:, :, 0, 0] / 4, strict=True):
            down, right = np.gradient(fine.astype(np.float64), *size.astype(np.float64))
            np.testing.assert_allclose(np.hypot(down, right), 0.5, rtol=1e-3)
            sizes.add(tuple(size.round(3)))
    assert len(sizes) > 15
    assert min(min(pair) for pair in sizes) >= 20


def test_a_window_with_a_void_is_drawn_again() -> None:
    holed = terrain()
    heights = holed.heights.copy()
    heights[:, :150] = -32768
    rotated = ResampleFamily(rotated=1.0, rescaled=1.0)
    for step in range(6):
        fine = sampler(terrains=[replace(holed, heights=heights)], coarsen=((1, 1.0),), resample=rotated)(step).fine
        assert fine.min() >= heights[:, 150:].min() - 50


def test_no_resampled_patch_lies_in_a_sea() -> None:
    coast = terrain()
    heights = coast.heights.copy()
    heights[:, :150] = 0
    rotated = ResampleFamily(rotated=1.0, rescaled=1.0)
    batches = [sampler(terrains=[replace(coast, heights=heights)], resample=rotated)(i) for i in range(8)]
    assert max(float(np.mean(abs(f) < 1e-6)) for b in batches for f in b.fine) < 0.4


def test_every_kind_is_drawn_with_its_probability_and_inside_its_range() -> None:
    rng = np.random.default_rng(0)
    drawn = [replace(ALL, rescaled=0.25, rotated=0.5, stretched=0.75).draw(rng) for _ in range(2000)]
    ratio = np.array([r.factor[0] / r.factor[1] for r in drawn])
    smaller = np.array([min(r.factor) for r in drawn])
    assert np.mean(smaller > 1) == pytest.approx(0.25, abs=0.03)
    assert np.mean([r.angle != 0 for r in drawn]) == pytest.approx(0.5, abs=0.04)
    assert np.mean(ratio != 1) == pytest.approx(0.75, abs=0.03)
    assert np.mean(ratio > 1) == pytest.approx(np.mean(ratio < 1), abs=0.05)
    assert smaller.min() == 1
    assert smaller.max() <= 2
    assert 1.4 < ratio.max() <= 1.5 + 1e-12
    assert {ResampleFamily().draw(rng) for _ in range(50)} == {Resampling()}


def recipe(path: Path, table: str) -> DemRecipe:
    text = write_recipe(path, network=RIDGELINE).read_text(encoding="utf-8")
    path.write_text(f"{text}\n[resample]\n{table}\n", encoding="utf-8")
    return read_recipe(path, DemRecipe)


def test_a_pack_gives_the_same_patches_and_held_out_ones_stay_as_they_are(ground: Path, tmp_path: Path) -> None:
    files, pack = {"ground/*.tif": 1.0}, tmp_path / "pack.safetensors"
    made = recipe(tmp_path / "r.toml", "rescaled = 0.5\nrescale = [1.0, 1.3]\nrotated = 0.5\nstretched = 0.5")
    write_pack(pack, load_terrains(ground, files), files)
    one, two = read_data(made, ground), read_data(made, ground, pack)
    plain = read_data(replace(made, resample=None), ground)
    for step in range(3):
        assert one.batch(step).fine.equal(two.batch(step).fine)
        assert one.batch(step).coarse.equal(two.batch(step).coarse)
    assert not one.batch(0).fine.equal(plain.batch(0).fine)
    assert all(a.fine.equal(b.fine) for a, b in zip(one.checks, plain.checks, strict=True))
    assert "resample" not in replace(made, resample=None).to_json(), "absent, the digest of older recipes stays"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("rescale = [0.8, 1.6]", r"rescale = \[0\.8, 1\.6\]: expected \[from, to\], 1 ≤ from ≤ to ≤ 4"),
        ("rescale = [1.6, 1.2]", r"expected \[from, to\]"),
        ("rescale = [1.0, 9.0]", r"expected \[from, to\]"),
        ("rescale = 1.6", "expected a list of 2, each a number"),
        ("rescaled = 1.5", r"rescaled = 1\.5: expected 0 to 1"),
        ("rotated = -0.1", r"rotated = -0\.1: expected 0 to 1"),
        ("rotated = true", "rotated"),
        ("stretch = 0.9", r"stretch = 0\.9: expected 1 to 2"),
        ("stretch = nan", "stretch"),
        ("stretched = 2", "stretched = 2"),
        ("angle = 30", "angle"),
    ],
)
def test_a_value_that_cannot_serve_is_refused(table: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=says):
        recipe(tmp_path / "r.toml", table)
