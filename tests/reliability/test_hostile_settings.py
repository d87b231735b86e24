"""Hostile recipes, gates, regions, plans and weights: each is read, or refused by an error of ours; none hangs."""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.hostile_files import as_json, as_toml, hostile, outcome
from tests.support.hostile_weights import by_hand, forged, with_other_numbers

from terrafine.errors import SourceError, TerrafineError
from terrafine.evaluation.gate import load_gates
from terrafine.inference.job import job_folder, stored_request
from terrafine.raster.products.file import product_text, read_product
from terrafine.raster.products.registry import PRODUCTS
from terrafine.raster.read.vectors.rasterize import read_features
from terrafine.systems import list_models, load_network, named_models, recipe_folders
from terrafine.training.height.published import read_split
from terrafine.training.segmentation.data import load_samples
from terrafine.training.start import read_task

RECIPES = sorted(path for folder in recipe_folders() for path in folder.glob("*.toml"))
GATES = {"max": {"elevation": {"rmse": 5.0}, "consistency": {"max_abs": 1}}, "is": {"verdict": {"better": True}}}
REGIONS = {
    "type": "FeatureCollection",
    "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
    "features": [
        {
            "type": "Feature",
            "properties": {"name": "a", "width": "3"},
            "geometry": {"type": "Polygon", "coordinates": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]},
        },
        {
            "type": "Feature",
            "properties": {"name": "b"},
            "geometry": {"type": "LineString", "coordinates": [[0.0, 0.0], [1.0, 0.5]]},
        },
    ],
}
PLAN = {"format": 1, "request": {"inputs": {"a.tif": "abc"}, "options": {"threads": 2}}, "plan": {"shape": [40, 40]}}
SPLIT = {"split_1": {"train": [1, 2], "validation": [3], "test": [4]}}
INDEX = {
    "format": "terrafine-impervious/1",
    "scale": 10,
    "bands": ["red", "green", "blue"],
    "stored_per_reflectance": 10_000,
    "samples": [{"name": "0", "split": "train", "image": "x"}],
}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_hostile_recipe_is_read_or_refused(recipe: Path, tmp_path: Path) -> None:
    record = tomllib.loads(recipe.read_text(encoding="utf-8"))
    seen = set()
    for label, data in hostile(record, as_toml, 16, seed=1):
        (tmp_path / "r.toml").write_bytes(data)
        seen.add(outcome(lambda: read_task(tmp_path / "r.toml")))
        assert seen <= {"read", "RecipeError"}, label
    assert "RecipeError" in seen


PRODUCT = {
    "key": "mine",
    "name": "a DEM",
    "origin": "measured",
    "datum": "EGM2008",
    "posting": 1.0,
    "posting_unit": "arcsec",
    "sensor": {
        "psf_cells": 0.5,
        "noise_flat_m": 1.0,
        "noise_slope_m": 2.0,
        "correlation_cells": 1.0,
        "rounding_m": 0.0,
        "exact": False,
    },
}
READERS: dict[str, tuple[Any, Callable[[Any], bytes], str, Callable[[Path], object]]] = {
    "gates": (GATES, as_toml, "g.toml", load_gates),
    "regions": (REGIONS, as_json, "r.geojson", lambda path: read_features(str(path))),
    "splits": (SPLIT, as_json, "s.json", lambda path: read_split(path, "split_1", {1, 2, 3, 4})),
    "product": (PRODUCT, as_toml, "p.toml", read_product),
    "index": (INDEX, as_json, "index.json", lambda path: load_samples(path.parent, ["train"])),
}


@pytest.mark.parametrize("name", READERS)
def test_a_hostile_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    record, write, file, read = READERS[name]
    path = tmp_path / file
    for label, data in [("untouched", write(record)), *hostile(record, write, 48, seed=2)]:
        path.write_bytes(data)
        found = outcome(lambda: read(path))
        if label == "untouched" and name != "index":  # the samples themselves are not there
            assert found == "read"


@pytest.mark.parametrize("place", ["a pipe", "/dev/zero", "a folder"])
def test_a_product_file_that_is_no_plain_file_is_refused(place: str, tmp_path: Path) -> None:
    path = Path(place) if place.startswith("/") else tmp_path / "p.toml"
    if place == "a pipe":
        os.mkfifo(path)
    elif place == "a folder":
        path.mkdir()
    with pytest.raises(SourceError):
        read_product(path)


@pytest.mark.parametrize("name", ['a "quoted" name', "back\\slash", "two\nlines", "\x7f", "\x1b[2J"])
def test_a_product_file_is_toml_whatever_the_name_holds(name: str, tmp_path: Path) -> None:
    text = product_text(dataclasses.replace(PRODUCTS[0], name=name))
    assert tomllib.loads(text)["name"] == name.replace("\n", " ")


def test_a_hostile_plan_of_a_job_is_read_or_refused(tmp_path: Path) -> None:
    output = tmp_path / "fine.tif"
    job_folder(output).mkdir()
    for _, data in hostile(PLAN, as_json, 48, seed=3):
        (job_folder(output) / "plan.json").write_bytes(data)
        assert outcome(lambda: stored_request(output)) in {"read", "JobError"}


MODELS = [ref for ref in list_models() if ref.path is not None and ref.path.stat().st_size < 3_000_000]


@pytest.mark.parametrize("ref", MODELS, ids=lambda ref: ref.path.stem)
def test_forged_weights_are_refused_or_run_as_they_are(ref: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for label, data in forged(ref.path, 8, seed=4):
        path.write_bytes(data)
        found = outcome(lambda: load_network(named_models(str(path))[0]))
        assert found in {"read", "WeightsError"}, label


def test_no_weights_forged_by_hand_are_loaded(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for label, data in by_hand(MODELS[0].path).items():
        path.write_bytes(data)
        assert outcome(lambda: load_network(named_models(str(path))[0])) == "WeightsError", label


@pytest.mark.parametrize("ref", MODELS, ids=lambda ref: ref.path.stem)
def test_weights_whose_whole_numbers_name_nothing_are_refused(ref: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for label, data in with_other_numbers(ref.path).items():
        path.write_bytes(data)
        assert outcome(lambda: load_network(named_models(str(path))[0])) == "WeightsError", label


def test_the_trees_of_a_model_are_weights_with_whole_numbers() -> None:
    assert {ref.name for ref in MODELS if with_other_numbers(ref.path)} >= {"citymap"}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ref", MODELS, ids=lambda ref: ref.path.stem)
def test_many_forged_weights_are_refused_or_run_as_they_are(ref: Any, seed: int, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for label, data in forged(ref.path, 60, seed=100 + seed):
        path.write_bytes(data)
        assert outcome(lambda: load_network(named_models(str(path))[0])) in {"read", "WeightsError"}, label


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_many_hostile_recipes_are_read_or_refused(recipe: Path, seed: int, tmp_path: Path) -> None:
    record = tomllib.loads(recipe.read_text(encoding="utf-8"))
    for label, data in hostile(record, as_toml, 100, seed=100 + seed):
        (tmp_path / "r.toml").write_bytes(data)
        assert outcome(lambda: read_task(tmp_path / "r.toml")) in {"read", "RecipeError"}, label


def test_the_attack_sees_an_error_that_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        outcome(lambda: 1 // 0)


def test_a_region_whose_coordinates_are_not_finite_is_refused(tmp_path: Path) -> None:
    text = json.dumps(REGIONS).replace("1.0]", "1e999]", 1)
    (tmp_path / "r.geojson").write_text(text)
    with pytest.raises(TerrafineError, match="finite coordinates"):
        read_features(str(tmp_path / "r.geojson"))
