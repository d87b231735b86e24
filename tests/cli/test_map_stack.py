"""`terrafine map --stack`: dates of one place in any order, with a cloud in one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from tests.support.rasters import write_raster

import terrafine
from terrafine.cli import main
from terrafine.errors import GridError, NoModelError, UsageError

NAMES = ("red", "green", "blue", "nir")
SIDE = 72


def scene(path: Path, seed: int, hole: bool = False, cell: float = 10.0) -> Path:
    """Fields on the left, a town on the right."""
    rng = np.random.default_rng(seed)
    numbers = np.empty((4, SIDE, SIDE))
    numbers[:, :, : SIDE // 2] = np.array([400, 600, 300, 3500 - 300 * seed])[:, None, None]
    numbers[:, :, SIDE // 2 :] = np.array([1600, 1500, 1400, 1800])[:, None, None]
    numbers = (numbers * rng.uniform(0.9, 1.1, numbers.shape)).astype(np.uint16)
    if hole:
        numbers[:, 10:20, 10:30] = 0
    return write_raster(path, numbers, names=NAMES, nodata=0, cell=cell, crs="EPSG:32632")


def chances(path: Path) -> np.ndarray:
    with rasterio.open(path.with_name(path.stem + "_probability.tif")) as src:
        return src.read(1)


def run(out: Path, *paths: Path, stack: bool = True) -> np.ndarray:
    terrafine.map_impervious(list(paths) if len(paths) > 1 else paths[0], out, probability=True, stack=stack)
    return chances(out)


def test_the_order_of_dates_does_not_matter_and_both_count(tmp_path: Path) -> None:
    a, b = scene(tmp_path / "a.tif", 1), scene(tmp_path / "b.tif", 2)
    both, turned = run(tmp_path / "ab.tif", a, b), run(tmp_path / "ba.tif", b, a)
    one, other = run(tmp_path / "one.tif", a, stack=False), run(tmp_path / "other.tif", b, stack=False)
    assert np.abs(both.astype(int) - turned).max() <= 1
    low, high = np.minimum(one, other).astype(int), np.maximum(one, other).astype(int)
    assert ((both >= low - 1) & (both <= high + 1)).all()
    assert (one != other).any()


def test_where_one_date_is_missing_the_other_decides(tmp_path: Path) -> None:
    a, b = scene(tmp_path / "a.tif", 1), scene(tmp_path / "b.tif", 2, hole=True)
    both, alone = run(tmp_path / "ab.tif", a, b), run(tmp_path / "a_only.tif", a, stack=False)
    assert (both != 255).all()
    inside = np.s_[120:180, 120:280]
    assert np.abs(both[inside].astype(int) - alone[inside]).max() <= 1


def test_what_is_no_set_of_dates_is_refused(tmp_path: Path) -> None:
    a, b = scene(tmp_path / "a.tif", 1), scene(tmp_path / "b.tif", 2)
    out = tmp_path / "out.tif"
    with pytest.raises(UsageError, match="1 file with stack=True"):
        terrafine.map_impervious(a, out, stack=True)
    with pytest.raises(UsageError, match="is given twice"):
        terrafine.map_impervious([a, a], out, stack=True)
    with pytest.raises(GridError, match="its grid is"):
        terrafine.map_impervious([a, scene(tmp_path / "c.tif", 2, cell=9.5)], out, stack=True)
    with pytest.raises(NoModelError, match="jointseg reads one date"):
        terrafine.map_impervious([a, b], out, stack=True, model="jointseg")
    result = CliRunner().invoke(main, ["map", str(a), str(out), "--stack"])
    assert result.exit_code == 2
    assert "--stack" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "b.tif", "c.tif"]
