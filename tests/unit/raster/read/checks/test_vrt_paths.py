"""A VRT's sources are looked for where GDAL looks for them: through links, nested, in any case of its names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from tests.support.rasters import heights, read_all, write_raster

from terrafine.errors import SourceError
from terrafine.raster.read.source import open_source

VALUES = heights((4, 4))


def vrt(path: Path, source: str, attribute: str = 'relativeToVRT="1"') -> None:
    path.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="4"><SRS>EPSG:32632</SRS>'
        "<GeoTransform>500000,30,0,5100000,0,-30</GeoTransform>"
        f'<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename {attribute}>{source}'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for folder in ("store/deep", "project/sub", "other"):
        (tmp_path / folder).mkdir(parents=True)
    write_raster(tmp_path / "store/tile.tif", VALUES, crs="EPSG:32632", nodata=None)
    vrt(tmp_path / "store/all.vrt", "tile.tif")
    vrt(tmp_path / "store/deep/up.vrt", "../tile.tif")
    vrt(tmp_path / "store/nest.vrt", "deep/up.vrt")
    for link, to in {
        "project/link.vrt": "../store/all.vrt",
        "project/again.vrt": "link.vrt",
        "project/absolute.vrt": tmp_path / "store/all.vrt",
        "project/folder": "../store",
        "project/nest.vrt": "../store/nest.vrt",
        "project/sub/deep": "../../store/deep",
        "project/through.vrt": "sub/deep/up.vrt",
        "other/tile.tif": "../store/tile.tif",
    }.items():
        (tmp_path / link).symlink_to(to)
    vrt(tmp_path / "other/lower.vrt", "../store/tile.tif", 'relativetoVRT="1"')
    vrt(tmp_path / "other/upper.vrt", "../store/tile.tif", 'RELATIVETOVRT="1"')
    vrt(tmp_path / "other/to_link.vrt", "../project/again.vrt")
    vrt(tmp_path / "other/to_folder.vrt", "../project/folder/all.vrt")
    vrt(tmp_path / "other/here.vrt", "store/tile.tif", "")
    vrt(tmp_path / "other/linked_tile.vrt", "tile.tif")
    return tmp_path


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "project/link.vrt",
        "project/again.vrt",
        "project/absolute.vrt",
        "project/folder/all.vrt",
        "project/folder/nest.vrt",
        "project/nest.vrt",
        "project/sub/deep/up.vrt",
        "project/through.vrt",
        "other/lower.vrt",
        "other/upper.vrt",
        "other/to_link.vrt",
        "other/to_folder.vrt",
        "other/here.vrt",
        "other/linked_tile.vrt",
    ],
)
def test_what_gdal_reads_is_read(store: Path, name: str, absolute: bool) -> None:
    path = store / name if absolute else Path(name)
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(1), VALUES)
    with open_source(path) as source:
        values, valid = read_all(source)
        assert valid.all() and np.array_equal(values, VALUES) and source.identity()["sha256"]


@pytest.mark.parametrize("name", ["project/link.vrt", "project/nest.vrt", "other/upper.vrt", "other/to_link.vrt"])
def test_what_gdal_does_not_find_is_refused_and_named(store: Path, name: str) -> None:
    (store / "store/tile.tif").unlink()
    with pytest.raises(SourceError, match=r"not there, such as .*tile\.tif"):
        open_source(name)


def test_a_source_beside_the_link_is_not_the_one_beside_its_target(store: Path) -> None:
    (store / "store/tile.tif").rename(store / "project/tile.tif")
    with pytest.raises(SourceError, match="not there"):
        open_source("project/link.vrt")


def test_links_in_a_circle_are_refused(store: Path) -> None:
    (store / "a.vrt").symlink_to("b.vrt")
    (store / "b.vrt").symlink_to("a.vrt")
    with pytest.raises((SourceError, OSError)):
        open_source("a.vrt")
