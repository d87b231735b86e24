"""Interpolation in subcells: registration, precision, and agreement with an independent construction."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from terrafine.nn.dihedral import transform
from terrafine.nn.subcell import consistent_cubic, cubic_taps, forward_differences, linear_taps, on_differences
from terrafine.nn.upsample import METHODS, assemble, relief_of

SCALES = (2, 3, 4)


def fine_surface(heights: np.ndarray, k: int, method: str) -> np.ndarray:
    x = torch.from_numpy(heights.astype(np.float32))[None, None]
    return assemble(x, relief_of(x, k, method), k)[0, 0].numpy()


def block_mean(fine: np.ndarray, k: int) -> np.ndarray:
    y, x = fine.shape
    return fine.reshape(y // k, k, x // k, k).mean(axis=(1, 3))


def rough(seed: int = 0, size: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(size, size)).cumsum(0).cumsum(1)


@pytest.mark.parametrize("k", SCALES)
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "backprojected"])
def test_a_plane_is_reproduced_where_it_lies(k: int, method: str) -> None:
    y, x = np.mgrid[:40, :40]
    fy, fx = (np.mgrid[: 40 * k, : 40 * k] + 0.5) / k - 0.5
    fine = fine_surface(100 + 3.0 * y - 2.0 * x, k, method)
    inner = slice(10 * k, -10 * k)
    truth = 100 + 3.0 * fy - 2.0 * fx
    assert np.abs(fine - truth)[inner, inner].max() < 2e-4
    slipped = 100 + 3.0 * (fy + 0.5) - 2.0 * fx
    assert np.abs(fine - slipped)[inner, inner].max() > 1


@pytest.mark.parametrize("k", SCALES)
def test_cubic_taps_sum_to_one_and_mirror(k: int) -> None:
    for taps in (cubic_taps(k), linear_taps(k), consistent_cubic(k)):
        np.testing.assert_allclose(taps.sum(axis=1), 1.0, atol=1e-12)
        np.testing.assert_allclose(taps, taps[::-1, ::-1], atol=1e-12)


@pytest.mark.parametrize("k", SCALES)
def test_consistent_cubic_is_the_limit_of_back_projection(k: int) -> None:
    heights = rough()
    coarse = heights.copy()
    for _ in range(60):
        coarse = coarse + (heights - block_mean(fine_surface(coarse, k, "bicubic"), k))
    inner = slice(12 * k, -12 * k)
    limit, direct = fine_surface(coarse, k, "bicubic"), fine_surface(heights, k, "backprojected")
    scale = np.abs(heights).max()
    assert np.abs(limit - direct)[inner, inner].max() < 2e-4 * scale
    assert np.abs(fine_surface(heights, k, "bicubic") - direct)[inner, inner].max() > 1e-2 * scale


@pytest.mark.parametrize("k", SCALES)
def test_block_means_of_the_consistent_surface_are_the_heights(k: int) -> None:
    heights = rough(1)
    departure = np.abs(block_mean(fine_surface(heights, k, "backprojected"), k) - heights)[10:-10, 10:-10].max()
    assert departure < 1e-3 * np.abs(heights).max()
    assert np.abs(block_mean(fine_surface(heights, k, "bicubic"), k) - heights)[10:-10, 10:-10].max() > 10 * departure


def test_weights_on_differences_equal_weights_on_heights() -> None:
    rng = np.random.default_rng(3)
    rows, cols = rng.normal(size=(2, 5)), rng.normal(size=(2, 7))
    rows, cols = rows / rows.sum(1, keepdims=True), cols / cols.sum(1, keepdims=True)
    x = torch.from_numpy(rng.normal(size=(1, 1, 11, 11)))
    kernel = torch.from_numpy(on_differences(rows, cols, 3))
    got = torch.nn.functional.conv2d(forward_differences(x), kernel, padding=3)[0, :, 5, 5].numpy()
    window = x[0, 0].numpy()[3:8, 2:9]
    want = [r @ window @ c - x[0, 0, 5, 5].item() for r in rows for c in cols]
    np.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_thousand_metres_up_the_relief_is_the_same(method: str) -> None:
    x = torch.from_numpy(np.round(rough(2) * 10).astype(np.float32))[None, None]
    assert torch.equal(relief_of(x, 4, method), relief_of(x + 1000, 4, method))


def test_nearest_repeats_cells() -> None:
    heights = rough(4, 9)
    np.testing.assert_array_equal(
        fine_surface(heights, 3, "nearest"), heights.astype(np.float32).repeat(3, axis=0).repeat(3, axis=1)
    )


def test_eight_turns_are_all_different() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    turned = {(tuple(t.shape), tuple(t.flatten().tolist())) for t in (transform(x, i) for i in range(8))}
    assert len(turned) == 8
