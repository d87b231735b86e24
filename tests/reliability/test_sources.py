"""No raster makes Terrafine read what nobody asked for: another host, another folder, any file as raw bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from tests.support.asked_host import Host
from tests.support.hostile_beside import BESIDE
from tests.support.hostile_sources import HOSTILE, SECRET, Scene, plain_vrt
from tests.support.rasters import heights, read_all, write_raster

import terrafine
from terrafine.errors import SourceError
from terrafine.host import ALLOWED_REMOTE
from terrafine.raster.read.checks.access import access_scope, allow
from terrafine.raster.read.content_type import kind_of, open_any
from terrafine.raster.read.source import open_source


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("working"))


@pytest.mark.parametrize("attack", HOSTILE | BESIDE)
def test_a_hostile_source_is_refused_and_nothing_is_asked_of_its_host(attack: str, tmp_path: Path, host: Host) -> None:
    scene = Scene.make(tmp_path, host.url)
    name, before = (HOSTILE | BESIDE)[attack](scene), len(host.asked)
    for read in (open_source, kind_of, open_any):
        with pytest.raises(SourceError) as refusal:
            read(name)
        assert not isinstance(refusal.value, terrafine.errors.GridError), refusal.value
    assert host.asked[before:] == []


def test_the_host_hears_who_asks_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALLOWED_REMOTE, raising=False)
    before = len(host.asked)
    with pytest.raises(rasterio.errors.RasterioError):
        rasterio.open(f"/vsicurl/{host.url}/heard.tif")
    assert any("heard.tif" in path for path in host.asked[before:])


def test_the_secret_is_read_where_its_folder_is_allowed(tmp_path: Path, host: Host) -> None:
    scene = Scene.make(tmp_path, host.url)
    vrt = plain_vrt(scene.folder / "a.vrt", str(scene.secret), 0)
    with pytest.raises(SourceError, match=r'allow_folders=".*deep"'):
        open_source(vrt)
    with access_scope():
        allow([scene.secret.parent])
        with open_source(vrt) as source:
            assert (read_all(source)[0] == SECRET).all()
    with pytest.raises(SourceError, match="outside the folder"):
        open_source(vrt)


def test_a_verb_allows_for_its_own_run_alone(tmp_path: Path, host: Host) -> None:
    scene = Scene.make(tmp_path, host.url)
    vrt = plain_vrt(scene.folder / "a.vrt", str(scene.secret), 0)
    options = {"model": "nearest", "scale": 2}
    out = terrafine.sharpen_dem(vrt, tmp_path / "o.tif", allow_folders=[scene.secret.parent], **options)
    assert out.exists()
    with pytest.raises(SourceError, match="outside the folder"):
        terrafine.sharpen_dem(vrt, tmp_path / "p.tif", **options)


def test_a_remote_source_is_asked_for_where_it_is_allowed_or_given(tmp_path: Path, host: Host) -> None:
    scene = Scene.make(tmp_path, host.url)
    vrt = plain_vrt(scene.folder / "a.vrt", f"/vsicurl/{host.url}/allowed.tif", 0)
    with access_scope():
        allow(remote=True)
        with pytest.raises(SourceError):
            read_all(open_source(vrt))
    with pytest.raises(SourceError):
        open_source(f"{host.url}/given.tif")
    assert {"/allowed.tif", "/given.tif"} <= set(host.asked)


def test_what_honest_folders_hold_is_read(tmp_path: Path) -> None:
    values = heights((16, 16))
    for folder in ("vrt", "tiles"):
        (tmp_path / folder).mkdir()
    tile = write_raster(tmp_path / "tiles" / "a.tif", values)
    for source, relative in (("../tiles/a.tif", 1), (str(tile), 0)):
        vrt = plain_vrt(tmp_path / "vrt" / "a.vrt", source, relative)
        with access_scope():
            if not relative:
                allow([tmp_path])
            with open_source(vrt) as opened:
                np.testing.assert_array_equal(read_all(opened)[0], values)
