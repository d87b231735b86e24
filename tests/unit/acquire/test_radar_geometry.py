"""Files in the geometry of a sensor are refused with what to do; they are never warped by their control points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from terrafine.errors import GridError
from terrafine.raster import gdal

PLACES = [(0, 0, 12.0, 42.0), (0, 9, 12.1, 42.02), (9, 0, 11.98, 41.9), (9, 9, 12.08, 41.92)]


def write(path: Path, *, points: bool, crs: str | None, transform: Affine | None) -> Path:
    more = {} if transform is None else {"transform": transform}
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint16", "height": 10, "width": 10, **more}
    if crs:
        profile["crs"] = crs
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.ones((1, 10, 10), np.uint16))
        if points:
            file.gcps = [GroundControlPoint(r, c, x, y, 0.0) for r, c, x, y in PLACES], CRS.from_epsg(4326)
    return path


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform:rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("points", "crs", "message"),
    [
        (True, None, "geometry of the sensor .* `terrafine geocode`"),
        (False, None, "states no CRS"),
        (False, "EPSG:32633", "states a CRS, and no place of its cells"),
    ],
)
def test_a_file_without_a_map_grid_is_refused(
    points: bool, crs: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.tif", points=points, crs=crs, transform=None)
    monkeypatch.setattr(gdal, "_vsi", lambda address: address)
    with pytest.raises(GridError, match=message):
        gdal.RemoteFile().check(str(path), None)


def test_a_file_on_a_map_grid_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.tif", points=False, crs="EPSG:32633", transform=Affine(10, 0, 5e5, 0, -10, 5e6))
    monkeypatch.setattr(gdal, "_vsi", lambda address: address)
    gdal.RemoteFile().check(str(path), "EPSG:32633")
