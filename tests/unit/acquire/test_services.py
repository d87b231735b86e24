"""The shipped services through the real code, with items of the shape that each archive publishes.

The items in tests/data/stac_items.json are written after public examples of each catalogue; ground and files are local.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import array_bounds
from shapely.geometry import box, mapping
from tests.support.paths import ROOT
from tests.support.rasters import read_bands
from tests.support.scenes import PISA, preset, real_numbers, write_asset
from tests.support.stac_server import Server

import terrafine
from terrafine.acquire.options import FetchOptions
from terrafine.acquire.service import Service, find_service
from terrafine.acquire.signing import Signer
from terrafine.errors import NetworkError, UsageError

ITEMS: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "stac_items.json").read_text(encoding="utf-8"))
AOI = (10.381, 43.7222, 10.396, 43.731)
SOON: dict[str, Any] = {"timeout_s": 120.0, "attempts": 2, "backoff_s": 0.0}
SCENES = [key for key in ITEMS if key.endswith("sentinel-2")]


def local(server: Server, name: str) -> Service:
    """A shipped service whose API and files are those of the loopback server."""
    found = find_service(name)
    return dataclasses.replace(found, url=server.url, signing="none", token_url="", hosts=(), s3_endpoint="")


def offer(server: Server, key: str, arrays: dict[str, np.ndarray], where: dict[str, Any]) -> None:
    """The item of a service over local files: place and addresses change, and nothing else."""
    item = copy.deepcopy(ITEMS[key])
    folder = server.place(item["id"])
    for asset in item["assets"].values():
        asset["href"] = asset["href"].replace("s3://", "https://unreachable.invalid/")
    for name, values in arrays.items():
        write_asset(folder / f"{name}.tif", values, where, nodata=None if values.dtype.kind == "f" else 0)
        item["assets"][name]["href"] = f"{server.url}/files/{folder.name}/{name}.tif"
    height, width = next(iter(arrays.values())).shape
    into = Transformer.from_crs(where["crs"], "OGC:CRS84", always_xy=True)
    bounds = into.transform_bounds(*array_bounds(height, width, where["transform"]))
    for stated in (item["properties"], *item["assets"].values()):
        if "proj:transform" in stated:
            stated |= {"proj:transform": list(where["transform"])[:6], "proj:shape": [height, width]}
    server.add({**item, "geometry": mapping(box(*bounds)), "bbox": list(bounds)})


@pytest.mark.parametrize("key", SCENES)
def test_sentinel_2_of_each_archive_becomes_the_same_reflectance(server: Server, tmp_path: Path, key: str) -> None:
    """Earth Search removed the offset and says so; Planetary Computer and CDSE hold ESA's numbers."""
    numbers, where = real_numbers("pisa", 1, PISA)
    service = local(server, key.split(maxsplit=1)[0])
    held = service.collections["sentinel-2"]
    lifted = numbers if key.startswith("earth") else np.where(numbers > 0, numbers + 1000, 0).astype(np.uint16)
    red, nir = numbers[0].astype(np.float32), numbers[3].astype(np.float32)
    classes = np.where((nir - red) > 0.3 * (nir + red), 4, 5).astype(np.uint8)
    arrays = {held.assets[band]: lifted[i] for i, band in enumerate(("red", "green", "blue", "nir"))}
    arrays |= {held.mask: classes}
    if held.look:
        arrays |= {held.look["red"]: lifted[0], held.look["mask"]: classes}
    offer(server, key, arrays, where)
    done = terrafine.fetch("sentinel-2", tmp_path / "s2.tif", aoi=AOI, dates="2023-06", service=service, **SOON)[0]
    bands, tags = read_bands(done.path)
    for i, band in enumerate(("red", "green", "blue", "nir")):
        np.testing.assert_allclose(bands[band], numbers[i, 58:159, 28:152] * 1e-4, atol=1e-6)
    record = json.loads(done.lineage.read_text())["items"][0]
    assert record["processing_baseline"] == 5.09 and record["offset"]["checked"]
    assert tags["OFFSET_SUBTRACTED"].startswith("0 " if key.startswith("earth") else "1000 ")


@pytest.mark.parametrize("name", ["earth-search", "planetary-computer"])
def test_glo_30_keeps_its_heights(server: Server, tmp_path: Path, name: str) -> None:
    cell = 1 / 3600
    heights = np.random.default_rng(2).uniform(0, 60, (60, 90)).astype(np.float32)
    corner = Affine(cell, 0, 9.999861111111112 + 1368 * cell, 0, -cell, 44.000138888888884 - 954 * cell)
    offer(server, f"{name} copernicus-dem", {"data": heights}, {"crs": CRS.from_epsg(4326), "transform": corner})
    done = terrafine.fetch("copernicus-dem", tmp_path / "d.tif", aoi=AOI, service=local(server, name), **SOON)[0]
    bands, tags = read_bands(done.path)
    assert np.isin(bands["elevation"], heights).all()
    assert (tags["PRODUCT"], tags["VERTICAL_DATUM"]) == ("glo30", "EGM2008")


def test_landsat_of_planetary_computer_is_scaled(server: Server, tmp_path: Path) -> None:
    numbers, where = real_numbers("pisa", 1, PISA)
    stored = ((numbers * 1e-4 + 0.2) / 2.75e-5).round().astype(np.uint16)
    service = local(server, "planetary-computer")
    held = service.collections["landsat"]
    arrays = {held.assets[band]: stored[i] for i, band in enumerate(("red", "green", "blue", "nir"))}
    offer(server, "planetary-computer landsat", {**arrays, held.mask: np.full((160, 200), 1 << 6, np.uint16)}, where)
    fields = {**SOON, "cell_m": 10.0}
    done = terrafine.fetch("landsat", tmp_path / "l.tif", aoi=AOI, dates="2023", service=service, **fields)[0]
    np.testing.assert_allclose(read_bands(done.path)[0]["nir"], numbers[3, 58:159, 28:152] * 1e-4, atol=3e-5)


@pytest.mark.parametrize("key", ITEMS)
def test_a_service_names_assets_that_its_items_have_and_reads_their_addresses(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, short = key.split()
    service, item = find_service(name), ITEMS[key]
    held = service.collections[short]
    named = {*held.assets.values(), *held.look.values(), *filter(None, [held.mask])}
    assert item["collection"] == held.id and named <= set(item["assets"])
    if name == "cdse":
        for variable in ("CDSE_S3_ACCESS_KEY", "CDSE_S3_SECRET_KEY"):
            monkeypatch.delenv(variable, raising=False)
        with pytest.raises(UsageError, match=r"CDSE_S3_ACCESS_KEY.*s3keysmanager"):
            Signer(service, held.id, FetchOptions())
        monkeypatch.setenv("CDSE_S3_ACCESS_KEY", "a")
        monkeypatch.setenv("CDSE_S3_SECRET_KEY", "b")
    unsigned = dataclasses.replace(service, signing="none", token_url="")
    signer = Signer(unsigned, held.id, FetchOptions())
    for asset in named:
        href = item["assets"][asset]["href"]
        assert signer.address(href) == href
    with pytest.raises(NetworkError, match="is not an address on"):
        signer.address("https://example.org/red.tif")


def test_tokens_are_asked_for_by_collection(server: Server, tmp_path: Path) -> None:
    """As Planetary Computer: `msft:expiry` and `token`, one for each collection, appended to addresses."""
    signing = f'signing = "sas"\ntoken_url = "{server.url}/token/{{collection}}"'
    service = find_service(preset(server, tmp_path, signing))
    signer = Signer(service, "sentinel-2-l2a", FetchOptions(timeout_s=60.0))
    first = signer.address(f"{server.url}/files/a.tif")
    assert "?sig=" in first and signer.address(f"{server.url}/files/a.tif") == first
    assert server.requests("/token/sentinel-2-l2a") == 1
