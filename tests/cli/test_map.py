"""`terrafine map` and `terrafine image`: an image in, classes or a finer image out; what cannot serve is refused."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from click.testing import Result
from tests.support.cli import Run
from tests.support.rasters import write_raster
from tests.support.weights import write_weights

import terrafine.systems
from terrafine.errors import UsageError
from terrafine.nn.model import RESIDUAL, Tiles
from terrafine.nn.weights import load, save
from terrafine.raster.read.content_type import kind_of
from terrafine.systems import ModelRef, find_system

NAMES = ("red", "green", "blue", "nir")
SIZE = {"blocks": 1, "features": 4, "growth": 2}
TINY = {"first": SIZE, "second": SIZE, "width": 4, "depth": 2}
SHAPE = (50, 60)
HALO = 16  # of JointSeg


def write(path: Path, values: np.ndarray, names: tuple[str, ...] = NAMES[:3], cell: float = 10.0, **more: Any) -> Path:
    where = {"cell": cell, "crs": "EPSG:32631", "origin": (4.5e5, 5.4e6), "nodata": None}
    return write_raster(path, values, names=names, **(where | more))


def reflectance(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Of four bands: dark to the west, bright to the east, no row like another."""
    y, x = np.indices(shape)
    red = 0.03 + 0.3 * x / shape[1] + 0.02 * np.sin(y / 3) + 0.01 * np.cos(x * 1.7)
    return np.stack((red, 0.9 * red + 0.01, 0.7 * red + 0.02, 0.3 + 0 * red))


def scene(bands: int = 3) -> np.ndarray:
    """Sentinel-2 numbers with a piece that was not observed."""
    numbers = np.round(reflectance()[:bands] * 1e4).astype(np.uint16)
    numbers[:3, 4:11, 20:26] = 0
    return numbers


class Local:
    """Probability from the red of each cell alone, with a fine pattern: any tiling gives the same."""

    far = 0.0

    def __init__(self, ref: ModelRef) -> None:
        self.spec = ref.spec

    def __call__(self, tiles: Tiles) -> dict[str, np.ndarray]:
        k = self.spec.scale
        red = tiles.bands["red"] + self.far * tiles.bands["red"].mean(axis=(1, 2), keepdims=True)
        fine = np.repeat(np.repeat(red, k, axis=1), k, axis=2)
        rows = np.arange(fine.shape[1])[:, None] % k / k - 0.45
        made = {"impervious": np.clip(3 * fine + 0.2 * rows, 0, 1), "impervious_sigma": np.full_like(fine, 0.07)}
        bands = {n: np.repeat(np.repeat(v, k, axis=1), k, axis=2) for n, v in tiles.bands.items()}
        return {n: v for n, v in (made | bands).items() if n in self.spec.outputs} | {
            RESIDUAL: tiles.bands["red"] / 100
        }


class Far(Local):
    """The same, moved by what the whole window shows: tiles disagree, as networks that look far make them."""

    far = 0.1


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("map")
    write(folder / "s2.tif", scene())
    write(folder / "small.tif", scene()[:, :20, :28])
    write(folder / "nir.tif", scene(4)[:, :20, :28], NAMES)
    for bands in (3, 4):
        write_weights(folder / f"{bands}.safetensors", "jointseg", {**TINY, "bands": bands}, 10)
    return folder


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terrafine.systems, "load_model", Local)


def opened(path: Path) -> tuple[np.ndarray, dict[str, str]]:
    with rasterio.open(path) as file:
        return file.read(masked=True), file.tags(ns="TERRAFINE")


def mapped(run: Run, files: Path, out: Path, *options: object, source: str = "s2.tif") -> Result:
    done = run("map", files / source, out, "--model", files / "3.safetensors", "--threads", 1, *options)
    assert done.exit_code == 0, done.output
    return done


def expected() -> np.ndarray:
    """Probability of `Local` on the fine grid."""
    red = np.repeat(np.repeat(np.round(reflectance()[0], 4), 10, axis=0), 10, axis=1)
    return np.asarray(np.clip(3 * red + 0.2 * (np.arange(len(red))[:, None] % 10 / 10 - 0.45), 0, 1))


def void() -> np.ndarray:
    return np.repeat(np.repeat((scene()[0] == 0), 10, axis=0), 10, axis=1)


@pytest.mark.usefixtures("local")
def test_a_class_map_lies_on_the_subdivided_grid_with_names_palette_style_and_areas(
    run: Run, files: Path, tmp_path: Path
) -> None:
    done = mapped(run, files, tmp_path / "o.tif", "--threshold", 0.4, "--preview", tmp_path / "o.png")
    truth = np.where(void(), 255, expected() >= 0.4)
    with rasterio.open(tmp_path / "o.tif") as file:
        values = file.read(1)
        assert (file.dtypes, file.nodata, file.shape, file.res) == (("uint8",), 255, (500, 600), (1, 1))
        assert (file.transform.c, file.transform.f, file.crs.to_epsg()) == (4.5e5, 5.4e6, 32631)
        assert file.colormap(1)[1][:3] == (178, 34, 52)
        tags = file.tags(ns="TERRAFINE")
    unsure = np.abs(expected() - 0.4) < 1e-4
    assert unsure.mean() < 0.01
    np.testing.assert_array_equal(values[~unsure], truth[~unsure])
    assert (values == 255).sum() == 7 * 6 * 100
    assert float(tags["IMPERVIOUS_KM2"]) == pytest.approx((values == 1).sum() / 1e6, rel=1e-5)
    assert float(tags["AREA_KM2"]) == pytest.approx((values != 255).sum() / 1e6, rel=1e-5)
    assert float(tags["IMPERVIOUS_SHARE"]) == pytest.approx((values == 1).sum() / (values != 255).sum(), abs=1e-4)
    assert tags["CLASS_NAMES"] == "0=other;1=impervious"
    assert (tags["SENSOR"], tags["THRESHOLD"], tags["MODEL"]) == ("sentinel2", "0.4", "jointseg 0")
    assert tags["GRID"] == "1 m grid, effective resolution not measured"
    style = (tmp_path / "o.qml").read_text()
    assert 'value="1" label="impervious"' in style and "#b22234" in style
    for said in ("impervious: ", "km²", "1 m grid, effective resolution not measured", "500 × 600 cells"):
        assert said in done.output
    assert (tmp_path / "o.png").stat().st_size > 300
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.png", "o.qml", "o.tif"]


@pytest.mark.usefixtures("local")
def test_the_resolution_that_was_measured_stands_beside_the_grid(run: Run, files: Path, tmp_path: Path) -> None:
    spec, tensors = load(files / "3.safetensors")
    known = dataclasses.replace(spec, provenance={"effective_resolution_m": 4.23})
    save(tmp_path / "m.safetensors", tensors, known)
    done = run("map", files / "s2.tif", tmp_path / "o.tif", "--model", tmp_path / "m.safetensors")
    assert done.exit_code == 0 and "1 m grid, effective resolution 4.2 m" in done.output
    assert opened(tmp_path / "o.tif")[1]["GRID"] == "1 m grid, effective resolution 4.2 m"


@pytest.mark.usefixtures("local")
def test_how_far_each_tile_is_from_the_observation_is_in_the_tags(run: Run, files: Path, tmp_path: Path) -> None:
    mapped(run, files, tmp_path / "o.tif", "--tile", 32)
    tags = opened(tmp_path / "o.tif")[1]
    assert tags["TILES"] == "2 x 2 of 25 x 30 cells"
    rows = [[float(v) for v in row.split()] for row in tags["CONSISTENCY_TILES"].split("; ")]
    red = np.round(reflectance()[0], 4)
    red[4:11, 20:26] = np.nan
    parts = [[red[: 25 + 8, : 30 + 8], red[: 25 + 8, 22:]], [red[17:, : 30 + 8], red[17:, 22:]]]
    np.testing.assert_allclose(rows, [[np.nanmax(p) / 100 for p in row] for row in parts], atol=5.1e-5)
    assert float(tags["CONSISTENCY_LARGEST"]) == pytest.approx(np.nanmax(red) / 100, abs=1e-5)
    assert 0 < float(tags["CONSISTENCY_MEAN"]) < float(tags["CONSISTENCY_LARGEST"])


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize("sigma", [False, True])
def test_probability_and_its_spread_are_a_second_file_in_per_cent(
    sigma: bool, run: Run, files: Path, tmp_path: Path
) -> None:
    mapped(run, files, tmp_path / "o.tif", "--sigma" if sigma else "--probability")
    with rasterio.open(tmp_path / "o_probability.tif") as file:
        values = file.read(masked=True) * file.scales[0]
        assert file.descriptions == (("impervious", "impervious_sigma") if sigma else ("impervious",))
        assert kind_of(tmp_path / "o_probability.tif") == "probability"
        assert "CLASS_NAMES" not in file.tags(ns="TERRAFINE") and "IMPERVIOUS_KM2" in file.tags(ns="TERRAFINE")
    np.testing.assert_array_equal(values[0].mask, void())
    assert np.abs(values[0] - expected()).max() < 0.00501
    if sigma:
        assert np.abs(values[1] - 0.07).max() < 1e-6


@pytest.mark.parametrize(("model", "tolerance"), [(Local, 1e-5), (Far, 0.05)])
def test_another_tile_size_changes_probabilities_within_the_tolerance_and_blends_them_never_the_classes(
    model: type, tolerance: float, run: Run, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terrafine.raster.write import class_style
    from terrafine.raster.write.encoding import Encoding

    monkeypatch.setattr(class_style, "PERCENT", Encoding("float32", nodata=-1.0))  # what was blended, not rounded
    monkeypatch.setattr(terrafine.systems, "load_model", model)
    maps = []
    for tile in (32, 64):
        mapped(run, files, tmp_path / f"{tile}.tif", "--tile", tile, "--probability", "--quiet")
        chance = opened(tmp_path / f"{tile}_probability.tif")[0][0]
        classes = opened(tmp_path / f"{tile}.tif")[0][0]
        np.testing.assert_array_equal(classes[~classes.mask], (chance >= 0.5)[~classes.mask])
        maps.append(chance)
    apart = np.abs(maps[0] - maps[1]).max()
    assert apart < tolerance
    assert (apart > 1e-3) == (model is Far)
    along = np.abs(np.diff(maps[0][5::10], axis=1))  # tiles meet without a step: none above what the image itself has
    assert along.max() < 3 * np.abs(np.diff(reflectance()[0], axis=1)).max() + 0.01


@pytest.mark.usefixtures("local")
def test_areas_by_region_are_those_of_the_cells_in_it(run: Run, files: Path, tmp_path: Path) -> None:
    west, north = 4.5e5, 5.4e6

    def square(left: float, right: float) -> dict[str, Any]:
        corners = [[left, north], [right, north], [right, north - 250], [left, north - 250], [left, north]]
        return {"type": "Polygon", "coordinates": [[[west + x, y] for x, y in corners]]}

    features = [
        {"type": "Feature", "properties": {"id": i, "name": n}, "geometry": square(*at)}
        for i, (n, at) in enumerate([("old town", (0, 200)), ("new town", (300, 450)), ("old town", (500, 600))])
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}}
    (tmp_path / "r.geojson").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    mapped(run, files, tmp_path / "o.tif", "--region", tmp_path / "r.geojson", "--region-name", "name")
    with open(tmp_path / "o_regions.csv", newline="") as file:
        rows = {row["region"]: row for row in csv.DictReader(file)}
    classes = opened(tmp_path / "o.tif")[0][0][:250]
    both = np.ma.concatenate((classes[:, :200], classes[:, 500:]), axis=1)
    for name, cells in (("old town", both), ("new town", classes[:, 300:450])):
        assert float(rows[name]["known_km2"]) == pytest.approx(cells.count() / 1e6, rel=1e-5)
        assert float(rows[name]["impervious_km2"]) == pytest.approx(cells.sum() / 1e6, rel=1e-5)
    assert rows["new town"]["impervious_share"] != rows["old town"]["impervious_share"]
    refused = run("map", files / "s2.tif", tmp_path / "p.tif", "--region", tmp_path / "r.geojson", "--region-name", "x",
                  "--model", files / "3.safetensors")  # fmt: skip
    assert refused.exit_code == 2 and "its fields are id, name" in refused.output


def test_the_networks_own_map_and_image_go_through_the_same_door(run: Run, files: Path, tmp_path: Path) -> None:
    mapped(run, files, tmp_path / "o.tif", "--quiet", source="small.tif")
    values, tags = opened(tmp_path / "o.tif")
    np.testing.assert_array_equal(values.mask[0], void()[:200, :280])
    assert 0 < float(tags["CONSISTENCY_MEAN"]) < 0.02
    assert len(tags["WEIGHTS_SHA256"]) == 64
    model = files / "4.safetensors"
    done = run("image", files / "nir.tif", tmp_path / "f.tif", "--model", model, "--preview", tmp_path / "f.png")
    assert done.exit_code == 0, done.output
    assert "differs from the input by at most 0.0" in done.output
    with rasterio.open(tmp_path / "f.tif") as file:
        image, scale = file.read(masked=True), file.scales[0]
        assert file.descriptions == NAMES
        assert (file.dtypes[0], file.nodata, file.shape, scale) == ("int16", -32768, (200, 280), 1e-4)
    np.testing.assert_array_equal(image.mask[0], void()[:200, :280])
    means = (image * scale).filled(np.nan).reshape(4, 20, 10, 28, 10).mean(axis=(2, 4))
    known = ~np.isnan(means[0])
    np.testing.assert_allclose(means[:3, known], reflectance()[:3, :20, :28][:, known], atol=0.02)
    assert (tmp_path / "f.png").stat().st_size > 300


def test_a_model_without_an_image_of_its_own_makes_none(run: Run, files: Path, tmp_path: Path) -> None:
    write_weights(tmp_path / "m.safetensors", "jointseg", {**TINY, "through": "bilinear"}, 10)
    done = run("image", files / "small.tif", tmp_path / "f.tif", "--model", tmp_path / "m.safetensors")
    assert done.exit_code == 2 and "makes no image" in done.output
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_finer_image_is_read_back_as_reflectance_by_its_own_scale(run: Run, files: Path, tmp_path: Path) -> None:
    from terrafine.raster.read.images.reflectance import open_image

    done = run(
        "image", files / "small.tif", tmp_path / "f.tif", "--scale", 4, "--model", files / "3.safetensors", "--quiet"
    )
    assert done.exit_code == 0, done.output
    image = open_image(tmp_path / "f.tif", unless="sentinel2")
    assert (image.sensor.name, image.shape) == ("reflectance", (80, 112))
    values, valid = image.read("red", slice(0, 80), slice(0, 112))
    assert abs(values[valid].mean() - reflectance()[0, :20, :28].mean()) < 0.02
    assert opened(tmp_path / "f.tif")[1]["GRID"].startswith("2.5 m grid")


@pytest.mark.usefixtures("local")
def test_the_public_functions_are_the_commands(run: Run, files: Path, tmp_path: Path) -> None:
    model = files / "3.safetensors"
    out = terrafine.map_impervious(files / "small.tif", tmp_path / "a.tif", model=model, threads=1)
    mapped(run, files, tmp_path / "b.tif", "--quiet", source="small.tif")
    assert out.read_bytes() == (tmp_path / "b.tif").read_bytes()
    assert not (tmp_path / "a_probability.tif").exists()
    for make in (terrafine.map_impervious, terrafine.sharpen_image):
        with pytest.raises(UsageError, match="'landsat-l2'; images of 10 m are read as sentinel2, "):
            make(files / "small.tif", tmp_path / "c.tif", model=model, sensor="landsat-l2")


COLOURS = NAMES[:3]
GOOD = scene()
REFUSED = [
    (GOOD[:1], ("red",), {}, (), 4, "holds 1 band"),
    (GOOD, ("a", "b", "c"), {}, (), 4, "no band is called 'red'"),
    ((GOOD // 20).astype(np.uint8), COLOURS, {}, (), 4, "8-bit image"),
    (np.where(GOOD, GOOD + 1000, 0).astype(np.uint16), COLOURS, {}, (), 4, "1,000 were still added"),
    (GOOD, COLOURS, {}, ("--sensor", "sentinel2-offset"), 4, "The offset is gone"),
    ((GOOD * 10).astype(np.uint16), COLOURS, {}, ("--sensor", "sentinel2"), 4, "does not read as sentinel2"),
    ((GOOD / 1e4).astype(np.float32), COLOURS, {}, (), 4, "--sensor reflectance"),
    (GOOD, COLOURS, {"cell": 20.0}, (), 5, "cells of 20 × 20 m"),
    (GOOD[:, :12, :12], COLOURS, {}, (), 5, "expected at least 16 × 16"),
    (np.zeros_like(GOOD), COLOURS, {}, (), 7, "no cell has red"),
    (GOOD, COLOURS, {}, ("--band", "red=2"), 2, "another band of the file for each"),
    (GOOD, COLOURS, {}, ("--band", "nir=3"), 2, "expected only red"),
    (GOOD, COLOURS, {}, ("--threshold", "1"), 2, "above 0 and below 1"),
    (GOOD, COLOURS, {}, ("--region-name", "name"), 2, "--region, which is not given"),
    (GOOD, COLOURS, {}, ("--model", "ridgeline"), 9, "ridgeline"),
    (GOOD, COLOURS, {}, ("--memory", "100MB"), 10, "are allowed"),
    (GOOD, COLOURS, {}, ("--preview", "out.tif"), 12, "give"),
    (GOOD, COLOURS, {}, ("--preview", "image.tif"), 12, "is the input itself"),
]


LANDSAT = ((reflectance()[:3] + 0.2) / 2.75e-5).astype(np.uint16)
STRANGE = [
    (LANDSAT, ()),
    (LANDSAT, ("--sensor", "sentinel2")),
    ((GOOD * 10).astype(np.uint16), ()),
    (np.where(GOOD, GOOD + 1000, 0).astype(np.uint16), ()),
]


@pytest.mark.parametrize(("values", "options"), STRANGE)
@pytest.mark.parametrize("verb", ["map", "image"])
def test_a_refusal_names_no_sensor_that_would_be_refused_too(
    verb: str, values: np.ndarray, options: tuple[str, ...], run: Run, files: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "image.tif", values)
    done = run(verb, path, tmp_path / "out.tif", "--model", files / "3.safetensors", *options)
    assert done.exit_code == 4 and "reads as" in done.output
    assert "landsat-l" not in done.output
    assert ("Landsat 8 or 9 level 2 surface reflectance, scaled, which is not read here" in done.output) == (
        values is LANDSAT
    )


@pytest.mark.parametrize(("values", "names", "more", "options", "code", "says"), REFUSED)
def test_what_cannot_serve_is_refused_and_nothing_is_written(
    values: np.ndarray,
    names: tuple[str, ...],
    more: dict[str, float],
    options: tuple[str, ...],
    code: int,
    says: str,
    run: Run,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "image.tif", values, names, **more)  # type: ignore[arg-type]
    model = () if "--model" in options else ("--model", files / "3.safetensors")
    done = run("map", "image.tif", "out.tif", *model, *options)
    assert done.exit_code == code, done.output
    assert says in done.output
    assert [p.name for p in tmp_path.iterdir()] == ["image.tif"]


def test_regions_are_never_written_over(run: Run, files: Path, tmp_path: Path) -> None:
    regions = tmp_path / "o_regions.csv"
    regions.write_text("id,WKT\n")
    model = ("--model", files / "3.safetensors", "--threads", 1)
    done = run("map", files / "small.tif", tmp_path / "o.tif", *model, "--region", regions)
    assert done.exit_code == 12 and "is the input itself" in done.output
    assert regions.read_text() == "id,WKT\n"


@pytest.mark.usefixtures("local")
def test_a_link_is_written_through_and_its_company_lies_beside_it(run: Run, files: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "o.tif").symlink_to(tmp_path / "real" / "map.tif")
    mapped(run, files, tmp_path / "o.tif", "--probability")
    assert (tmp_path / "o.tif").is_symlink() and (tmp_path / "real" / "map.tif").is_file()
    assert {"o.tif", "o.qml", "o_probability.tif"} <= {p.name for p in tmp_path.iterdir()}


@pytest.mark.usefixtures("local")
def test_a_run_over_an_old_map_that_fails_between_the_renames_leaves_the_old_map_and_its_sidecar_files(
    run: Run, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terrafine import atomic

    def content() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}

    out, more = tmp_path / "o.tif", ("--probability", "--preview", tmp_path / "o.png")
    mapped(run, files, out, *more, source="small.tif")
    old = content()
    real, moved = os.replace, 0

    def failing(part: object, target: Path) -> None:
        nonlocal moved
        moved += Path(target).name in old
        if moved == 3:
            moved += 1
            raise OSError(5, "input/output error", str(target))
        real(part, target)  # type: ignore[call-overload]

    again = ("map", files / "small.tif", out, "--model", files / "3.safetensors", "--threads", 1, "--threshold", 0.2)
    monkeypatch.setattr(atomic.os, "replace", failing)
    failed = run(*again, *more)
    assert failed.exit_code == 12 and "the previous file was restored" in failed.output
    assert moved >= 3 and content() == old
    monkeypatch.setattr(atomic.os, "replace", real)
    done = run(*again, *more)
    assert done.exit_code == 0 and "taken over from an earlier run" in done.output
    new = content()
    assert set(new) == set(old) and new["o.tif"] != old["o.tif"] and new["o.png"] != old["o.png"]
    assert [p.name for p in tmp_path.iterdir() if p.name not in old] == []


@pytest.mark.usefixtures("local")
def test_clouds_are_refused_unless_they_are_allowed(run: Run, files: Path, tmp_path: Path) -> None:
    cloudy = scene()
    cloudy[:, 25:] = 6000
    path = write(tmp_path / "cloudy.tif", cloudy)
    model = ("--model", files / "3.safetensors", "--quiet")
    refused = run("map", path, tmp_path / "o.tif", *model)
    assert refused.exit_code == 3 and "cloud or snow" in refused.output
    assert run("map", path, tmp_path / "o.tif", *model, "--max-bright", 0.9).exit_code == 0
    for columns, noted in ((0, False), (8, True)):
        some = scene()
        some[:, :, : columns or 1] = 6000 if columns else 500
        path = write(tmp_path / f"{columns}.tif", some)
        done = run("map", path, tmp_path / "p.tif", "--model", files / "3.safetensors")
        assert done.exit_code == 0 and ("cloud or snow and was read as ground" in done.output) is noted, done.output


@pytest.mark.usefixtures("local")
def test_an_unfinished_map_is_not_gone_on_with_under_another_threshold(
    run: Run, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terrafine.errors import DiskError
    from terrafine.raster.write import class_style

    whole = class_style.write_style

    def full(path: Path, *_: object) -> None:
        raise DiskError(f"{path}: full")

    monkeypatch.setattr(class_style, "write_style", full)
    model = ("--model", files / "3.safetensors", "--threads", 1)
    assert run("map", files / "s2.tif", tmp_path / "o.tif", *model).exit_code == 11
    assert not (tmp_path / "o.tif").exists() and (tmp_path / "o.tif.job").is_dir()
    monkeypatch.setattr(class_style, "write_style", whole)
    other = run("map", files / "s2.tif", tmp_path / "o.tif", *model, "--threshold", 0.6)
    assert other.exit_code == 13 and "  threshold: was 0.5, now 0.6" in other.output
    done = run("map", files / "s2.tif", tmp_path / "o.tif", *model)
    assert done.exit_code == 0 and "taken over from an earlier run" in done.output
    assert not (tmp_path / "o.tif.job").exists()


@pytest.fixture(scope="module")
def city(files: Path) -> Path:
    """An untrained CityMap: its probabilities follow from NDVI alone."""
    system, network = find_system("citymap"), {"width": 4}
    assert system.build is not None
    torch.manual_seed(0)
    spec = system.describe(None, network, 10)
    told = {"impervious_threshold": 0.6, "building_threshold": 0.7, "building_scale": 1.0, "building_odds": 1.0}
    path = files / "city.safetensors"
    save(path, system.build(network, 10).state_dict(), dataclasses.replace(spec, calibration=told))
    write(files / "wide.tif", np.tile(scene(4), (1, 2, 2)), NAMES)
    return path


def test_a_model_that_tells_buildings_apart_says_so_in_map_probability_style_and_areas(
    run: Run, files: Path, city: Path, tmp_path: Path
) -> None:
    done = run("map", files / "wide.tif", tmp_path / "o.tif", "--model", city, "--probability", "--threads", 1,
               "--preview", tmp_path / "o.png")  # fmt: skip
    assert done.exit_code == 0, done.output
    classes, tags = opened(tmp_path / "o.tif")
    chance = opened(tmp_path / "o_probability.tif")[0] / 100
    assert set(np.unique(classes.compressed())) == {0, 1, 2}
    assert tags["CLASS_NAMES"] == "0=other;1=impervious;2=building"
    assert (tags["THRESHOLD"], tags["THRESHOLD_BUILDING"]) == ("0.6", "0.7")
    with rasterio.open(tmp_path / "o_probability.tif") as file:
        assert file.descriptions == ("impervious", "building")
    sure = ~classes.mask[0] & (np.abs(chance[0] - 0.6) > 0.006) & (np.abs(chance[1] - 0.7) > 0.006)
    truth = np.where(chance[1] >= 0.7, 2, chance[0] >= 0.6)
    np.testing.assert_array_equal(classes[0][sure], truth[sure])
    assert float(tags["IMPERVIOUS_KM2"]) == pytest.approx((classes >= 1).sum() / 1e6, rel=1e-4)
    assert float(tags["BUILDING_KM2"]) == pytest.approx((classes == 2).sum() / 1e6, rel=1e-4)
    assert 'value="2" label="building"' in (tmp_path / "o.qml").read_text()
    assert "of which buildings: " in done.output


def test_tiles_of_the_city_model_join_exactly(run: Run, files: Path, city: Path, tmp_path: Path) -> None:
    spec, tensors = load(city)
    rng = np.random.default_rng(0)
    noisy = {
        n: v + 0.2 * torch.from_numpy(rng.normal(size=v.shape).astype(np.float32)) if "heads" in n else v
        for n, v in tensors.items()
    }
    save(tmp_path / "m.safetensors", noisy, spec)
    maps = []
    for tile in (40, 512):
        out = tmp_path / f"{tile}.tif"
        options = ("--tile", tile, "--probability", "--quiet", "--threads", 1)
        done = run("map", files / "wide.tif", out, "--model", tmp_path / "m.safetensors", *options)
        assert done.exit_code == 0, done.output
        maps.append(opened(tmp_path / f"{tile}_probability.tif")[0].astype(int))
    assert np.abs(maps[0] - maps[1]).max() <= 1


def test_an_image_without_near_infrared_is_mapped_with_a_warning(
    run: Run, files: Path, city: Path, tmp_path: Path
) -> None:
    write(files / "wide_rgb.tif", np.tile(scene(), (1, 2, 2)))
    done = run("map", files / "wide_rgb.tif", tmp_path / "o.tif", "--model", city, "--threads", 1)
    assert done.exit_code == 0 and "no near infrared" in done.output
    assert opened(tmp_path / "o.tif")[1]["MISSING_BANDS"] == "nir"
    full = run("map", files / "nir.tif", tmp_path / "full.tif", "--model", city, "--threads", 1)
    assert full.exit_code == 0, full.output
    assert "MISSING_BANDS" not in opened(tmp_path / "full.tif")[1]
    write(files / "unnamed.tif", np.tile(scene(4), (1, 2, 2)), (*NAMES[:3], "B8A"))
    fourth = run("map", files / "unnamed.tif", tmp_path / "q.tif", "--model", city, "--threads", 1)
    assert fourth.exit_code == 0 and "4='B8A'. State which with --band nir=N" in fourth.output
    two = run("map", files / "wide_rgb.tif", tmp_path / "p.tif", "--model", city, "--band", "red=9")
    assert two.exit_code != 0 and not (tmp_path / "p.tif").exists()


def test_an_image_smaller_than_the_halo_is_mapped(run: Run, files: Path, city: Path, tmp_path: Path) -> None:
    done = run("map", files / "nir.tif", tmp_path / "o.tif", "--model", city, "--threads", 1)
    assert done.exit_code == 0, done.output
    assert opened(tmp_path / "o.tif")[0].shape == (1, 200, 280)
