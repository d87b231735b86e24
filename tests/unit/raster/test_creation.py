"""Creation options are what is allowed, and change how a file is stored, never what it holds."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from terrafine.errors import UsageError
from terrafine.raster.write.cog_writer import write_cog
from terrafine.raster.write.creation import ALLOWED, layout_of


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"TILED": "YES"}, "expected COMPRESS"),
        ({"COMPRESS": "JPEG"}, "expected ZSTD"),
        ({"LEVEL": "23"}, "1 to 22"),
        ({"LEVEL": "0"}, "1 to 22"),
        ({"COMPRESS": "DEFLATE", "LEVEL": "10"}, "1 to 9"),
        ({"COMPRESS": "LZW", "LEVEL": "1"}, "no levels"),
        ({"COMPRESS": "LZW", "compress": "ZSTD"}, "twice"),
        ({"OVERVIEWS": ""}, "AUTO, NONE"),
    ],
)
def test_what_is_not_allowed_is_refused(given: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        layout_of(given)


def write(path: Path, given: dict[str, str]) -> np.ndarray:
    rows = np.random.default_rng(0).normal(500, 50, (1, 600, 700)).astype(np.float32)
    box = GeoBox((600, 700), rasterio.Affine(30, 0, 5e5, 0, -30, 5e6), "EPSG:32633")
    write_cog(path, box, [rows], band_names=("elevation",), units=("m",), tags={}, **layout_of(given))
    return rows[0]


@pytest.mark.parametrize("compress", ALLOWED["COMPRESS"])
def test_every_compression_holds_the_same_values(tmp_path: Path, compress: str) -> None:
    meant = write(tmp_path / "a.tif", {"compress": compress.lower()})
    with rasterio.open(tmp_path / "a.tif") as file:
        found = (file.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION") or "NONE").upper()
        assert found == compress
        assert np.array_equal(file.read(1), meant)


def test_a_higher_level_is_smaller_and_overviews_can_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "1.tif", {"LEVEL": "1"})
    write(tmp_path / "9.tif", {"LEVEL": "19"})
    write(tmp_path / "n.tif", {"OVERVIEWS": "NONE", "STATISTICS": "NO"})
    write(tmp_path / "d.tif", {})
    assert (tmp_path / "d.tif").read_bytes() == (tmp_path / "1.tif").read_bytes()
    assert (tmp_path / "9.tif").stat().st_size < (tmp_path / "1.tif").stat().st_size
    with rasterio.open(tmp_path / "n.tif") as file:
        assert file.overviews(1) == [] and "STATISTICS_MEAN" not in file.tags(1)
    with rasterio.open(tmp_path / "d.tif") as file:
        assert file.overviews(1) == [2] and "STATISTICS_MEAN" in file.tags(1)
