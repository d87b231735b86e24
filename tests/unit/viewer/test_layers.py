"""Layers draw what a file holds, at its place, in its unit, and nothing where there is no data."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer
from tests.support.rasters import heights, write_dem, write_raster

from terrafine.errors import BandError, EmptyError, GridError, SourceError
from terrafine.raster.read.web_tiles import WebTiles, ground_metres
from terrafine.viewer.layers import Layer, comparable, layers_of

AT = {"crs": "EPSG:32633", "origin": (500_000.0, 5_200_000.0), "cell": 30.0}


def address(longitude: float, latitude: float, zoom: int) -> tuple[int, int]:
    """Column and row of the tile that holds a place."""
    y = 0.5 - math.asinh(math.tan(math.radians(latitude))) / (2 * math.pi)
    return int((longitude + 180) / 360 * 2**zoom), int(y * 2**zoom)


def drawn(layer: Layer, zoom: int | None = None) -> np.ndarray:
    """The tile at the middle of the layer, (256, 256, 4)."""
    west, south, east, north = layer.tiles.bounds
    zoom = layer.tiles.deepest - 1 if zoom is None else zoom
    column, row = address((west + east) / 2, (south + north) / 2, zoom)
    return np.asarray(Image.open(io.BytesIO(layer.picture(zoom, column, row))).convert("RGBA"))


def test_a_tile_has_each_cell_at_its_place(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(200.0) * -1, np.arange(220.0) * 2).astype(np.float32) + 1000
    tiles = WebTiles(str(write_raster(tmp_path / "dem.tif", ramp, **AT)))
    zoom = tiles.deepest
    west, south, east, north = tiles.bounds
    column, row = address((west + east) / 2, (south + north) / 2, zoom)
    (found,), valid = tiles.tile(zoom, column, row, (1,))
    pixel = 2 * 20037508.342789244 / (256 * 2**zoom)
    x = -20037508.342789244 + (column * 256 + np.arange(256) + 0.5) * pixel
    y = 20037508.342789244 - (row * 256 + np.arange(256) + 0.5) * pixel
    e, n = Transformer.from_crs("EPSG:3857", "EPSG:32633", always_xy=True).transform(*np.meshgrid(x, y))
    wanted = 1000 + 2 * ((e - 500_000) / 30 - 0.5) - ((5_200_000 - n) / 30 - 0.5)
    assert valid.any()
    inside = valid & (wanted > ramp.min() + 5) & (wanted < ramp.max() - 5)
    assert np.abs(found - wanted)[inside].max() < 0.5  # half a cell would be 1.5


def test_a_hole_is_transparent_and_no_nodata_value_enters(tmp_path: Path) -> None:
    z = heights((120, 120))
    z[40:80, 40:80] = np.nan
    (layer,) = layers_of(write_dem(tmp_path / "dem.tif", z))
    picture = drawn(layer)
    assert (picture[..., 3] == 0).any()
    assert (picture[..., 3] == 255).any()
    values, valid = layer.tiles.sample((1,))
    assert values[0][valid].min() > 0


def test_units_scale_and_offset_are_applied(tmp_path: Path) -> None:
    stored = np.full((30, 30), 1000, np.int16)
    path = write_raster(tmp_path / "feet.tif", stored, unit="ft", scale=0.1, offset=50, names=("elevation",), **AT)
    (layer,) = layers_of(path)
    west, south, east, north = layer.tiles.bounds
    assert layer.value((west + east) / 2, (south + north) / 2) == "150.0 ft"
    assert layer.metres == pytest.approx(0.3048)
    assert layer.value(west - 1, south) == "no data"


def test_terrain_in_feet_stands_in_metres(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / "feet.tif", np.full((64, 64), 1000.0, np.float32), unit="ft", names=("elevation",), **AT
    )
    (layer,) = layers_of(path)
    west, south, east, north = layer.tiles.bounds
    zoom = layer.tiles.deepest
    column, row = address((west + east) / 2, (south + north) / 2, zoom)
    red, green, blue = np.asarray(Image.open(io.BytesIO(layer.heights(zoom, column, row))), float).transpose(2, 0, 1)
    found = red * 256 + green + blue / 256 - 32768
    assert np.median(found) == pytest.approx(304.8, abs=0.01)


def test_classes_keep_their_numbers_colours_and_names(tmp_path: Path) -> None:
    numbers = np.zeros((60, 60), np.uint8)
    numbers[:, 30:] = 1
    tags = {"CLASS_NAMES": "0=other;1=impervious"}
    (layer,) = layers_of(write_raster(tmp_path / "map.tif", numbers, nodata=255, tags=tags, names=("class",), **AT))
    entries = layer.describe()["legend"]["entries"]
    assert [e["name"] for e in entries] == ["other", "impervious"]
    shades = {tuple(c) for c in drawn(layer).reshape(-1, 4) if c[3]}
    assert len(shades) == 2  # nothing between the classes


def test_an_image_is_one_layer_and_other_bands_are_layers(tmp_path: Path) -> None:
    image = np.random.default_rng(0).uniform(0, 3000, (3, 40, 40)).astype(np.float32)
    (rgb,) = layers_of(write_raster(tmp_path / "rgb.tif", image, names=("blue", "green", "red"), **AT))
    assert (rgb.kind, rgb.bands) == ("image", (3, 2, 1))
    pair = np.stack([heights((40, 40)), np.ones((40, 40), np.float32)])
    both = layers_of(write_raster(tmp_path / "fine.tif", pair, names=("elevation", "elevation_sigma"), unit="m", **AT))
    assert [(layer.kind, layer.label) for layer in both] == [
        ("elevation", "fine.tif: elevation"),
        ("quantity", "fine.tif: elevation_sigma"),
    ]


def test_two_epochs_share_their_colours(tmp_path: Path) -> None:
    layers = [
        *layers_of(write_dem(tmp_path / "a.tif", heights() + 0)),
        *layers_of(write_dem(tmp_path / "b.tif", heights() + 900)),
    ]
    one, other = (layer.describe()["legend"] for layer in comparable(layers))
    assert (one["low"], one["high"]) == (other["low"], other["high"])
    assert one["high"] - one["low"] > 900


def test_relief_has_no_seam_between_tiles(tmp_path: Path) -> None:
    plane = np.add.outer(np.arange(600.0) * 6, np.arange(600.0) * 9).astype(np.float32)
    (layer,) = layers_of(write_dem(tmp_path / "plane.tif", plane))
    west, south, east, north = layer.tiles.bounds
    zoom = layer.tiles.deepest
    column, row = address((west + east) / 2, (south + north) / 2, zoom)
    left, right = (
        np.asarray(Image.open(io.BytesIO(layer.picture(zoom, c, row))).convert("RGB"), float)
        for c in (column, column + 1)
    )
    step = np.abs(right[:, 0] - left[:, -1]).max()
    within = np.abs(np.diff(left, axis=1)).max()
    assert step <= within + 2


def test_a_pixel_is_smaller_toward_the_poles() -> None:
    assert ground_metres(10, 512)[0] == pytest.approx(152.87, abs=0.1)
    assert ground_metres(10, 200)[0] < 0.5 * ground_metres(10, 512)[0]


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="has no CRS"):
        layers_of(write_raster(tmp_path / "bare.tif", heights(), crs=None))
    with pytest.raises(EmptyError, match="no valid cell"):
        layers_of(write_dem(tmp_path / "void.tif", np.full((20, 20), np.nan, np.float32)))
    with pytest.raises(SourceError):
        layers_of(tmp_path / "absent.tif")
    with pytest.raises(BandError, match="no band is called 'slope'"):
        WebTiles(str(write_dem(tmp_path / "dem.tif"))).number("slope")
