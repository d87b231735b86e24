"""`info` shows what a file says about itself, and refuses what is none."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from tests.support.cli import Run
from tests.support.rasters import write_dem

from terrafine.nn import weights
from terrafine.nn.spec import ModelSpec

SPEC = ModelSpec(
    "srcnn",
    "mine",
    "1.2",
    ("elevation",),
    ("elevation",),
    scale=3,
    halo=6,
    network={"channels": 64},
    provenance={"data_licence": "CC0", "held_out_scores": {"to_bicubic": 0.71}},
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine-x3.safetensors"
    weights.save(path, {"a": torch.zeros(3)}, SPEC)
    return path


def test_weights_show_spec_provenance_and_hash(file: Path, run: Run) -> None:
    result = run("info", file)
    assert result.exit_code == 0
    for said in ("mine 1.2 ×3", "system srcnn", "halo 6", "channels=64", "data_licence: CC0", "to_bicubic: 0.71"):
        assert said in result.output
    assert weights.digest(file) in result.output


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".ckpt"])
def test_a_pickle_is_8_whatever_its_name(suffix: str, tmp_path: Path, run: Run) -> None:
    path = tmp_path / f"evil{suffix}"
    path.write_bytes(pickle.dumps({"a": 1}))
    result = run("info", path)
    assert result.exit_code == 8
    assert str(path) in result.stderr


def test_weights_that_are_missing_are_8(tmp_path: Path, run: Run) -> None:
    assert run("info", tmp_path / "absent.safetensors").exit_code == 8


def test_a_raster_shows_its_grid_and_its_heights(dem: Path, run: Run) -> None:
    result = run("info", dem)
    assert result.exit_code == 0, result.output
    for said in ("32633", "30", "elevation"):
        assert said in result.output


def test_an_output_shows_its_lineage(dem: Path, tmp_path: Path, run: Run) -> None:
    assert run("dem", dem, tmp_path / "fine.tif", "--model", "bicubic", "--scale", 2).exit_code == 0
    result = run("info", tmp_path / "fine.tif")
    for said in (
        "MODEL: bicubic",
        "SCALE: 2",
        "CONSISTENCY: hard",
        "SOURCE: coarse.tif",
    ):
        assert said in result.output


@pytest.mark.parametrize("content", [None, b"", b"hello, no raster at all"])
def test_what_is_no_raster_is_3(content: bytes | None, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "odd.tif"
    if content is not None:
        path.write_bytes(content)
    result = run("info", path)
    assert result.exit_code == 3
    assert str(path) in result.stderr


@pytest.mark.parametrize(
    ("name", "unit", "band", "kind"),
    [
        ("class", "", "class", "classes"),
        ("impervious", "", "impervious", "classes"),
        ("impervious", "1", "impervious", "probability"),
        ("", "", "class", "classes"),
        ("elevation", "m", "elevation", "elevation"),
    ],
)
def test_a_raster_of_another_kind_shows_its_own_bands(
    name: str, unit: str, band: str, kind: str, tmp_path: Path, run: Run
) -> None:
    path = write_dem(tmp_path / "c.tif", np.ones((8, 9), np.uint8), nodata=255)
    with rasterio.open(path, "r+") as file:
        file.set_band_description(1, name)
        file.units = [unit]
    result = run("info", path)
    assert result.exit_code == 0, result.output
    assert f"bands\n  {band}\n" in result.output
    assert result.output.startswith(f"kind: {kind}\n")


def test_a_probability_is_not_judged_as_heights(tmp_path: Path, run: Run) -> None:
    path = write_dem(tmp_path / "p.tif", np.full((8, 9), 0.4, np.float32))
    with rasterio.open(path, "r+") as file:
        file.set_band_description(1, "impervious")
    assert run("info", path).output.startswith("kind: probability\n")
    result = run("evaluate", path, path)
    assert result.exit_code == 2 and "holds a probability" in result.stderr


def test_a_dem_shows_its_product(tmp_path: Path, run: Run) -> None:
    named = write_dem(tmp_path / "ALPSMLC30_N046E011_DSM.tif")
    assert "product: AW3D30 (from the file name): point spread" in run("info", named).output
