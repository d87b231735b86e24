"""docs/guides/place_to_map.md, command by command: a fetched scene and vectors become weights, and these a map.

The scene is real Sentinel-2 of Pisa from a STAC API on loopback; the buildings are polygons of the Tuscan technical
map, the two roads are drawn here. The training is cut to three steps, so the map is not judged.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.features import shapes
from rasterio.warp import transform_geom
from rasterio.windows import from_bounds
from tests.support import pages
from tests.support.cli import terrafine
from tests.support.paths import ROOT
from tests.support.scenes import TRUTH, add_scene, preset, real_numbers
from tests.support.stac_server import serve

pytest.importorskip("stac_fastapi.api")
PAGE = "docs/guides/place_to_map.md"
CROP = (120, 250, 200, 160)  # column, row, width and height in cells of the scene
OLD = {"s2:processing_baseline": "02.04"}


def collection(features: list[dict[str, object]]) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


def feature(geometry: object, crs: object, **properties: object) -> dict[str, object]:
    placed = transform_geom(crs, "EPSG:4326", geometry, precision=7)
    return {"type": "Feature", "properties": properties, "geometry": placed}


def write_vectors(folder: Path, bounds: tuple[float, float, float, float]) -> None:
    """Outline, buildings and roads as a user has them, in longitude and latitude."""
    west, south, east, north = bounds
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    with rasterio.open(TRUTH / "pisa_buildings_1m.tif") as file:
        window = from_bounds(*bounds, transform=file.transform)
        built, crs = file.read(1, window=window), file.crs
        polygons = shapes(built, mask=built == 1, transform=file.window_transform(window))
        buildings = [feature(geometry, crs, building="yes") for geometry, _ in polygons]
    (folder / "town.geojson").write_text(collection([feature({"type": "Polygon", "coordinates": [ring]}, crs)]))
    (folder / "buildings.geojson").write_text(collection(buildings))
    middle = (south + north) / 2
    lines = [[[west, middle], [east, middle]], [[west, south], [east, north]]]
    roads = [feature({"type": "LineString", "coordinates": line}, crs, highway="residential") for line in lines]
    (folder / "roads.geojson").write_text(collection(roads))


def write_recipe(path: Path) -> None:
    """The shipped recipe with 3 steps in place of the 200 of its choice `region`; a local file goes before it."""
    text = (ROOT / "src/terrafine/systems/jointseg/recipes/jointseg.toml").read_text(encoding="utf-8")
    before = "joint = { steps = 200 }"
    assert text.count(before) == 1
    path.write_text(text.replace(before, "joint = { steps = 3 }"), encoding="utf-8")


@pytest.mark.long
def test_the_commands_of_the_page_lead_from_a_place_to_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not TRUTH.is_dir():
        pytest.skip("the Sentinel-2 scenes are not there: set TERRAFINE_DATA")
    monkeypatch.chdir(tmp_path)
    numbers, georeference = real_numbers("pisa", 1, CROP)
    left, top = georeference["transform"].c, georeference["transform"].f
    bounds = (left + 20, top - CROP[3] * 10 + 20, left + CROP[2] * 10 - 20, top - 20)
    write_vectors(tmp_path, bounds)
    write_recipe(tmp_path / "jointseg.toml")
    commands = [shlex.split(c.text)[1:] for c in pages.commands(PAGE, (ROOT / PAGE).read_text(encoding="utf-8"))]
    assert [words[0] for words in commands] == ["fetch", "dataset", "train", "map", "info"]
    with serve(tmp_path / "stac") as server:
        add_scene(server, "summer", numbers, georeference, "2023-06-01T10:10:00Z", properties=OLD)
        commands[0] += ["--service", str(preset(server, tmp_path)), "--timeout", "120"]
        for words in commands:
            done = terrafine(*words)
            assert done.exit_code == 0, f"{words}: {done.output}"
    index = json.loads((tmp_path / "samples" / "index.json").read_text())
    by_split = {s["split"] for s in index["samples"]}
    assert by_split == {"train", "val", "test"}
    with rasterio.open(tmp_path / "impervious.tif") as file, rasterio.open(tmp_path / "town.tif") as scene:
        assert file.crs == scene.crs and file.bounds == scene.bounds
        assert set(np.unique(file.read(1))) <= {0, 1, 255}
