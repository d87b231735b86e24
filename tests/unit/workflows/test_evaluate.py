"""`evaluate` as a function: it goes by what the files hold, and refuses what does not apply to it."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from tests.support.rasters import write_dem
from tests.support.surfaces import hills

import terrafine
from terrafine.errors import GateError, GridError, UsageError

PLAIN = {"coregister": False, "hydrology": False}


@pytest.fixture
def heights(tmp_path: Path) -> tuple[Path, Path]:
    z = hills(96, 96)
    return write_dem(tmp_path / "near-1.tif", z + np.float32(1)), write_dem(tmp_path / "truth.tif", z)


@pytest.fixture
def maps(tmp_path: Path) -> tuple[Path, Path]:
    paths = []
    for name, seed in (("map-a", 1), ("truth-map", 2)):
        values = np.random.default_rng(seed).integers(0, 2, (64, 64)).astype(np.uint8)
        path = tmp_path / f"{name}.tif"
        profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
        with rasterio.open(path, "w", **profile, transform=from_origin(500_000, 5_200_000, 1, 1)) as file:
            file.write(values, 1)
            file.set_band_description(1, "class")
        paths.append(path)
    return paths[0], paths[1]


def test_elevation_models_are_compared_and_the_report_written(heights: tuple[Path, Path], tmp_path: Path) -> None:
    done = terrafine.evaluate(*heights, out=tmp_path / "report", **PLAIN)  # type: ignore[arg-type]
    assert done.kind == "elevation"
    assert done.results["candidates"][0]["name"] == "near-1"
    assert done.results["candidates"][0]["elevation"]["rmse"] == pytest.approx(1, abs=1e-4)
    assert json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8")) == done.results
    assert tmp_path / "report" / "index.html" in done.files
    assert done.sentence


def test_class_maps_are_compared(maps: tuple[Path, Path]) -> None:
    done = terrafine.evaluate(*maps, class_names={1: "impervious"})
    assert (done.kind, done.results["candidates"][0]["name"]) == ("classes", "map-a")


def test_a_name_of_an_absent_class_is_noted(maps: tuple[Path, Path], heights: tuple[Path, Path]) -> None:
    notes = terrafine.evaluate(*maps, class_names={9: "water", 1: "town"}).results["notes"]
    assert "No compared cell is of class 9 (water), which is named; the classes are: 0, town." in notes
    assert not any("No compared cell" in n for n in terrafine.evaluate(*maps, class_names={1: "x"}).results["notes"])
    cover = write_dem(heights[1].with_name("cover.tif"), np.full((96, 96), 3, np.float32))
    notes = terrafine.evaluate(*heights, classes=cover, class_names={3: "town", 7: "lake"}, **PLAIN).results["notes"]
    assert "No compared cell is of class 7 (lake), which is named; the classes are: town." in notes


def test_a_name_of_an_absent_class_is_noted_for_a_sample(maps: tuple[Path, Path], tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    rows = [f"{500_000.5 + i},{5_200_000 - 0.5 - i},{i % 2}" for i in range(60)]
    points.write_text("\n".join(["x,y,class", *rows]), encoding="utf-8")
    notes = terrafine.evaluate(maps[0], points, class_names={5: "water"}).results["notes"]
    assert "No compared cell is of class 5 (water), which is named; the classes are: 0, 1." in notes


def test_names_of_classes_without_classes_are_refused_for_elevation_models(heights: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="class_names= cannot be used with elevation models; leave it out"):
        terrafine.evaluate(*heights, class_names={1: "town"}, **PLAIN)  # type: ignore[arg-type]


def test_a_name_that_is_given_leaves_the_names_that_a_file_states(maps: tuple[Path, Path]) -> None:
    with rasterio.open(maps[1], "r+") as file:
        file.update_tags(CLASS_NAMES="0=other;1=impervious")
    classes = terrafine.evaluate(*maps, class_names={1: "built"}).results["settings"]["classes"]
    assert [one["name"] for one in classes] == ["other", "built"]


def test_classes_break_the_agreement_of_class_maps_down(maps: tuple[Path, Path], tmp_path: Path) -> None:
    regions = tmp_path / "regions.tif"
    with rasterio.open(maps[1]) as file:
        profile = file.profile
    with rasterio.open(regions, "w", **profile) as file:
        file.write(np.repeat([[4], [6]], 32, axis=0).repeat(64, axis=1).astype(np.uint8), 1)
    done = terrafine.evaluate(*maps, classes=regions, out=tmp_path / "report")
    found = done.results["candidates"][0]["by_region"]
    assert [(one["region"], one["n"]) for one in found] == [(4, 32 * 64), (6, 32 * 64)]
    assert "By region" in (tmp_path / "report/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "fields",
    [
        {"coregister": True},
        {"hydrology": False},
        {"slope_method": "horn"},
        {"stages_m": [1.0]},
        {"vertical_datum": "EGM2008"},
        {"elevation_unit": "ft"},
        {"divide_by": 2.0},
    ],
)
def test_what_does_not_apply_to_class_maps_is_refused(maps: tuple[Path, Path], fields: dict[str, object]) -> None:
    name = next(iter(fields))
    with pytest.raises(UsageError, match=f"{name}= cannot be used with class maps; leave it out, or state"):
        terrafine.evaluate(*maps, **fields)  # type: ignore[arg-type]


def test_a_scale_of_images_is_refused_for_elevation_models(heights: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="divide_by= cannot be used with elevation models"):
        terrafine.evaluate(*heights, divide_by=2.0)


def test_feet_are_read_as_feet(tmp_path: Path, heights: tuple[Path, Path]) -> None:
    feet = [
        write_dem(tmp_path / f"{name}.tif", (hills(96, 96) + add) / np.float32(0.3048))
        for name, add in (("near", np.float32(1)), ("truth-ft", np.float32(0)))
    ]
    done = terrafine.evaluate(*feet, elevation_unit="ft", **PLAIN)  # type: ignore[arg-type]
    assert done.results["candidates"][0]["elevation"]["rmse"] == pytest.approx(1, abs=1e-3)


def test_a_gate_that_is_not_kept_raises_on_request(heights: tuple[Path, Path], tmp_path: Path) -> None:
    gates = tmp_path / "gates.toml"
    gates.write_text("[max]\nelevation.rmse = 0.5\n", encoding="utf-8")
    done = terrafine.evaluate(*heights, gate=gates, **PLAIN)  # type: ignore[arg-type]
    with pytest.raises(GateError, match=r"near-1: elevation\.rmse is 1"):
        done.raise_unless_passed()


def test_refusals_name_arguments_of_python(heights: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kind 'dem': expected one of elevation, classes, image"):
        terrafine.evaluate(*heights, kind="dem")
    with pytest.raises(UsageError, match="has no argument 'coregistration'; closest are coregister"):
        terrafine.evaluate(*heights, coregistration=False)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match=r"a file is named twice"):
        terrafine.evaluate([heights[0], heights[0]], heights[1])
    bare = write_dem(tmp_path / "bare.tif", hills(96, 96), crs=None)
    with pytest.raises(GridError, match="assume_crs=") as error:
        terrafine.evaluate(bare, heights[1], **PLAIN)  # type: ignore[arg-type]
    assert "pixel_size_m" not in str(error.value)
    assert "--" not in str(error.value)
