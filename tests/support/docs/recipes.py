"""Recipes that the documentation names, with the data that they list, and long trainings made short."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.docs import ground
from tests.support.paths import ROOT
from tests.support.rasters import write_dem, write_raster
from tests.support.recipes import write_recipe
from tests.support.sensors import fractal

__all__ = ["citymap", "jointseg", "mine", "my", "sat2dem", "shipped_citymap", "shorten"]

SYSTEMS = ROOT / "src" / "terrafine" / "systems"
SMALL = {  # keys of a recipe that make a training long, and what they are here
    "steps": 2,
    "warmup": 1,
    "validate_every": 2,
    "checkpoint_every": 2,
    "validation_patches": 2,
    "validation_samples": 2,
    "validation_tiles": 2,
    "batch": 2,
    "trees": 4,
}


def shorten(recipe: Path) -> None:
    """Give every key that makes a training long a small number; a phase of no steps keeps none.

    The loss of features takes those of the network itself, not public weights that are not shipped.
    """
    text = recipe.read_text(encoding="utf-8").replace('perceptual = "lite"', 'perceptual = "own"')
    for key, number in SMALL.items():
        text = re.sub(rf"\b{key} = [1-9][\d_]*", f"{key} = {number}", text)
    recipe.write_text(text, encoding="utf-8")


def my(path: Path) -> None:
    """A recipe of a small network, and the fine DEMs that it names, in `~/dems`."""
    text = write_recipe(path).read_text(encoding="utf-8").replace('name = "tiny"', 'name = "my"')
    path.write_text(text.replace("\nscale = 2", "\nscale = 4"), encoding="utf-8")
    place = path.parent / "dems" / "ground"
    place.mkdir(parents=True)
    for seed, name in enumerate(("a", "b")):
        write_dem(place / f"{name}.tif", fractal(240, seed=seed).astype(np.float32), cell=7.5)


def mine(path: Path) -> None:
    """A copy of the recipe of citymap of that name, and the scenes and labels that it lists, in `DATA`."""
    text = (SYSTEMS / "citymap" / "recipes" / "citymap.toml").read_text(encoding="utf-8")
    path.write_text(text.replace('name = "citymap"', f'name = "{path.stem}"', 1), encoding="utf-8")
    citymap(path)


def citymap(path: Path) -> None:
    """The scenes and labels that the recipe of citymap lists, in `DATA` and `mydata` beside a path."""
    place = path.parent / "DATA" / "s2_truth"
    if place.is_dir():
        return
    place.mkdir(parents=True)
    (path.parent / "mydata").symlink_to("DATA")
    for town, labels in (("pisa", "buildings"), ("montpellier", "cityplan")):
        for date in (1, 2):
            ground.reflectance(place / f"{town}_s2_l1c_{date}.tif", 240, seed=date)
        values = np.zeros((600, 600), np.uint8)
        values[150:300, 150:300] = 3 if labels == "cityplan" else 1
        values[::40] = 1
        where = {"cell": 4.0, "origin": (ground.EAST, ground.NORTH), "nodata": 255}
        write_raster(place / f"{town}_{labels}_1m.tif", values, **where)


def shipped_citymap(path: Path) -> None:
    """The shipped recipe of citymap, whose choices its other names are, and its data."""
    _shipped(path, "citymap")
    citymap(path)


def jointseg(path: Path) -> None:
    """The shipped recipe of jointseg; the choice `region` names it too."""
    _shipped(path.with_name("jointseg.toml"), "jointseg")


def sat2dem(path: Path) -> None:
    """The published recipe, and tiles in the layout that it names, in `~/data`."""
    recipe = path.with_name("sat2dem.toml")
    _shipped(recipe, "sat2dem")
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("width = 64", "width = 8"), encoding="utf-8")
    folder = path.parents[5] / "data" / "sat2dem"
    for part in ("sentinel2", "elevation"):
        (folder / part).mkdir(parents=True)
    for n in range(6):
        name = f"tile_{n}"
        picture = np.moveaxis(ground.scene(256, seed=n)[:3] / 4000 * 255, 0, -1).astype(np.uint8)
        Image.fromarray(picture).save(folder / "sentinel2" / f"{name}.png")
        write_dem(folder / "elevation" / f"{name}.tif", ground.heights(256, 256, 10.0, lift=10.0 * n), cell=10.0)
    splits = {"split_1": {"train": [0, 1, 2, 3], "validation": [4], "test": [5]}}
    (folder / "dataset_splits.json").write_text(json.dumps(splits), encoding="utf-8")


def _shipped(path: Path, system: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(SYSTEMS / system / "recipes" / path.name, path)
