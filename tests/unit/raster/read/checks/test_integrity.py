"""A file cut short is an error when it is opened or read, never nodata."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from tests.support.rasters import heights, read_all, write_raster

from terrafine.errors import SourceError
from terrafine.raster.read.checks.integrity import check_whole, content_digest, read_directories
from terrafine.raster.read.checks.vet import check_parts
from terrafine.raster.read.source import open_source

TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}


@pytest.mark.parametrize("more", [{}, TILED, {**TILED, "bigtiff": "YES"}, {"compress": "lzw"}])
@pytest.mark.parametrize("kept", [0.999, 0.7, 0.3, 0.01])
def test_a_tiff_cut_anywhere_is_refused(tmp_path: Path, more: dict[str, object], kept: float) -> None:
    path = write_raster(tmp_path / "a.tif", heights((300, 300)), **more)  # type: ignore[arg-type]
    check_whole(str(path))
    with open(path, "r+b") as file:
        file.truncate(int(path.stat().st_size * kept))
    with pytest.raises(SourceError, match=r"a\.tif"):
        read_all(open_source(path))


def test_a_tiff_none_of_whose_blocks_was_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=90, width=90, dtype="float32", crs="EPSG:32633",
        transform=rasterio.Affine(30, 0, 0, 0, -30, 0), sparse_ok=True, nodata=-9999, **TILED,
    ):  # fmt: skip
        pass
    with pytest.raises(SourceError, match="none of its"):
        open_source(path)


def test_damaged_data_is_an_error_when_read(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", heights((200, 200)), **TILED)  # type: ignore[arg-type]
    data = bytearray(path.read_bytes())
    found = read_directories(str(path))
    assert found is not None
    at, n = int(found[0].offsets[5]), int(found[0].counts[5])
    data[at : at + n] = bytes(n)
    path.write_bytes(bytes(data))
    with pytest.raises(SourceError, match="cannot be read"):
        read_all(open_source(path))


def test_directories_agree_with_gdal(tmp_path: Path) -> None:
    for name, more in (("c.tif", {}), ("b.tif", {"bigtiff": "YES"}), ("m.tif", {"endianness": "BIG"})):
        path = write_raster(tmp_path / name, heights((200, 150)), **TILED, **more)  # type: ignore[arg-type]
        found = read_directories(str(path))
        assert found is not None and len(found) == 1
        with rasterio.open(path) as file:
            expected = [
                int(file.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=1)) for y in range(4) for x in range(3)
            ]
        assert found[0].offsets.tolist() == expected


def test_what_is_no_tiff_is_left_to_its_driver(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"II but no tiff")
    assert read_directories(str(path)) is None
    check_whole(str(path))


def test_a_hostile_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, 60_000) + b"\0" * 100)
    with pytest.raises(SourceError, match="60000 entries"):
        check_whole(str(path))
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<HHHII", 1, 324, 16, 1 << 30, 8) + b"\0" * 4)
    with pytest.raises(SourceError, match="truncated"):
        check_whole(str(path))


def test_the_digest_sees_a_changed_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(np.arange(10_000, dtype=np.int32).tobytes())
    before = content_digest(str(path))
    with open(path, "r+b") as file:
        file.seek(777)
        file.write(b"!")
    assert content_digest(str(path)) != before


VRT = """<VRTDataset rasterXSize="60" rasterYSize="40"><SRS>EPSG:32633</SRS>
<GeoTransform>500000, 30, 0, 5000000, 0, -30</GeoTransform><VRTRasterBand dataType="Float32" band="1">{}
</VRTRasterBand></VRTDataset>"""
PART = """<SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename><SourceBand>1</SourceBand>
<SrcRect xOff="0" yOff="0" xSize="30" ySize="40"/><DstRect xOff="{}" yOff="0" xSize="30" ySize="40"/></SimpleSource>"""


def vrt_of(path: Path, *names: str) -> Path:
    """A VRT of parts 30 cells wide, side by side."""
    path.write_text(VRT.format("".join(PART.format(name, 30 * i) for i, name in enumerate(names))))
    return path


def test_a_vrt_whose_part_is_missing_is_refused_with_the_name_of_the_part(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        write_raster(tmp_path / name, heights((40, 30)))
    inner = vrt_of(tmp_path / "inner.vrt", "a.tif", "b.tif")
    outer = vrt_of(tmp_path / "outer.vrt", "inner.vrt")
    check_parts(str(outer))
    assert read_all(open_source(inner))[1].all()
    (tmp_path / "b.tif").unlink()
    for path in (inner, outer):
        with pytest.raises(SourceError, match=r"inner\.vrt: names 2 files, and 1 .*b\.tif") as refusal:
            open_source(path)
        assert "truncated" not in str(refusal.value)
