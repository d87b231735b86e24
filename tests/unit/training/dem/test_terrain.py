"""Terrains and patches: splits without leaks, batches that follow from seed and step alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from terrafine.errors import DataError
from terrafine.nn.dihedral import transform
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.patches import Sampler
from terrafine.training.dem.terrain import Terrain, check_leak, split


def terrain(name: str = "a", seed: int = 0, height: int = 400, width: int = 300, weight: float = 1.0) -> Terrain:
    steps = np.random.default_rng(seed).normal(size=(height, width))
    heights = np.round(steps.cumsum(0).cumsum(1) / 3).clip(-30000, 30000).astype(np.int16)
    pixel = np.stack([np.full(height, 30.0), np.linspace(20.0, 25.0, height)])
    return Terrain(name, heights, -32768.0, pixel, weight, ((0, height, 0, width),))


def sampler(**changes: object) -> Sampler:
    plain = Sampler([terrain(), terrain("b", 1)], 4, 16, 3, Family({"mean": 1.0}), 7)
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_same_step_gives_the_same_batch_in_any_order() -> None:
    forward = [sampler()(i) for i in range(4)]
    for step in (3, 0, 2):
        again = sampler()(step)
        for name in ("coarse", "fine", "pixel_size_m"):
            np.testing.assert_array_equal(getattr(again, name), getattr(forward[step], name))
    assert not np.array_equal(forward[0].coarse, forward[1].coarse)
    assert not np.array_equal(forward[0].coarse, sampler(seed=8)(0).coarse)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_coarse_is_the_block_mean_of_fine(scale: int) -> None:
    batch = sampler(scale=scale, coarsen=((1, 0.5), (2, 0.5)), exaggerate=0.3)(5)
    n, _, y, x = batch.fine.shape
    means = batch.fine.reshape(n, 1, y // scale, scale, x // scale, scale).mean(axis=(3, 5))
    np.testing.assert_allclose(means, batch.coarse, atol=2e-3)


def test_pixel_sizes_change_places_with_the_axes() -> None:
    """On ground with 30 m rows and columns of 20-25 m, a transposed patch has them the other way round."""
    sizes = np.concatenate([sampler(batch=16)(i).pixel_size_m[:, :, 0, 0] for i in range(4)])
    upright = np.isclose(sizes[:, 0], 120)
    assert 0.2 < upright.mean() < 0.8
    assert np.isclose(sizes[~upright, 1], 120).all()
    assert ((sizes[upright, 1] >= 80) & (sizes[upright, 1] <= 100)).all()
    assert np.isclose(sampler(mirror=False)(0).pixel_size_m[:, 0], 120).all()


def test_eight_turns_differ_and_commute_with_the_block_mean() -> None:
    fine = np.random.default_rng(0).normal(size=(12, 8))
    means = fine.reshape(3, 4, 2, 4).mean(axis=(1, 3))
    seen = set()
    for turn in range(8):
        turned = transform(fine, turn)
        y, x = turned.shape
        np.testing.assert_allclose(turned.reshape(y // 4, 4, x // 4, 4).mean(axis=(1, 3)), transform(means, turn))
        seen.add(turned.tobytes() + bytes([y]))
    assert len(seen) == 8


def test_no_patch_holds_a_void_or_a_sea() -> None:
    holed = terrain()
    heights = holed.heights.copy()
    heights[:200] = -32768
    heights[200:, :100] = 0
    batches = [sampler(terrains=[replace(holed, heights=heights)], size=8)(i) for i in range(10)]
    assert min(b.fine.min() for b in batches) > -32768
    assert max(float(np.mean(f == 0)) for b in batches for f in b.fine) < 0.3


def test_ground_without_a_usable_patch_is_an_error() -> None:
    flat = replace(terrain(), heights=np.zeros((400, 300), np.int16))
    with pytest.raises(DataError, match="no usable patch"):
        sampler(terrains=[flat])(0)


def test_training_stays_the_gap_away_from_held_out_rows() -> None:
    training, validation = split([terrain(), terrain("b", 1)], {"a": [0.5, 0.75]}, gap=20)
    assert validation[0].zones == ((200, 300, 0, 300),)
    assert {t.name: t.zones for t in training} == {
        "a": ((0, 180, 0, 300), (320, 400, 0, 300)),
        "b": ((0, 400, 0, 300),),
    }
    with pytest.raises(DataError, match="held-out terrains"):
        split([terrain()], {"z": [0, 1]}, gap=0)


def test_a_copy_of_held_out_ground_is_found_whatever_its_name_and_datum() -> None:
    held = terrain()
    lifted = replace(terrain("other", 5), heights=np.vstack([terrain("x", 9).heights, held.heights + 5]))
    lifted = replace(lifted, zones=((0, 800, 0, 300),))
    with pytest.raises(DataError, match="same terrain as held-out a"):
        check_leak([lifted], [held])
    check_leak([terrain("other", 5)], [held])
