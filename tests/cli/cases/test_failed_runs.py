"""A run that fails leaves nothing that blocks the next; what can be known before reading is said before reading."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from tests.support.cases import assert_heights, assert_refused, ground, sharpen
from tests.support.cli import terrafine
from tests.support.rasters import write_raster


def dem(folder: Path) -> Path:
    return write_raster(folder / "a.tif", ground().astype(np.float32))


ASKED = {
    "openvino": ("--engine", "openvino"),
    "onnx": ("--engine", "onnx"),
    "dask": ("--dask", "tcp://127.0.0.1:1"),
    "t-srs": ("--t-srs", "EPSG:99999999"),
    "t-srs-text": ("--t-srs", "no such thing"),
    "tr": ("--tr", "0", "-5"),
    "memory": ("--memory", "1kB"),
    "device-like": ("--tile", "7"),
    "datum": ("--vertical-datum", "EGM1850"),
    "unit": ("--elevation-unit", "fathoms"),
    "guide": ("--guide", "vv=nowhere.tif"),
    "model": ("--model", "nowhere.safetensors"),
    "preview": ("--preview", "/nowhere/at/all.png"),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_refused_run_leaves_nothing_in_the_way_of_the_next(name: str, tmp_path: Path) -> None:
    source, out = dem(tmp_path), tmp_path / "o.tif"
    before = {p.name for p in tmp_path.iterdir()}
    result = terrafine("dem", source, out, "--scale", 2, "--quiet", *ASKED[name])
    if result.exit_code == 0:
        return
    assert_refused(result, output=out)
    assert {p.name for p in tmp_path.iterdir()} == before
    assert_heights(sharpen(source, out), out, ground())


@pytest.mark.parametrize("name", ["t-srs", "t-srs-text", "memory"])
def test_a_bad_option_is_found_before_anything_is_read(name: str, tmp_path: Path) -> None:
    broken = tmp_path / "a.tif"
    broken.write_bytes(dem(tmp_path).read_bytes()[:600])
    result = terrafine("dem", tmp_path / "missing.tif", tmp_path / "o.tif", "--scale", 2, "--quiet", *ASKED[name])
    if name.startswith("t-srs"):
        assert ASKED[name][1] in result.output, result.output


def test_a_bad_scale_is_found_before_anything_is_read(tmp_path: Path) -> None:
    result = terrafine("dem", tmp_path / "missing.tif", tmp_path / "o.tif", "--scale", 7, "--quiet")
    assert result.exit_code in (2, 9) and "missing.tif" not in result.output, result.output


def test_a_refused_training_leaves_no_folder(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('system = "ridgeline"\nname = "a"\nversion = "1"\nscale = 2\nnonsense = 1\n', encoding="utf-8")
    result = terrafine("train", recipe, "--data", tmp_path / "none", "--out", tmp_path / "run")
    assert 2 <= result.exit_code <= 17, result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("model", ["sat2dem", "relief", "jointseg", "bicubic", "nearest"])
def test_export_of_what_cannot_be_exported_is_refused_at_once(model: str, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    result = terrafine("export", model, out)
    if result.exit_code == 0:
        assert out.exists() and importlib.util.find_spec("onnx")
        return
    assert_refused(result, output=out)
    if model in ("bicubic", "nearest"):
        assert "extra" not in result.output and "install" not in result.output, result.output


@pytest.mark.parametrize("model", ["ridgeline", "srcnn"])
@pytest.mark.parametrize("scale", [None, 2, 4])
def test_export_of_a_network_with_and_without_a_scale(model: str, scale: int | None, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    out = tmp_path / "m.onnx"
    result = terrafine("export", model, out, *(() if scale is None else ("--scale", scale)))
    assert result.exit_code == 0, result.output
    assert f"×{scale or 4}" in result.output and out.exists()
