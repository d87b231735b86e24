"""The shipped services of `terrafine fetch`, but at a STAC API on loopback that holds made scenes of Pisa."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from tests.support.campaigns import write_region
from tests.support.docs.ground import heights, scene
from tests.support.ground_range import chosen, offer_product, write_safe
from tests.support.scenes import make_item, write_asset
from tests.support.stac_server import Server, serve

__all__ = ["PLACE", "block", "offer", "on_loopback", "redirected", "town", "town_halves"]

CORNER = (10.3795, 43.7310)  # north-west of the scenes
PLACE = (611_100.0, 4_842_920.0)  # the same, in UTM zone 32
SIDE = 240
BANDS = ("red", "green", "blue", "nir")


def redirected(folder: Path, server: Server) -> Path:
    """The files of all shipped services, whose addresses of API and tokens are replaced by those of the server."""
    folder.mkdir()
    for file in (files("terrafine.acquire") / "services").iterdir():
        if file.name.endswith(".toml"):
            text = re.sub(r'(?m)^url = ".*"', f'url = "{server.url}"', file.read_text(encoding="utf-8"))
            text = re.sub(r'(?m)^token_url = ".*"', f'token_url = "{server.url}/token/{{collection}}"', text)
            (folder / file.name).write_text(text, encoding="utf-8")
    return folder


@contextmanager
def on_loopback(folder: Path, *, products: bool = False) -> Iterator[Path]:
    """A server with all scenes, on request with a product of Sentinel-1, and the folder of services that are at it."""
    with serve(folder / "archive") as server:
        offer(server)
        if products:
            safe = write_safe(folder / "safe")
            offer_product(server, safe, chosen(safe)[1])
        yield redirected(folder / "services", server)


def town(path: Path) -> Path:
    """A rectangle of 1.9 × 1.9 km inside the scenes."""
    return write_region(path, (10.381, 43.713, 10.404, 43.730))


def block(path: Path) -> Path:
    """A rectangle of 1.1 × 1.0 km inside the town."""
    return write_region(path, (10.383, 43.7205, 10.397, 43.7295))


def town_halves(path: Path) -> None:
    """The two halves of the town."""
    features = []
    for name, (west, east) in {"west": (10.382, 10.39), "east": (10.39, 10.398)}.items():
        write_region(path, (west, 43.720, east, 43.730), name)
        features += json.loads(path.read_text(encoding="utf-8"))["features"]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")


def offer(server: Server) -> None:
    """Scenes of the four collections that the pages name."""
    for year in (2019, 2023):
        for month in (5, 6, 8):
            numbers = scene(SIDE, grown=0.1 if year == 2023 else 0.0, seed=month)
            assets = {name: numbers[i] for i, name in enumerate(BANDS)} | {"scl": np.full((SIDE, SIDE), 5, np.uint8)}
            old = {"s2:processing_baseline": "02.04", "platform": "sentinel-2a"}
            _item(server, f"s2-{year}-{month}", "sentinel-2-l2a", f"{year}-{month:02d}-03", assets, **old)
    numbers = scene(SIDE).astype(np.float64)
    stored = ((numbers * 1e-4 + 0.2) / 2.75e-5).round().astype(np.uint16)
    assets = {name: stored[i] for i, name in enumerate(("red", "green", "blue", "nir08"))}
    assets["qa_pixel"] = np.full((SIDE, SIDE), 1 << 6, np.uint16)
    _item(server, "landsat", "landsat-c2-l2", "2023-07-02", assets, platform="landsat-9")
    power = np.random.default_rng(0).gamma(4, 0.03, (2, SIDE, SIDE)).astype(np.float32)
    orbit = {"sat:orbit_state": "ascending", "platform": "sentinel-1a"}
    _item(server, "s1", "sentinel-1-rtc", "2023-05-04", {"vv": power[0], "vh": power[1] / 4}, **orbit)
    second = Affine(1 / 3600, 0, round(CORNER[0] * 3600) / 3600, 0, -1 / 3600, round(CORNER[1] * 3600) / 3600)
    where = {"crs": CRS.from_epsg(4326), "transform": second}
    _item(server, "dem", "cop-dem-glo-30", "2021-04-22", {"data": heights(100, 120, 30)}, where)


def _item(
    server: Server, name: str, collection: str, day: str, assets: dict[str, Any], where: Any = None, **more: Any
) -> None:
    grid = Affine(10, 0, PLACE[0], 0, -10, PLACE[1])
    where = where or {"crs": CRS.from_epsg(32632), "transform": grid}
    folder = server.place(name)
    for asset, values in assets.items():
        write_asset(folder / f"{asset}.tif", values, where, nodata=None if values.dtype.kind == "f" else 0)
    links = {asset: {"href": f"{server.url}/files/{folder.name}/{asset}.tif"} for asset in assets}
    shape = next(iter(assets.values())).shape
    server.add(make_item(name, collection, f"{day}T10:10:00Z", shape, where, links, {"eo:cloud_cover": 5.0, **more}))
