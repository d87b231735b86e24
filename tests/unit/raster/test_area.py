"""Areas of interest: boxes, GeoJSON and grids; what cannot be right is refused with what was found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shapely.geometry import shape

from terrafine.errors import GridError, SourceError, UsageError
from terrafine.raster.area import AreaOfInterest, grid_area, utm_zone

SQUARE = [[10.0, 43.0], [10.1, 43.0], [10.1, 43.1], [10.0, 43.1], [10.0, 43.0]]


def polygon(ring: list[list[float]]) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": [ring]}


def test_box_file_and_geojson_describe_the_same_ground(tmp_path: Path) -> None:
    path = tmp_path / "town.geojson"
    path.write_text(json.dumps(polygon(SQUARE)))
    areas = [AreaOfInterest.parse(v) for v in ("10,43,10.1,43.1", (10, 43, 10.1, 43.1), path, polygon(SQUARE))]
    assert len({a.key for a in areas}) == 1
    assert areas[0].area_km2 == pytest.approx(90.5, abs=0.3)


def test_the_grid_covers_the_area_on_multiples_of_its_cell() -> None:
    area = AreaOfInterest.parse((10, 43, 10.1, 43.1))
    grid = area.grid(10.0)
    assert grid.crs.to_epsg() == 32632 == utm_zone(10.05, 43.05)
    assert grid.affine.c % 10 == grid.affine.f % 10 == 0
    west, south, east, north = grid_area(grid).bounds
    assert west <= 10 < 10.1 <= east
    assert south <= 43 < 43.1 <= north


@pytest.mark.parametrize(
    "given",
    [
        (179.5, -17, -179.5, -16),
        {
            "type": "MultiPolygon",
            "coordinates": [
                [[[179.5, -17], [180, -17], [180, -16], [179.5, -16], [179.5, -17]]],
                [[[-180, -17], [-179.5, -17], [-179.5, -16], [-180, -16], [-180, -17]]],
            ],
        },
        polygon([[179.5, -17], [-179.5, -17], [-179.5, -16], [179.5, -16], [179.5, -17]]),
    ],
)
def test_an_area_across_the_antimeridian_is_one_run_and_is_searched_in_two_parts(given: object) -> None:
    area = AreaOfInterest.parse(given)  # type: ignore[arg-type]
    assert area.bounds == pytest.approx((179.5, -17, 180.5, -16))
    searched = shape(area.search_geometry())
    assert len(searched.geoms) == 2
    assert searched.bounds == pytest.approx((-180, -17, 180, -16))
    assert area.grid(10.0).shape[1] < 11_000


@pytest.mark.parametrize(
    ("given", "error", "part"),
    [
        ((0, 10, 20), UsageError, "four numbers"),
        ("10,50,9,40", UsageError, "south below north"),
        ((0, 0, float("nan"), 1), UsageError, "four numbers"),
        ({"type": "Point", "coordinates": [1, 2]}, GridError, "holds Point"),
        (polygon([[5e5, 4e6], [5.1e5, 4e6], [5.1e5, 4.1e6], [5e5, 4e6]]), GridError, "not longitude and latitude"),
        (polygon([[-100, 0], [100, 0], [100, 10], [-100, 0]]), GridError, "degrees of longitude"),
        ({"type": "FeatureCollection", "features": []}, GridError, "no geometry"),
        ({"a": 1}, SourceError, "no `features`"),
        ("missing.geojson", SourceError, "missing.geojson"),
    ],
)
def test_what_is_no_area_is_refused(given: object, error: type[Exception], part: str) -> None:
    with pytest.raises(error, match=part):
        AreaOfInterest.parse(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("crs", "part"),
    [
        ("EPSG:32631", "central meridian"),
        ("EPSG:32732", "other hemisphere"),
        ("EPSG:4326", "in metres"),
        ("EPSG:999999", "cannot be read"),
    ],
)
def test_a_grid_in_a_wrong_zone_is_refused(crs: str, part: str) -> None:
    area = AreaOfInterest.parse((11, 43, 11.1, 43.1))
    with pytest.raises(GridError, match=part):
        area.grid(10.0, crs)


def test_a_file_with_the_wrong_zone_is_refused(tmp_path: Path) -> None:
    ring = [[6.1e5, 4.84e6], [6.2e5, 4.84e6], [6.2e5, 4.85e6], [6.1e5, 4.84e6]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::27700"}}
    feature = {"type": "Feature", "properties": {}, "geometry": polygon(ring)}
    path = tmp_path / "wrong.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    with pytest.raises(GridError, match="zone is wrong"):
        AreaOfInterest.from_file(path)


def test_an_area_of_too_many_cells_or_near_a_pole_is_refused() -> None:
    with pytest.raises(GridError, match="expected at most"):
        AreaOfInterest.parse((6.5, 0, 11.5, 40)).grid(1.0)
    with pytest.raises(GridError, match="no UTM zone"):
        AreaOfInterest.parse((0, 84, 1, 86)).grid(10.0)
