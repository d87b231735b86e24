"""Anchored relief has the anchor's block means and the relief's detail, and no more of the relief than that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.rasters import write_raster

from terrafine.errors import GridError
from terrafine.raster.read.source import open_source
from terrafine.raster.warp.fusion import Anchor, fit_relief_gain, fused_rows
from terrafine.raster.warp.resample import block_mean

K = 4


def write(path: Path, z: np.ndarray, cell: float, name: str, x: float = 4e5) -> Path:
    where = {"cell": cell, "crs": "EPSG:32612", "origin": (x, 4e6)}
    return write_raster(path, z.astype(np.float32), names=(name,), **where)


def truth(rows: int = 96, cols: int = 80) -> np.ndarray:
    y, x = np.indices((rows, cols))
    return 800 + 60 * np.sin(y / 9.0) * np.cos(x / 7.0) + 0.8 * y + np.random.default_rng(0).normal(0, 3, (rows, cols))


def fuse(tmp_path: Path, relief: np.ndarray, coarse: np.ndarray, cell: float = 30.0 * K) -> tuple[np.ndarray, float]:
    source = open_source(write(tmp_path / "r.tif", relief, 30.0, "relief"), want=("relief",))
    anchor = Anchor(open_source(write(tmp_path / "c.tif", coarse, cell, "elevation")), source)
    worst: list[float] = []
    out = np.concatenate(list(fused_rows(source, anchor, fit_relief_gain(source, anchor), worst)), axis=1)[0]
    return out, max(worst)


def test_relief_off_by_a_plane_gives_back_the_truth(tmp_path: Path) -> None:
    z = truth()
    y, x = np.indices(z.shape)
    out, worst = fuse(tmp_path, z - 700 + 0.5 * y - 0.3 * x, block_mean(z, None, K)[0])
    assert worst < 1e-3
    assert np.abs(out - z)[8:-8, 8:-8].max() < 0.5
    np.testing.assert_allclose(block_mean(out, None, K)[0], block_mean(z, None, K)[0], atol=1e-3)


def test_the_relief_counts(tmp_path: Path) -> None:
    z = truth()
    coarse = block_mean(z, None, K)[0]
    without, _ = fuse(tmp_path, np.zeros_like(z), coarse)
    assert np.sqrt(np.mean((without - z) ** 2)) > 2


def test_voids_of_either_are_void_and_a_ragged_edge_is_kept(tmp_path: Path) -> None:
    z = truth(94, 79)
    padded = np.pad(z, ((0, 2), (0, 1)), mode="edge")
    relief, coarse = z.copy(), block_mean(padded, None, K)[0]
    relief[30:33, 40:42] = np.nan
    coarse[5, 6] = np.nan
    out, worst = fuse(tmp_path, relief, coarse)
    void = np.zeros(z.shape, bool)
    void[30:33, 40:42] = True
    void[20:24, 24:28] = True
    np.testing.assert_array_equal(np.isnan(out), void)
    assert worst < 1e-3


def test_strips_of_any_height_give_the_same_surface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    z = truth()
    coarse = block_mean(z, None, K)[0]
    whole, _ = fuse(tmp_path, z - 500, coarse)
    monkeypatch.setattr("terrafine.raster.warp.fusion._STRIP", 8)
    strips, _ = fuse(tmp_path, z - 500, coarse)
    np.testing.assert_allclose(strips, whole, atol=1e-3)


def test_an_anchor_elsewhere_or_as_fine_as_the_image_is_refused(tmp_path: Path) -> None:
    z = truth()
    source = open_source(write(tmp_path / "r.tif", z, 30.0, "relief"), want=("relief",))
    with pytest.raises(GridError, match="does not overlap"):
        Anchor(open_source(write(tmp_path / "far.tif", z, 120.0, "elevation", x=8e5)), source)
    with pytest.raises(GridError, match="at least twice as coarse"):
        Anchor(open_source(write(tmp_path / "fine.tif", z, 30.0, "elevation")), source)


@pytest.mark.parametrize("factor", [0.6, 1.0, 2.5])
def test_a_relief_too_faint_or_too_strong_is_brought_to_the_anchors_size(tmp_path: Path, factor: float) -> None:
    z = truth(192, 192)
    coarse = block_mean(z, None, K)[0]
    out, _ = fuse(tmp_path, factor * z, coarse)
    whole, _ = fuse(tmp_path, z, coarse)
    assert np.abs(out - whole)[8:-8, 8:-8].std() < 0.2 * np.std(z - coarse.repeat(K, 0).repeat(K, 1))


def test_a_relief_of_elsewhere_is_hardly_heard(tmp_path: Path) -> None:
    z = truth(192, 192)
    coarse = block_mean(z, None, K)[0]
    without, _ = fuse(tmp_path, np.zeros_like(z), coarse)
    out, worst = fuse(tmp_path, np.random.default_rng(3).normal(0, 40, z.shape), coarse)
    assert worst < 1e-3
    assert 0 < np.std(out - without) < 0.1 * 40
