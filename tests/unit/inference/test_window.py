"""Windows beyond a raster: heights continue their slope, reflectance stays in its range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.support.rasters import write_raster

from terrafine.inference.window import read_window
from terrafine.raster.read.images.reflectance import open_image
from terrafine.raster.read.source import open_source

COLOURS = ("red", "green", "blue")
OVER = slice(-6, 20)


def test_reflectance_beyond_an_edge_and_in_a_hole_is_that_of_ground_nearby(tmp_path: Path) -> None:
    numbers = np.full((3, 20, 20), 500, np.uint16)
    numbers[:, :, 1] = numbers[:, 8, :] = 6000  # bright roofs
    numbers[:, 9:13, 9:13] = 0
    numbers[:, 0, 0] = 150
    path = write_raster(
        tmp_path / "a.tif", numbers, names=("red", "green", "blue"), nodata=0, crs="EPSG:32632", cell=10
    )
    with open_image(path, sensor="sentinel2") as image:
        window = read_window(image, ("red",), OVER, OVER, 16)
    assert window.bands["red"].min() >= np.float32(0.015)
    assert window.bands["red"].max() <= np.float32(0.6)
    assert not window.valid[:6].any() and not window.valid[15:19, 15:19].any()


def test_heights_beyond_an_edge_continue_their_slope(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(20.0), np.arange(20.0)).astype(np.float32) * 3
    path = write_raster(tmp_path / "dem.tif", ramp[None], names=("elevation",), nodata=None, crs="EPSG:32632", cell=10)
    with open_source([path], want=("elevation",)) as source:
        window = read_window(source, ("elevation",), OVER, slice(0, 20), 16)
    np.testing.assert_allclose(window.bands["elevation"][:6, 0], np.arange(-6.0, 0.0) * 3, atol=1e-4)
