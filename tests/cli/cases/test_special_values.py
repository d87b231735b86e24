"""Saturated and defective cells of optical products are unknown and the rest is mapped; bright land is land."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scipy.ndimage import gaussian_filter
from tests.support.cases import assert_refused
from tests.support.cli import terrafine
from tests.support.rasters import read_band, write_raster

SIDE = 48
NAMES = ("B04", "B03", "B02", "B08")
WHERE: dict[str, Any] = {"crs": "EPSG:32630", "cell": 10.0, "origin": (600_000, 5_330_000), "names": NAMES}


def city(side: int = SIDE, seed: int = 5) -> np.ndarray:
    """Sentinel-2 level-2A numbers of four bands."""
    f = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 2)
    f = (f - f.min()) / np.ptp(f)
    return np.round(np.stack([200 + 2200 * f, 300 + 1900 * f, 200 + 1500 * f, 500 + 3500 * f]))


def spots(a: np.ndarray, how: str, value: float) -> np.ndarray:
    """Which cells (y, x) are given the value, in place."""
    where = np.zeros(a.shape[1:], bool)
    if how == "one":
        where[40, 40] = True
    elif how == "corner":
        where[0, 0] = True
    elif how == "patch":
        where[30:36, 20:29] = True
    elif how == "scattered":
        where[5::17, 7::13] = True
    else:
        where[40, 40] = True
        a[0, where] = value
        return where
    a[:, where] = value
    return where


@pytest.mark.parametrize("sensor", [(), ("--sensor", "sentinel2")])
@pytest.mark.parametrize("how", ["one", "corner", "patch", "scattered", "one-band"])
def test_saturated_cells_are_unknown_in_the_map_and_counted(how: str, sensor: tuple[str, ...], tmp_path: Path) -> None:
    a = city()
    where = spots(a, how, 65535)
    path, out = write_raster(tmp_path / "a.tif", a.astype(np.uint16), nodata=0, **WHERE), tmp_path / "o.tif"
    result = terrafine("map", path, out, *sensor)
    assert result.exit_code == 0, result.output
    assert "saturat" in result.output.lower() and str(int(where.sum())) in result.output, result.output
    cells = read_band(out).reshape(SIDE, 10, SIDE, 10)
    assert (cells.transpose(0, 2, 1, 3)[where] == 255).all()
    assert (cells.transpose(0, 2, 1, 3)[~where] != 255).mean() > 0.9
    with rasterio.open(out) as file:
        tags = file.tags(ns="TERRAFINE")
    assert tags["SATURATED_CELLS"] == str(int(where.sum()))
    assert tags["SATURATED_BANDS"].startswith("red=")
    assert "FLAGGED_CELLS" not in tags


@pytest.mark.parametrize("verb", ["image", "height"])
def test_other_verbs_leave_saturated_cells_out_too(verb: str, tmp_path: Path) -> None:
    a = city()
    where = spots(a, "one", 65535)
    path, out = write_raster(tmp_path / "a.tif", a.astype(np.uint16), nodata=0, **WHERE), tmp_path / "o.tif"
    result = terrafine(verb, path, out, "--sensor", "sentinel2", "--quiet")
    assert result.exit_code == 0, result.output
    with rasterio.open(out) as file:
        known = ~np.ma.getmaskarray(file.read(1, masked=True))
        assert file.tags(ns="TERRAFINE")["SATURATED_CELLS"] == "1"
    k = known.shape[0] // SIDE
    blocks = known.reshape(SIDE, k, SIDE, k).transpose(0, 2, 1, 3)
    assert not blocks[where].any()
    assert blocks[~where].mean() > 0.9


@pytest.mark.parametrize(
    ("dtype", "value"), [("int16", 32767), ("int32", 65535), ("float32", 65535), ("uint16", 65534)]
)
def test_other_types_and_codes_are_unknown_or_refused_with_advice_that_helps(
    dtype: str, value: float, tmp_path: Path
) -> None:
    a = city()
    spots(a, "one", value)
    path, out = write_raster(tmp_path / "a.tif", a.astype(dtype), nodata=0, **WHERE), tmp_path / "o.tif"
    result = terrafine("map", path, out, "--sensor", "sentinel2", "--quiet")
    if result.exit_code:
        assert_refused(result, str(int(value)), "--nodata", output=out)
        assert "which sensor it is" not in result.output
        b = a.copy()
        other = write_raster(tmp_path / "b.tif", b.astype(dtype), nodata=None, **WHERE)
        followed = terrafine("map", other, out, "--sensor", "sentinel2", "--quiet", "--nodata", value)
        assert followed.exit_code == 0, followed.output


def test_a_scene_of_saturated_cells_only_is_refused(tmp_path: Path) -> None:
    path, out = (
        write_raster(tmp_path / "a.tif", np.full((4, SIDE, SIDE), 65535, np.uint16), nodata=0, **WHERE),
        tmp_path / "o.tif",
    )
    assert_refused(terrafine("map", path, out, "--quiet"), output=out)


DESERTS = {
    "sand": (4200, 3300, 2300, 5000), "salt": (6800, 6600, 6300, 6900), "gypsum": (7800, 7700, 7500, 7600),
    "dune": (3600, 2600, 1700, 4400), "snow": (9300, 9400, 9500, 8800), "dry-lake": (5200, 4800, 4100, 5600),
}  # fmt: skip


@pytest.mark.parametrize("name", DESERTS)
def test_bright_land_is_mapped_where_the_sensor_was_named(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 120, (4, SIDE, SIDE))
    a = np.array(DESERTS[name])[:, None, None] + gaussian_filter(noise, (0, 1, 1)) * 3
    path, out = write_raster(tmp_path / "a.tif", np.round(a).astype(np.uint16), nodata=0, **WHERE), tmp_path / "o.tif"
    result = terrafine("map", path, out, "--sensor", "sentinel2")
    assert result.exit_code == 0, result.output


def test_the_map_states_what_its_weights_saw(tmp_path: Path) -> None:
    path, out = write_raster(tmp_path / "a.tif", city().astype(np.uint16), nodata=0, **WHERE), tmp_path / "o.tif"
    result = terrafine("map", path, out)
    assert result.exit_code == 0, result.output
    with rasterio.open(out) as file:
        tags = str(file.tags(ns="TERRAFINE")) + str(file.tags())
    assert "train" in result.output.lower(), result.output
    assert "train" in tags.lower()
