"""A raster is read through links, VRTs and folders by the same rules as GDAL's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from tests.support.cases import assert_heights, assert_refused, ground, sharpen
from tests.support.cli import terrafine
from tests.support.rasters import write_raster

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")


def vrt(path: Path, source: str, relative: bool = True) -> Path:
    """A VRT of one source band of 48×48 cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""<VRTDataset rasterXSize="48" rasterYSize="48"><SRS>EPSG:32633</SRS>
<GeoTransform>500000, 30, 0, 5000000, 0, -30</GeoTransform>
<VRTRasterBand dataType="Float32" band="1"><NoDataValue>-9999</NoDataValue><SimpleSource>
<SourceFilename relativeToVRT="{int(relative)}">{source}</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource></VRTRasterBand></VRTDataset>""",
        encoding="utf-8",
    )
    return path


def tile(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return write_raster(folder / "tile.tif", ground().astype(np.float32))


def link_in_folder(root: Path) -> Path:
    tile(root / "store")
    vrt(root / "store" / "a.vrt", "tile.tif")
    (root / "project").mkdir()
    (root / "project" / "link.vrt").symlink_to("../store/a.vrt")
    return root / "project" / "link.vrt"


def link_to_link(root: Path) -> Path:
    first = link_in_folder(root)
    (root / "second.vrt").symlink_to(first)
    return root / "second.vrt"


def folder_link(root: Path) -> Path:
    tile(root / "store" / "deep")
    vrt(root / "store" / "a.vrt", "deep/tile.tif")
    (root / "linked").symlink_to("store", target_is_directory=True)
    return root / "linked" / "a.vrt"


def vrt_in_vrt_through_links(root: Path) -> Path:
    inner = link_in_folder(root)
    return vrt(root / "outer" / "b.vrt", os.path.relpath(inner, root / "outer"))


def tile_is_a_link(root: Path) -> Path:
    real = tile(root / "store")
    (root / "project").mkdir()
    (root / "project" / "t.tif").symlink_to(real)
    return vrt(root / "project" / "a.vrt", "t.tif")


def absolute(root: Path) -> Path:
    real = tile(root / "store")
    path = vrt(root / "project" / "a.vrt", str(real), relative=False)
    (root / "l.vrt").symlink_to(path)
    return root / "l.vrt"


def dots(root: Path) -> Path:
    tile(root / "store" / "data")
    (root / "store" / "x").mkdir()
    vrt(root / "store" / "x" / "a.vrt", "../data/tile.tif")
    (root / "elsewhere").symlink_to(root / "store" / "x", target_is_directory=True)
    return root / "elsewhere" / "a.vrt"


def plain_link(root: Path) -> Path:
    (root / "a.tif").symlink_to(tile(root / "store"))
    return root / "a.tif"


MADE = [link_in_folder, link_to_link, folder_link, vrt_in_vrt_through_links, tile_is_a_link, absolute, dots, plain_link]


@pytest.mark.parametrize("make", MADE)
def test_what_gdal_reads_is_read(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path)
    try:
        with rasterio.open(path) as file:
            file.read(1)
    except rasterio.errors.RasterioError:
        pytest.skip("this GDAL does not read it")
    assert_heights(sharpen(path, tmp_path / "o.tif"), tmp_path / "o.tif", ground(), tolerance=1e-3)
    assert terrafine("info", path).exit_code == 0
    result = terrafine("evaluate", path, path, "--no-hydrology", "--quiet")
    assert result.exit_code == 0, result.output
    monkeypatch.chdir(path.parent)
    assert sharpen(path.name, "../rel_o.tif").exit_code == 0


def test_a_source_that_is_missing_is_named(tmp_path: Path) -> None:
    path = link_in_folder(tmp_path)
    (tmp_path / "store" / "tile.tif").unlink()
    assert_refused(sharpen(path, tmp_path / "o.tif"), "tile.tif", output=tmp_path / "o.tif", code=3)


def test_a_dangling_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").symlink_to("nowhere.tif")
    assert_refused(sharpen(tmp_path / "a.tif", tmp_path / "o.tif"), output=tmp_path / "o.tif", code=3)


def test_an_output_over_its_own_source_through_links_is_refused(tmp_path: Path) -> None:
    path = link_in_folder(tmp_path)
    before = (tmp_path / "store" / "tile.tif").read_bytes()
    (tmp_path / "o.tif").symlink_to(tmp_path / "store" / "tile.tif")
    result = sharpen(path, tmp_path / "o.tif")
    assert result.exit_code == 12, result.output
    assert (tmp_path / "store" / "tile.tif").read_bytes() == before
