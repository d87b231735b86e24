from __future__ import annotations

import numpy as np
import pytest
from tests.support.surfaces import terrain

from terrafine.evaluation.overview import Overview, pooled


def gathered(z: np.ndarray, block: int, max_side: int) -> Overview:
    view = Overview(z.shape, max_side)
    for r in range(0, z.shape[0], block):
        for c in range(0, z.shape[1], block):
            view.add("z", z[r : r + block, c : c + block], (r, c))
    return view


@pytest.mark.parametrize("block", [7, 10, 64, 200])
def test_the_overview_is_the_mean_of_its_blocks_however_the_surface_streams(block: int) -> None:
    z = terrain(128)[:101, :90].copy()
    z[20:32, 40:50] = np.nan
    view = gathered(z, block, 26)
    assert view.factor == 4
    cut = z[:100, :88].reshape(25, 4, 22, 4).transpose(0, 2, 1, 3).reshape(25, 22, 16)
    seen = np.isfinite(cut).any(axis=2)
    expected = np.full((25, 22), np.nan)
    expected[seen] = np.nanmean(cut[seen], axis=1)
    np.testing.assert_allclose(view.mean("z"), expected, rtol=1e-12)
    shifted = gathered(np.roll(z, 1, axis=1), block, 26).mean("z")
    assert np.nanmax(np.abs(shifted - expected)) > 0.1


def test_a_small_surface_is_its_own_overview() -> None:
    z = terrain(32)
    view = gathered(z, 10, 512)
    np.testing.assert_array_equal(view.mean("z"), z)
    assert view.liveliest("z", 24) is None


def test_the_detail_lies_where_heights_vary_most_and_within_the_extent() -> None:
    z = terrain(256) * 0.01
    z[150:250, 20:90] += terrain(128, seed=3)[:100, :70]
    view = gathered(z, 64, 128)
    found = view.liveliest("z", 60)
    assert found is not None
    rows, cols = found
    assert (rows.stop - rows.start, cols.stop - cols.start) == (60, 60)
    assert rows.start >= 120
    assert cols.start <= 60
    assert view.box(rows, cols) == (cols.start / 256, rows.start / 256, cols.stop / 256, rows.stop / 256)


def test_a_line_of_one_cell_survives_pooling() -> None:
    mask = np.zeros((64, 64), bool)
    mask[33, :] = True
    small = pooled(mask, Overview((64, 64), 16))
    assert small.shape == (16, 16)
    assert small[8].all()
    assert small.sum() == 16
