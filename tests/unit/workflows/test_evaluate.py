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
