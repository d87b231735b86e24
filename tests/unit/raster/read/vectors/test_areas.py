"""Areas are sums over cells of their own size on the ground, in all and by region, however the rows are cut."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from terrafine.errors import GridError, OutputError, SourceError, UsageError
from terrafine.raster.read.vectors.areas import Areas, read_regions
from terrafine.raster.write.class_style import style_path, write_style

GRID = GeoBox((20, 30), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32633")


def image(grow: float = 0.0) -> Any:
    """A source of 20 × 30 cells of 10 m, wider row by row as on a geographic grid."""

    def sizes(rows: slice) -> np.ndarray:
        across = 10 + grow * np.arange(rows.start, rows.stop)
        return np.stack((np.full(len(across), 10.0), across))

    return SimpleNamespace(geobox=GRID, pixel_size_m=sizes)


def classes() -> np.ndarray:
    found = (np.random.default_rng(0).random((200, 300)) < 0.4).astype(np.float32)
    found[:30, :50] = np.nan
    return found


def vector(
    path: Path, *features: tuple[dict[str, Any], list[list[float]]], crs: str = "urn:ogc:def:crs:EPSG::32633"
) -> Path:
    made = [
        {"type": "Feature", "properties": p, "geometry": {"type": "Polygon", "coordinates": [[*c, c[0]]]}}
        for p, c in features
    ]
    stated = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": stated, "features": made}))
    return path


def rectangle(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    """Metres from the grid's north-west corner, to the east and to the south."""
    x, y = 500_000, 5_000_000
    return [[x + left, y - top], [x + right, y - top], [x + right, y - bottom], [x + left, y - bottom]]


def test_areas_by_region_do_not_depend_on_how_many_cells_are_looked_up_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = vector(tmp_path / "r.geojson", ({"id": "a"}, rectangle(35, 12, 217, 163)))
    found = []
    for cells in (1_000_000, 900):
        monkeypatch.setattr("terrafine.raster.read.vectors.areas._CELLS", cells)
        areas = Areas(image(0.5), 10, read_regions(path, GRID))
        areas.add(classes())
        found.append((areas.known_m2, areas.impervious_m2))
    np.testing.assert_allclose(found[0], found[1])
    assert found[0][0][1] > 0


@pytest.mark.parametrize("step", [10, 7, 200])
@pytest.mark.parametrize("grow", [0.0, 0.5])
def test_areas_are_sums_of_cells_of_their_rows_size(step: int, grow: float) -> None:
    areas, found = Areas(image(grow), 10), classes()
    for top in range(0, 200, step):
        areas.add(found[top : top + step])
    cell = np.repeat(10 * (10 + grow * np.arange(20)), 10)[:, None] / 100
    assert areas.known_m2[0] == pytest.approx((~np.isnan(found) * cell).sum())
    assert areas.impervious_m2[0] == pytest.approx(((found == 1) * cell).sum())
    assert float(areas.tags()["IMPERVIOUS_SHARE"]) == pytest.approx(
        areas.impervious_m2[0] / areas.known_m2[0], abs=1e-4
    )
    assert "km²" in areas.sentence()


def test_nothing_known_is_no_share_of_anything() -> None:
    areas = Areas(image(), 10)
    areas.add(np.full((200, 300), np.nan, np.float32))
    assert areas.tags()["IMPERVIOUS_SHARE"] == "0.0000"


def test_polygons_of_one_name_are_one_region_and_what_lies_in_none_counts_for_none(tmp_path: Path) -> None:
    path = vector(
        tmp_path / "r.geojson",
        ({"id": 1, "name": "a"}, rectangle(0, 0, 100, 60)),
        ({"id": 2, "name": "b"}, rectangle(150, 20, 250, 90)),
        ({"id": 3, "name": "a"}, rectangle(260, 0, 300, 200)),
        ({"id": 4, "name": "elsewhere"}, rectangle(5000, 0, 6000, 200)),
    )
    areas, found = Areas(image(), 10, read_regions(path, GRID, "name")), classes()
    for top in range(0, 200, 50):
        areas.add(found[top : top + 50])
    areas.write(tmp_path / "r.csv")
    with open(tmp_path / "r.csv", newline="") as file:
        rows = {row["region"]: row for row in csv.DictReader(file)}
    parts = {"a": [found[:60, :100], found[:, 260:]], "b": [found[20:90, 150:250]]}
    assert set(rows) == {"a", "b"}
    for name, pieces in parts.items():
        cells = np.concatenate([p.ravel() for p in pieces])
        assert float(rows[name]["known_km2"]) == pytest.approx((~np.isnan(cells)).sum() / 1e6)
        assert float(rows[name]["impervious_km2"]) == pytest.approx((cells == 1).sum() / 1e6)
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []


def test_the_expected_area_is_the_sum_of_probabilities(tmp_path: Path) -> None:
    path = vector(tmp_path / "r.geojson", ({"id": "a"}, rectangle(0, 0, 100, 60)))
    areas, found = Areas(image(), 10, read_regions(path, GRID), buildings=True), classes()
    chances = np.random.default_rng(0).random((2, *found.shape)).astype(np.float32)
    chances[:, np.isnan(found)] = np.nan
    for top in range(0, 200, 50):
        areas.add(found[top : top + 50], chances[:, top : top + 50])
    areas.write(tmp_path / "r.csv")
    with open(tmp_path / "r.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    for name, chance in zip(("impervious", "building"), chances, strict=True):
        assert float(row[f"{name}_expected_km2"]) == pytest.approx(np.nansum(chance[:60, :100]) / 1e6, rel=1e-4)
        assert float(areas.tags()[f"{name.upper()}_EXPECTED_KM2"]) == pytest.approx(np.nansum(chance) / 1e6, rel=1e-4)
    plain = Areas(image(), 10)
    plain.add(found)
    assert not any("EXPECTED" in tag for tag in plain.tags())


def test_regions_that_overlap_count_their_own_ground_each_in_full(tmp_path: Path) -> None:
    at = {
        "county": rectangle(0, 0, 300, 150),
        "town": rectangle(20, 20, 120, 90),  # within
        "park": rectangle(100, 50, 200, 180),  # across both
        "beside": rectangle(200, 0, 300, 150),  # within, and with a border in common with the park
    }
    path = vector(tmp_path / "r.geojson", *(({"id": name}, corners) for name, corners in at.items()))
    regions = read_regions(path, GRID)
    assert [sorted({n for _, n in layer}) for layer in regions.layers] == [[0], [1, 3], [2]]
    areas, found = Areas(image(), 10, regions), classes()
    for top in range(0, 200, 40):
        areas.add(found[top : top + 40])
    cells = [found[:150, :300], found[20:90, 20:120], found[50:180, 100:200], found[:150, 200:300]]
    np.testing.assert_allclose(areas.known_m2[1:], [(~np.isnan(c)).sum() for c in cells])
    np.testing.assert_allclose(areas.impervious_m2[1:], [(c == 1).sum() for c in cells])


def test_regions_that_only_touch_lie_in_one_layer(tmp_path: Path) -> None:
    squares = [
        ({"id": (i, j)}, rectangle(50 * i, 40 * j, 50 * i + 50, 40 * j + 40)) for i in range(6) for j in range(5)
    ]
    regions = read_regions(vector(tmp_path / "r.geojson", *squares), GRID)
    assert len(regions.layers) == 1
    (burned,) = regions.burn(GRID)
    assert len(np.unique(burned)) == 30 and burned.min() == 0


def test_regions_in_degrees_are_put_on_the_grid_and_named_by_their_first_field(tmp_path: Path) -> None:
    lonlat = [[14.99, 45.2], [15.02, 45.2], [15.02, 45.1], [14.99, 45.1]]
    path = vector(tmp_path / "r.geojson", ({"district": 7}, lonlat), crs="urn:ogc:def:crs:OGC:1.3:CRS84")
    regions = read_regions(path, GRID)
    assert regions.names == ("7",)
    (burned,) = regions.burn(GRID)
    assert (burned == 0).all()


WORLD = [[-180.0, -90.0], [180.0, -90.0], [180.0, 90.0], [-180.0, 90.0]]
HALF = [[-90.0, 0.0], [90.0, 0.0], [90.0, 90.0], [-90.0, 90.0]]


@pytest.mark.parametrize("far", [WORLD, HALF])
def test_a_region_that_reaches_far_beyond_the_grid_is_known_on_it(far: list[list[float]], tmp_path: Path) -> None:
    near = [[14.99, 45.2], [15.001, 45.2], [15.001, 45.1], [14.99, 45.1]]
    crs = "urn:ogc:def:crs:OGC:1.3:CRS84"
    path = vector(tmp_path / "r.geojson", ({"of": "far"}, far), ({"of": "near"}, near), crs=crs)
    regions = read_regions(path, GRID)
    assert regions.names == ("far", "near")
    assert [np.unique(burned).tolist() for burned in regions.burn(GRID)] == [[0], [-1, 1]]


@pytest.mark.parametrize(
    ("name", "at", "error", "says"),
    [
        ("town", rectangle(0, 0, 50, 50), UsageError, "has no field town; its fields are id"),
        (None, rectangle(9000, 0, 9500, 50), GridError, "no polygon overlaps"),
    ],
)
def test_regions_that_cannot_serve_are_refused(
    name: str | None, at: list[list[float]], error: type[Exception], says: str, tmp_path: Path
) -> None:
    path = vector(tmp_path / "r.geojson", ({"id": 1}, at))
    with pytest.raises(error, match=says):
        read_regions(path, GRID, name)
    with pytest.raises(SourceError, match="not a readable GeoJSON"):
        read_regions(tmp_path / "absent.geojson", GRID)


def test_a_style_lies_beside_its_map_whole_or_not_at_all(tmp_path: Path) -> None:
    write_style(style_path(tmp_path / "city.tif"))
    assert 'label="other"' in (tmp_path / "city.qml").read_text()
    with pytest.raises(OutputError, match="the style cannot be written"):
        write_style(tmp_path / "absent" / "city.qml")
    assert [p.name for p in tmp_path.iterdir()] == ["city.qml"]
