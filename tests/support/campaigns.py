"""A small campaign: a DEM across the border of two UTM zones, two epochs, a dozen tiles, and works that misbehave."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from terrafine.campaign.folder import Folder
from terrafine.campaign.plan import Plan, Unit, make_plan
from terrafine.campaign.settings import read_settings
from terrafine.campaign.unit import Outcome, run_unit

BORDER = (11.985, 45.005, 12.015, 45.018)
"""West, south, east and north of the region: 2.4 × 1.4 km across the border of zones 32 and 33."""


def write_region(path: Path, box: tuple[float, float, float, float] = BORDER, name: str = "town") -> Path:
    """A rectangle in longitude and latitude as GeoJSON."""
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {"name": name}, "geometry": geometry}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def write_terrain(path: Path, lift: float = 0.0, box: tuple[float, float, float, float] = BORDER) -> Path:
    """Hills on a grid of 1" cells, a tenth of a degree around the middle of the region."""
    west, south, east, north = box
    cell, pad = 1 / 3600, 0.02
    height, width = (round((b - a + 2 * pad) / cell) for a, b in ((south, north), (west, east)))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    heights = 300 + 40 * np.sin(x / 17) * np.cos(y / 23) + 15 * np.sin((x + y) / 7) + lift
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:4326", "nodata": -9999.0}
    transform = Affine(cell, 0, west - pad, 0, -cell, north + pad)
    with rasterio.open(path, "w", height=height, width=width, transform=transform, **profile) as file:
        file.write(heights[None].astype(np.float32))
        file.set_band_description(1, "elevation")
        file.units = ["m"]
    return path


def write_campaign(folder: Path, **more: str) -> Path:
    """Settings of a DEM campaign of two epochs with `bicubic`; `more` replaces whole lines that begin with a key."""
    write_region(folder / "town.geojson")
    write_terrain(folder / "old.tif")
    write_terrain(folder / "new.tif", lift=2.5)
    lines = [
        'name = "hills"',
        'region = "town.geojson"',
        "[model]",
        'verb = "dem"',
        'name = "bicubic"',
        "[model.options]",
        "scale = 2",
        "[grid]",
        "resolution_m = 30.0",
        "tile_m = 1020.0",
        "halo_m = 300.0",
        "[source]",
        'kind = "files"',
        'product = "block_mean"',
        "[run]",
        "retries = 1",
        'device = "cpu"',
        "[[epochs]]",
        'name = "old"',
        'dates = "2015"',
        'files = ["old.tif"]',
        "[[epochs]]",
        'name = "new"',
        'dates = "2019-01/2019-06"',
        'files = ["new.tif"]',
    ]
    lines = [next((v for k, v in more.items() if line.startswith(f"{k} =")), line) for line in lines]
    path = folder / "hills.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def opened(settings: Path) -> tuple[Plan, Folder]:
    """The plan and the prepared folder of a campaign."""
    folder = Folder(settings.with_suffix(""))
    folder.prepare()
    return make_plan(read_settings(settings)), folder


def stub(plan: Plan, folder: Path, unit: Unit, threads: int | None = None) -> Outcome:
    """A unit without a model: a small file that depends on the unit alone."""
    place = Folder(folder)
    path = place.tile(plan, unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = f"{unit.key} {unit.tile.name}".encode()
    path.write_bytes(data)
    entry = {"asset": "elevation", "name": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    place.finish(plan, unit, {"empty": False, "files": [entry]})
    return Outcome(unit.key, False, len(data), {"model": 0.001})


def dies_once(plan: Plan, folder: Path, unit: Unit, threads: int | None = None) -> Outcome:
    """The real work, but the first process that comes to an even row kills itself, once in the campaign."""
    scars = folder / "work" / "scars"
    if unit.tile.row % 2 == 0 and not scars.exists():
        scars.parent.mkdir(parents=True, exist_ok=True)
        scars.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return run_unit(plan, folder, unit, threads)


def product_of(folder: Path) -> dict[str, Any]:
    """Digest of every finished file by its name under `tiles`, and the keys of the records."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "tiles").rglob("*")):
        if path.suffix == ".tif":
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.suffix == ".json":
            record = json.loads(path.read_text())
            found[str(path.relative_to(folder))] = (record["key"], record["files"])
    return found


def pixels_of(folder: Path, unlike: tuple[str, ...] = ()) -> dict[str, Any]:
    """Pixels, grid, bands and tags of every finished file by its name, without the tags named in `unlike`."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "tiles").rglob("*.tif")):
        with rasterio.open(path) as file:
            tags = {k: v for k, v in file.tags(ns="TERRAFINE").items() if k not in unlike}
            about = (file.crs.to_epsg(), tuple(file.transform), file.descriptions, file.dtypes, tags)
            found[str(path.relative_to(folder))] = (hashlib.sha256(file.read().tobytes()).hexdigest(), about)
    return found


RADII = {"2015": 300.0, "2017": 340.0, "2019": 400.0}
"""Radius in metres of the impervious disc of each epoch, around the middle of the region."""
MIDDLE = (12.0, 45.0115)
AROUND = (11.9935, 45.0065, 12.0065, 45.0165)
"""West, south, east and north of the region of a map: 1.0 × 1.1 km around the disc."""


def write_map_campaign(folder: Path, *, product: str = "", zones: bool = False) -> Path:
    """Settings of a map campaign of three epochs across the border of two UTM zones; scenes are blank."""
    write_region(folder / "town.geojson", AROUND)
    scene = folder / "scene.tif"
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint16", "crs": "EPSG:4326", "nodata": 0}
    transform = Affine(0.0002, 0, 11.95, 0, -0.0002, 45.05)
    with rasterio.open(scene, "w", height=400, width=500, transform=transform, **profile) as file:
        file.write(np.full((3, 400, 500), 900, np.uint16))
        for number, name in enumerate(("red", "green", "blue"), start=1):
            file.set_band_description(number, name)
    text = 'name = "town"\nregion = "town.geojson"\n[model]\nverb = "map"\nname = "jointseg"\n'
    text += '[grid]\ntile_m = 640.0\nhalo_m = 160.0\n[source]\nsensor = "sentinel2"\n' + product
    if zones:
        west, south, east, north = AROUND
        halves = [((west, south, 12.0, north), "west"), ((12.0, south, east, north), "east")]
        features = []
        for box, name in halves:
            write_region(folder / "half.geojson", box, name)
            features += json.loads((folder / "half.geojson").read_text())["features"]
        (folder / "zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        text += '[zones]\nfile = "zones.geojson"\nfield = "name"\n'
    for name in RADII:
        text += f'[[epochs]]\nname = "{name}"\ndates = "{name}"\nfiles = ["scene.tif"]\n'
    path = folder / "town.toml"
    path.write_text(text)
    return path


def centres(plan: Plan, unit: Unit) -> tuple[np.ndarray, np.ndarray, Any]:
    """Eastings and northings (y, x) of the fine cells of a unit's core, and their grid."""
    from terrafine.raster.grid import subdivided

    grid = subdivided(plan.lattice.core(unit.tile), 4)
    a = grid.affine
    x, y = a.c + a.a * (np.arange(grid.shape[1]) + 0.5), a.f + a.e * (np.arange(grid.shape[0]) + 0.5)
    east, north = np.meshgrid(x, y)
    return east, north, grid


def publish_classes(plan: Plan, folder: Path, unit: Unit, classes: np.ndarray) -> Outcome:
    """Finish a unit with a class map of its core, NaN where it is unknown, without a model."""
    from terrafine.raster.write.class_style import IMPERVIOUS, class_tags
    from terrafine.raster.write.cog_writer import open_cog

    place, grid = Folder(folder), centres(plan, unit)[2]
    target = place.tile(plan, unit)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_cog(
        target, grid, band_names=("class",), units=("",), encoding=IMPERVIOUS, tags=class_tags(), threads=1
    ) as out:
        out.push(classes.astype(np.float32)[None])
    done = out.published
    entry = {"asset": "class", "name": target.name, "bytes": done.bytes, "sha256": done.sha256, "valid": 1.0}
    inputs = {"files": [{"name": "scene.tif", "sha256": "0" * 64}]}
    place.finish(plan, unit, {"empty": False, "files": [entry], "clear": 1.0, "inputs": inputs})
    return Outcome(unit.key, False, done.bytes, {})


def disc(plan: Plan, folder: Path, unit: Unit, threads: int | None = None) -> Outcome:
    """A class map whose impervious surface is a disc that grows, drawn on the ellipsoid, without a model."""
    from pyproj import Transformer

    east, north, _ = centres(plan, unit)
    local = f"+proj=laea +lon_0={MIDDLE[0]} +lat_0={MIDDLE[1]} +datum=WGS84"
    onto = Transformer.from_crs(f"EPSG:{unit.tile.epsg}", local, always_xy=True)
    radius = RADII[plan.settings.epochs[unit.epoch].name]
    return publish_classes(plan, folder, unit, np.hypot(*onto.transform(east, north)) <= radius)


def design_of(matrix: np.ndarray, area_m2: list[float]) -> tuple[Any, dict[str, dict[int, int]]]:
    """A sample of two epochs with so many points by stratum and reference, and its answers.

    Rows and columns: became impervious, no longer impervious, stays impervious, stays other.
    """
    from terrafine.campaign.sampling.design import Design, Point, Stratum

    kinds = (
        ("became impervious", 0, 1),
        ("no longer impervious", 1, 0),
        ("stays impervious", 1, 1),
        ("stays other", 0, 0),
    )
    strata, points = [], []
    answers: dict[str, dict[int, int]] = {"a": {}, "b": {}}
    for (name, before, after), row, area in zip(kinds, matrix, area_m2, strict=True):
        strata.append(Stratum(name, round(area / 900), area, int(row.sum())))
        for (_, first, last), count in zip(kinds, row, strict=True):
            for _ in range(int(count)):
                number = len(points) + 1
                points.append(Point(number, name, "t", 0, 0, 0.0, 0.0, (), (before, after)))
                answers["a"][number], answers["b"][number] = first, last
    return Design(0, ("a", "b"), tuple(strata), tuple(points), "", (0.0, 0.0)), answers
