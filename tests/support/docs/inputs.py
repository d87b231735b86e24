"""What a command of the documentation reads: made under the name that it gives, where no command before made it."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from tests.support.campaigns import write_region
from tests.support.docs import ground, recipes
from tests.support.docs.services import PLACE, block, town, town_halves
from tests.support.ground_range import chosen, plain, unpack_safe
from tests.support.rasters import write_raster

__all__ = ["prepare"]

Maker = Callable[[Path], Any]
HALVES = {"west": (0.0, 0.0, 0.5, 1.0), "east": (0.5, 0.0, 1.0, 1.0)}
APART = 6  # widths of an image: more than a block of 5 km
STRIP = 432  # cells: 4.3 km, so that blocks of 1 km have three splits
READERS = {"evaluate", "info", "view"}  # what the other verbs write, these read


def prepare(text: str, folder: Path) -> None:
    """Make what a command reads and what is not there; what stands under another meaning of a name is replaced."""
    verb = [*text.split(), ""][1]
    for words, made in FRESH.items():
        if words in text:
            for name, maker in made.items():
                maker(folder / name)
    for name, maker in (INPUTS | (RESULTS if verb in READERS else {})).items():
        named = re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w.])", text)
        if named and not (folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            maker(folder / name)
    if verb == "train":
        for recipe in folder.glob("**/*.toml"):
            recipes.shorten(recipe)
    if campaign := re.match(r"terrafine campaign (?:plan|run) (\w+)", text):
        small_tiles(folder / f"{campaign[1]}.toml")


def class_map(path: Path, cell: float = 10.0, grown: float = 0.0) -> Path:
    """Where `ground.scene` is built: a class map in bytes."""
    side = round(ground.SIDE_M / cell)
    values = np.zeros((side, side), np.uint8)
    last = round(side * (0.5 + grown))
    values[side // 4 : last, side // 4 : last] = 1
    return write_raster(path, values, cell=cell, origin=(ground.EAST, ground.NORTH), nodata=255, names=("class",))


def points(path: Path) -> None:
    """A sample of labelled points."""
    lines = ["x,y,class"]
    for x, y in np.random.default_rng(0).uniform(40, ground.SIDE_M - 40, (120, 2)):
        inside = all(0.25 < v / ground.SIDE_M < 0.5 for v in (x, y))
        lines.append(f"{ground.EAST + x:.1f},{ground.NORTH - y:.1f},{int(inside)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def of_product(path: Path) -> None:
    """Ground of the Sentinel-1 product that the services offer: its outline, or heights above the geoid."""
    with TemporaryDirectory() as folder:
        point = chosen(unpack_safe(Path(folder)))[1]
    if path.suffix == ".tif":
        plain(path, point, point["height"] - 48.2)
    else:
        x, y = point["longitude"], point["latitude"]
        write_region(path, (x - 0.002, y - 0.0015, x + 0.002, y + 0.0015), "valley")


def hgt(path: Path) -> None:
    """A tile of SRTM 3": 1,201 × 1,201 big-endian heights, placed by its name."""
    path.write_bytes(ground.heights(1201, 1201, 60).astype(">i2").tobytes())


def huge(path: Path) -> None:
    """A VRT over `glo30.tif` beside it."""
    path.write_text(
        '<VRTDataset rasterXSize="36" rasterYSize="36"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>500000, 30, 0, 5200000, 0, -30</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename relativeToVRT="1">glo30.tif'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>",
        encoding="utf-8",
    )
    ground.dem(path.with_name("glo30.tif"), 30)


def photographs(folder: Path) -> None:
    """Tiles of photographs without a place, and masks in colours."""
    for tile in ("tile_1", "tile_2", "tile_3"):
        picture = np.moveaxis((ground.scene(640)[:3] / 4000 * 255).astype(np.uint8), 0, -1)
        mask = np.full_like(picture, 155)
        mask[:, :400] = (254, 221, 58)
        mask[160:320, 160:320] = (60, 16, 152)
        for part, values, suffix in (("images", picture, "jpg"), ("masks", mask, "png")):
            (folder / tile / part).mkdir(parents=True)
            Image.fromarray(values).save(folder / tile / part / f"a.{suffix}")


def several(folder: Path, maker: Maker) -> None:
    """Files `a.tif` and `b.tif` in a new folder."""
    folder.mkdir()
    for name in ("a", "b"):
        maker(folder / f"{name}.tif")


def roads(path: Path, **more: Any) -> None:
    """A road of OpenStreetMap along the edge of what is built."""
    long_polygons(path, highway="residential", **more)
    text = path.read_text(encoding="utf-8").replace('"Polygon"', '"MultiLineString"')
    path.write_text(text, encoding="utf-8")


def responses(path: Path) -> None:
    """Answers of an interpreter, into the form that `campaign sample` wrote."""
    with closing(sqlite3.connect(path)) as base, base:
        fields = [row[1] for row in base.execute("PRAGMA table_info(responses)") if row[1].startswith("reference_")]
        for trigger in [r[0] for r in base.execute("SELECT name FROM sqlite_master WHERE type='trigger'")]:
            base.execute(f'DROP TRIGGER "{trigger}"')
        for field in fields:
            base.execute(f'UPDATE responses SET "{field}" = number % 2')


def small_tiles(path: Path) -> None:
    """Tiles of 0.64 km in place of 10 km, in settings of a campaign."""
    text = path.read_text(encoding="utf-8")
    assert "tile_m = " in text
    path.write_text(text.replace("# tile_m = 10240", "tile_m = 640"), encoding="utf-8")


def pair(fine: str, k: int, coarse: Path, cell: float = 30.0, noise_m: float = 2.0) -> None:
    """A product and its reference, `fine`, beside it."""
    ground.pair(coarse, coarse.with_name(fine), k, cell, noise_m)


def strips(folder: Path, step: int = 1, **more: Any) -> None:
    """Four fine images from west to east, each that many times its width from the one before."""
    folder.mkdir()
    for number in range(4):
        ground.image(
            folder / f"{number}.tif", origin=(ground.EAST + number * step * ground.SIDE_M, ground.NORTH), **more
        )


def long_polygons(path: Path, **more: Any) -> None:
    """Buildings under the images of `strips`, side by side and far apart."""
    west = {number * step for number in range(4) for step in (1, APART)}
    corners = [(w + x / 6, y / 6) for w in sorted(west) for x in range(6) for y in range(6)]
    ground.polygons(path, {f"{x} {y}": (x, y, x + 0.1, y + 0.1) for x, y in corners}, **more)


DEM = partial(ground.dem, cell=30.0)
FINE = partial(ground.dem, cell=7.5)
INPUTS: dict[str, Maker] = {  # by name
    **dict.fromkeys(("glo30.tif", "a.tif", "coarse.tif"), DEM),
    "b.tif": partial(DEM, east=ground.SIDE_M),
    "glo90.tif": partial(ground.dem, cell=90.0),
    "huge.vrt": huge,
    **dict.fromkeys(("lidar.tif", "reference.tif"), FINE),
    **dict.fromkeys(("N46E010.hgt", "N46E011.hgt"), hgt),
    **dict.fromkeys(("s2.tif", "scene.tif", "landsat.tif", "2018.tif", "2023.tif"), ground.reflectance),
    **dict.fromkeys(("s2_2019.tif", "s2_2021.tif", "2023-05.tif"), ground.reflectance),
    **dict.fromkeys(("s2_2023.tif", "2023-08.tif"), partial(ground.reflectance, grown=0.1)),
    "2023-10.tif": partial(ground.reflectance, grown=0.1, seed=10),
    "s1_vv.tif": partial(ground.radar, band="vv"),
    "s1_vh.tif": partial(ground.radar, band="vh"),
    "s1_inc.tif": ground.incidence,
    "s1": ground.radar_dates,
    "dates": ground.radar_dates,
    "stack.tif": ground.radar_stack,
    "truth.tif": partial(class_map, cell=2.0),
    "regions.tif": partial(class_map, grown=0.2),
    "points.csv": points,
    "town.geojson": town,
    "valley.geojson": town,
    "districts.geojson": partial(ground.polygons, boxes=HALVES),
    "glaciers.geojson": partial(ground.polygons, boxes={"glacier": (0.4, 0.4, 0.6, 0.6)}),
    **dict.fromkeys(("buildings.geojson", "osm.geojson"), partial(long_polygons, building="yes")),
    **dict.fromkeys(("roads.geojson", "osm_roads.geojson"), roads),
    "naip": partial(strips, step=APART, bands=4, names=False),
    "images": partial(several, maker=ground.image),
    "fine_images": strips,
    "masks": partial(several, maker=partial(class_map, cell=2.0)),
    "dubai": photographs,
    "2000.tif": partial(ground.dem, cell=15.0),
    "2015.tif": partial(ground.dem, cell=15.0, lift=-3.0),
    "product": partial(several, maker=DEM),
    "my.toml": recipes.my,
    "mine.toml": recipes.mine,
    **dict.fromkeys(("citymap.toml", "citymap-withoutpisa.toml", "citymap-withoutmontpellier.toml"), recipes.citymap),
    "jointseg-region.toml": recipes.jointseg,
    "src/terrafine/systems/jointseg/recipes/jointseg.toml": recipes.jointseg,
    "src/terrafine/systems/sat2dem/recipes/sat2dem-drpan-gam-gradient-shift.toml": recipes.sat2dem,
}
RESULTS: dict[str, Maker] = {  # what a command that reads them finds where the page does not make them
    "fine.tif": FINE,
    **dict.fromkeys(("impervious.tif", "impervious_2019.tif"), class_map),
    "impervious_2023.tif": partial(class_map, grown=0.1),
}
FRESH: dict[str, dict[str, Maker]] = {  # by words of a command: another meaning of a name, or a file to change
    "dem glo30.tif fine.tif": {"glo30.tif": DEM},  # where the page fetched one of another place before
    "map s2.tif impervious.tif --probability": {"s2.tif": ground.reflectance},
    "--sensor landsat-l2": {"scene.tif": ground.landsat},
    "--orbit ascending": {f"s1_{b}.tif": partial(ground.radar, band=b, orbit="ascending") for b in ("vv", "vh")},
    "dem glo120.tif": {
        "glo120.tif": partial(ground.dem, cell=120.0, side_m=4800.0),
        **{f"s1_{b}.tif": partial(ground.radar, band=b, side_m=4800.0) for b in ("vv", "vh")},
    },
    "-o samples": {"samples": partial(shutil.rmtree, ignore_errors=True)},  # each example of the page has its own
    "dataset impervious fine_images": {"s2.tif": partial(ground.reflectance, width=STRIP)},
    "dataset impervious aerial.tif": {
        "aerial.tif": partial(ground.image, crs="EPSG:32632", origin=(PLACE[0] + 400, PLACE[1] - 300)),
        "osm.geojson": partial(long_polygons, crs=32632, origin=(PLACE[0] + 400, PLACE[1] - 300), building="yes"),
    },
    "dataset impervious town.tif": {
        "buildings.geojson": partial(long_polygons, crs=32632, origin=PLACE, building="yes"),
        "roads.geojson": partial(roads, crs=32632, origin=PLACE),
    },
    "jointseg-region.safetensors": {"s2.tif": ground.reflectance},
    "--region town.geojson": {"town.geojson": block},
    "--aoi districts.geojson": {"districts.geojson": town_halves},
    "evaluate impervious_2023.tif points.csv": {"impervious_2023.tif": class_map},
    "--band blue=1": {"s2.tif": partial(ground.reflectance, names=False)},
    "red=s2.tif#4": {"s2.tif": ground.shaded},
    "evaluate a.tif b.tif c.tif": dict.fromkeys(("a.tif", "b.tif", "c.tif"), DEM),
    "evaluate a.tif b.tif truth.tif": dict.fromkeys(("a.tif", "b.tif"), class_map),
    "--gate gates.toml": {
        "gates.toml": lambda p: p.write_text("[max]\nelevation.rmse = 500.0\n", encoding="utf-8"),
    },
    "evaluate fine.tif truth.tif": {
        "fine.tif": partial(ground.reflectance, side=1080, cell=1.0, seed=4),
        "truth.tif": partial(ground.reflectance, side=1080, cell=1.0),
    },
    "dataset pairs srtm.tif": {"srtm.tif": partial(pair, "lidar.tif", 3)},
    "measure srtm3_n55w003.tif": {"srtm3_n55w003.tif": partial(pair, "gb_borders_50m.tif", 2, cell=90.0)},
    "measure aster.tif": {"aster.tif": partial(pair, "srtm.tif", 1, noise_m=25.0)},
    "measure coarse.tif": {"coarse.tif": partial(pair, "reference.tif", 3)},
    "stats isa --reference": {"isa/sample/responses.gpkg": responses},
    "train citymap": {"citymap.toml": recipes.shipped_citymap},
    "fetch sentinel-1-grd": dict.fromkeys(("valley.geojson", "utm10.tif"), of_product),
}
