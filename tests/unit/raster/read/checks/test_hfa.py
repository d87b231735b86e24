"""An ERDAS Imagine file that keeps its pixels in another file reads its own `.ige`, and no other file as pixels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.support.hostile_sources import plain_vrt
from tests.support.rasters import heights, read_all, write_raster

from terrafine.errors import SourceError
from terrafine.raster.read.source import open_source

NAME = "a-name-of-40-letters-that-leaves-room----"


@pytest.fixture
def spilled(tmp_path: Path) -> Path:
    (tmp_path / "box").mkdir()
    return write_raster(tmp_path / "box" / f"{NAME}.img", heights((64, 64)), driver="HFA", USE_SPILL="YES")


def redirected(path: Path, to: str, name: str = "evil.img") -> Path:
    """The file with another name of its pixels, of the same length."""
    old = f"{NAME}.ige".encode()
    data = path.read_bytes()
    assert data.count(old) == 1
    out = path.with_name(name)
    out.write_bytes(data.replace(old, to.encode().ljust(len(old), b"\0")))
    return out


def test_a_file_with_its_own_pixels_beside_it_is_read(spilled: Path) -> None:
    with open_source(str(spilled)) as source:
        np.testing.assert_array_equal(read_all(source)[0], heights((64, 64)))
    plain = write_raster(spilled.with_name("plain.img"), heights((64, 64)), driver="HFA")
    with open_source(str(plain)) as source:
        np.testing.assert_array_equal(read_all(source)[0], heights((64, 64)))


@pytest.mark.parametrize("to", ["../secret.bin", "/etc/passwd", "tile.bin", "./evil.ige"])
@pytest.mark.parametrize("through", ["itself", "VRT"])
def test_pixels_of_another_file_are_refused(to: str, through: str, spilled: Path, tmp_path: Path) -> None:
    for place in (tmp_path / "secret.bin", spilled.with_name("tile.bin"), spilled.with_name("evil.ige")):
        shutil.copy(spilled.with_suffix(".ige"), place)
    evil = redirected(spilled, to)
    asked = evil if through == "itself" else plain_vrt(evil.with_name("v.vrt"), evil.name)
    with pytest.raises(SourceError, match=r"keeps its pixels in"):
        open_source(str(asked))


def test_pixels_that_are_a_link_are_refused(spilled: Path, tmp_path: Path) -> None:
    spilled.with_suffix(".ige").rename(tmp_path / "secret.bin")
    spilled.with_suffix(".ige").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(SourceError, match="leads elsewhere"):
        open_source(str(spilled))


def test_types_of_its_own_are_refused(spilled: Path) -> None:
    data = spilled.read_bytes()
    spilled.write_bytes(data.replace(b"{1:oEmif_String,fileName,2:L", b"{1:oEmif_String,fileNamE,2:L"))
    with pytest.raises(SourceError, match="types that are not those"):
        open_source(str(spilled))


def test_metadata_beside_a_raster_lead_to_no_other_folder(spilled: Path) -> None:
    tile = write_raster(spilled.with_name("tile.tif"), heights((64, 64)))
    redirected(spilled, "../secret.bin", "tile.aux")
    with pytest.raises(SourceError, match=r"tile\.aux"):
        open_source(str(tile))


@pytest.mark.parametrize("size", [20, 40, 400, 3_000])
def test_a_file_that_is_cut_is_refused(size: int, spilled: Path) -> None:
    spilled.write_bytes(spilled.read_bytes()[:size])
    with pytest.raises(SourceError):
        open_source(str(spilled))
