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
from terrafine.errors import BandError, GridError, NoModelError, UsageError

NAMES = ("red", "green", "blue", "nir")
SIDE = 72


def scene(
    path: Path,
    seed: int,
    hole: bool = False,
    cell: float = 10.0,
    crs: str = "EPSG:32632",
    bands: int = 4,
    add: int = 0,
) -> Path:
    """Fields on the left, a town on the right."""
    rng = np.random.default_rng(seed)
    numbers = np.empty((4, SIDE, SIDE))
    numbers[:, :, : SIDE // 2] = np.array([400, 600, 300, 3500 - 300 * seed])[:, None, None]
    numbers[:, :, SIDE // 2 :] = np.array([1600, 1500, 1400, 1800])[:, None, None]
    numbers = (numbers * rng.uniform(0.9, 1.1, numbers.shape)).astype(np.uint16)
    if hole:
        numbers[:, 10:20, 10:30] = 0
    numbers = np.where(numbers > 0, numbers + add, 0).astype(np.uint16)[:bands]
    return write_raster(path, numbers, names=NAMES[:bands], nodata=0, cell=cell, crs=crs)


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


@pytest.mark.parametrize("how", ["copied", "as reflectance"])
def test_a_date_that_is_there_twice_under_two_names_is_refused(how: str, tmp_path: Path) -> None:
    a, b = scene(tmp_path / "a.tif", 1), tmp_path / "b.tif"
    with rasterio.open(a) as src:
        numbers, profile = src.read(), src.profile
    if how == "copied":
        b.write_bytes(a.read_bytes())
    else:
        with rasterio.open(b, "w", **(profile | {"dtype": "float32", "compress": "deflate"})) as dst:
            dst.write((numbers / 10_000).astype(np.float32))
            dst.descriptions, dst.units = NAMES, ("1",) * 4
    with pytest.raises(UsageError, match=r"b\.tif: holds the reflectance of .*a\.tif; .* each date once"):
        terrafine.map_impervious([a, b], tmp_path / "out.tif", stack=True)
    assert not (tmp_path / "out.tif").exists()


def test_near_infrared_of_some_dates_alone_is_refused_and_of_none_is_noted(tmp_path: Path) -> None:
    a, b = scene(tmp_path / "a.tif", 1), scene(tmp_path / "b.tif", 2, bands=3)
    c, out = scene(tmp_path / "c.tif", 3, bands=3), tmp_path / "out.tif"
    for pair in ([a, b], [b, a]):
        with pytest.raises(BandError, match=r"b\.tif: no band is called nir, which .*a\.tif has"):
            terrafine.map_impervious(pair, out, stack=True)
    assert not out.exists()
    done = CliRunner().invoke(main, ["map", str(b), str(c), str(out), "--stack"])
    assert done.exit_code == 0, done.output
    assert "no near infrared" in done.output
    with rasterio.open(out) as src:
        assert src.tags(ns="TERRAFINE")["MISSING_BANDS"] == "nir"


def test_another_fault_of_a_date_is_not_taken_for_missing_near_infrared(tmp_path: Path) -> None:
    a, b = scene(tmp_path / "a.tif", 1), scene(tmp_path / "b.tif", 2, bands=3)
    c = scene(tmp_path / "c.tif", 3, add=1000)
    with pytest.raises(BandError, match=r"c\.tif: .*sensor=") as error:
        terrafine.map_impervious([a, b, c], tmp_path / "out.tif", stack=True)
    assert "no band is called" not in str(error.value)
    assert not (tmp_path / "out.tif").exists()


def test_a_date_of_another_grid_is_refused_with_the_warp_that_mends_it(tmp_path: Path) -> None:
    a, b = scene(tmp_path / "a.tif", 1), scene(tmp_path / "b.tif", 2, crs="EPSG:32633")
    with rasterio.open(a) as src:
        edges = " ".join(f"{edge:.10g}" for edge in src.bounds)
    with pytest.raises(GridError) as error:
        terrafine.map_impervious([a, b], tmp_path / "out.tif", stack=True)
    assert "in EPSG:32633" in str(error.value) and "in EPSG:32632" in str(error.value)
    assert f"gdalwarp -r cubic -t_srs EPSG:32632 -te {edges} -ts {SIDE} {SIDE} in.tif out.tif" in str(error.value)


def test_one_date_with_the_offset_of_2022_says_how_it_alone_is_stated_and_that_works(tmp_path: Path) -> None:
    a, b = scene(tmp_path / "a.tif", 1), scene(tmp_path / "b.tif", 2, add=1000)
    with pytest.raises(BandError, match=r"gdal_edit -a_nodata 0 -scale 0\.0001 -offset -0\.1 FILE"):
        terrafine.map_impervious([a, b], tmp_path / "out.tif", stack=True)
    with rasterio.open(b, "r+") as dst:
        dst.scales, dst.offsets = (1e-4,) * 4, (-0.1,) * 4
    mended = run(tmp_path / "mended.tif", a, b)
    plain = run(tmp_path / "plain.tif", a, scene(tmp_path / "c.tif", 2))
    assert np.abs(mended.astype(int) - plain).max() <= 1
