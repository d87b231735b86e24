"""Labels burned at 1 m: vectors by their widths, rasters by class or colour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image
from pyproj import Transformer
from tests.support.rasters import utm_grid, write_raster

from terrafine.errors import GridError, MissingExtraError, SourceError, UsageError
from terrafine.raster.metric_grid import coarser, earth_position, metre_grid
from terrafine.raster.read.labels import UNKNOWN, open_label_raster
from terrafine.raster.read.source import open_source
from terrafine.raster.read.vectors.rasterize import read_shapes

UTM = "EPSG:32633"


def geojson(path: Path, *features: tuple[str, list[Any], dict[str, Any]]) -> Path:
    """Coordinates in metres east and south of the test grid's corner, stored in degrees."""
    to_degrees = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)

    def degrees(part: Any) -> Any:
        if isinstance(part[0], (int, float)):
            return list(to_degrees.transform(500_000 + part[0], 5_000_000 - part[1]))
        return [degrees(p) for p in part]

    written = [
        {"type": "Feature", "properties": tags, "geometry": {"type": kind, "coordinates": degrees(where)}}
        for kind, where, tags in features
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": written}))
    return path


def ring(x0: float, y0: float, x1: float, y1: float) -> list[list[list[float]]]:
    return [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]


def test_buildings_cover_their_cells_and_roads_are_as_wide_as_they_say(tmp_path: Path) -> None:
    line = [[0.0, 50.0], [100.0, 50.0]]
    for tags, width in (
        ({"highway": "residential"}, 6),
        ({"highway": "primary_link"}, 9),
        ({"highway": "residential", "lanes": "2"}, 6.5),
        ({"highway": "residential", "width": "12 m"}, 12),
        ({"highway": "track"}, 0),
    ):
        path = geojson(tmp_path / "r.geojson", ("LineString", line, tags))
        burned = read_shapes(path, UTM).burn(utm_grid(100, 100, 1.0))
        assert burned.sum(axis=0)[10:90] == pytest.approx(width, abs=1.01), tags
    houses = geojson(tmp_path / "h.geojson", ("Polygon", ring(10, 20, 30, 60), {}), ("Point", [1.0, 1.0], {}))
    shapes = read_shapes(houses, UTM)
    burned = shapes.burn(utm_grid(100, 100, 1.0))
    expected = np.zeros((100, 100), np.uint8)
    expected[20:60, 10:30] = 1
    assert (burned == expected).all()
    assert shapes.left == 1
    assert (shapes.burn(utm_grid(100, 100, 1.0)[40:80, 0:50]) == expected[40:80, 0:50]).all()


def test_a_width_of_one_s_own_overrides_the_table(tmp_path: Path) -> None:
    path = geojson(tmp_path / "r.geojson", ("LineString", [[0.0, 50.0], [100.0, 50.0]], {"highway": "track"}))
    assert read_shapes(path, UTM, {"track": 4}).burn(utm_grid(100, 100, 1.0))[:, 50].sum() == 4


def test_what_is_no_vector_or_no_metres_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.geojson").write_text("{}")
    with pytest.raises(SourceError, match="not a readable GeoJSON"):
        read_shapes(tmp_path / "bad.geojson", UTM)
    good = geojson(tmp_path / "h.geojson", ("Polygon", ring(0, 0, 9, 9), {}))
    with pytest.raises(GridError, match="metres"):
        read_shapes(good, "EPSG:4326")
    with pytest.raises((SourceError, MissingExtraError)):
        read_shapes(tmp_path / "absent.gpkg", UTM)


def test_classes_and_colours_say_the_same(tmp_path: Path) -> None:
    labels = np.array([[1, 1, 0], [2, 0, 9]], np.uint8).repeat(2, 0).repeat(2, 1)
    grid = Affine(1, 0, 500_000, 0, -1, 5_000_000)
    numbers = write_raster(tmp_path / "c.tif", labels, transform=grid, nodata=None)
    colours = {0: (1, 2, 3), 1: (0x3C, 0x10, 0x98), 2: (0x6E, 0xC1, 0xE4), 9: (0x9B, 0x9B, 0x9B)}
    painted = np.stack([np.vectorize(lambda v, i=i: colours[v][i])(labels).astype(np.uint8) for i in range(3)])
    mask = write_raster(tmp_path / "m.tif", painted, transform=grid, nodata=None, names=("red", "green", "blue"))
    expected = np.where(labels == 9, UNKNOWN, np.isin(labels, (1, 2)))
    tabled = write_raster(tmp_path / "t.tif", labels, transform=grid, nodata=None, photometric="palette")
    with rasterio.open(tabled, "r+") as file:
        file.write_colormap(1, colours)
    here = utm_grid(4, 6, 1.0)
    assert (open_label_raster(tabled, ["#3C1098", "#6ec1e4"], ["#9B9B9B"]).burn(here) == expected).all()
    assert (open_label_raster(tabled, ["1", "2"], ["9"]).burn(here) == expected).all()
    for path in (mask, tabled):
        assert open_label_raster(path, ["#3C1098"], ["#9B9B9B"]).unlisted(here) == {"#010203": 8, "#6EC1E4": 4}
    assert open_label_raster(numbers, ["1"]).unlisted(here) == {}
    assert (open_label_raster(numbers, ["1", "2"], ["9"]).burn(here) == expected).all()
    assert (open_label_raster(mask, ["#3C1098", "#6ec1e4"], ["#9B9B9B"]).burn(here) == expected).all()
    finer = open_label_raster(numbers, ["1", "2"], ["9"]).burn(GeoBox((8, 12), grid * Affine.scale(0.5), UTM))
    assert (finer == expected.repeat(2, 0).repeat(2, 1)).all()
    beyond = open_label_raster(numbers, ["1"]).burn(GeoBox((1, 1), grid * Affine.translation(50, 0), UTM))
    assert beyond[0, 0] == UNKNOWN


def test_what_a_colour_table_leaves_transparent_is_unknown(tmp_path: Path) -> None:
    picture = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    picture.putpalette([255, 0, 0, 255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "m.png", transparency=bytes([255, 0, 128]))
    labels = open_label_raster(tmp_path / "m.png", ["#FF0000"], pixel_size_m=1.0)
    assert labels.burn(GeoBox((1, 3), Affine(1, 0, 0, 0, -1, 0), None)).tolist() == [[1, UNKNOWN, 0]]


@pytest.mark.parametrize("marks", [([], ["1"]), (["1"], ["#FFFFFF"]), (["forest"], []), (["#12"], [])])
def test_marks_that_cannot_be_meant_are_refused(tmp_path: Path, marks: tuple[list[str], list[str]]) -> None:
    path = write_raster(tmp_path / "c.tif", np.zeros((3, 4, 4), np.uint8), nodata=None, names=("red", "green", "blue"))
    with pytest.raises(UsageError, match="expected"):
        open_label_raster(path, *marks)


def test_labels_of_another_crs_are_refused(tmp_path: Path) -> None:
    labels = open_label_raster(
        write_raster(tmp_path / "c.tif", np.zeros((4, 4), np.uint8), crs="EPSG:32634", nodata=None), ["1"]
    )
    with pytest.raises(GridError, match="another CRS"):
        labels.burn(utm_grid(4, 4, 1.0))


def test_the_metre_grid_lies_inside_an_image_of_metres_and_covers_one_of_degrees(tmp_path: Path) -> None:
    image = np.zeros((100, 120), np.int16)
    inside = write_raster(tmp_path / "u.tif", image, transform=Affine(0.6, 0, 500_000.3, 0, -0.6, 5_000_000.1))
    grid = metre_grid(open_source(inside))
    assert (grid.shape[0], grid.shape[1]) == (59, 71)
    assert (grid.affine.c, grid.affine.f) == (500_001, 5_000_000)
    degrees = write_raster(tmp_path / "d.tif", image, crs="EPSG:4326", transform=Affine(9e-6, 0, 15, 0, -9e-6, 45))
    assert metre_grid(open_source(degrees)).crs.epsg == 32633
    bare = write_raster(tmp_path / "b.tif", image, crs=None, transform=Affine(1, 0, 0, 0, -1, 0))
    assert tuple(metre_grid(open_source(bare, pixel_size_m=0.5)).shape) == (50, 60)
    assert tuple(coarser(grid, 10).shape) == (5, 7)


def test_positions_are_metres_on_the_earth() -> None:
    here, there = earth_position(utm_grid(10, 10, 1.0)), earth_position(utm_grid(10, 2010, 1.0))
    assert here is not None
    assert there is not None
    assert np.linalg.norm(np.subtract(here, there)) == pytest.approx(1000, rel=1e-3)
