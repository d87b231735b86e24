"""No verb leaves a file open, whether it ends well or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.cases import ground
from tests.support.leaks import Leaks
from tests.support.rasters import write_raster
from tests.support.surfaces import hills

import terrafine
from terrafine.errors import TerrafineError

QUIET: dict[str, Any] = {"coregister": False, "hydrology": False}
VERBS: dict[str, Callable[[dict[str, Path], Path], object]] = {
    "sharpen_dem": lambda f, d: terrafine.sharpen_dem(f["z"], d / "o.tif", scale=2, model="nearest"),
    "map_radar": lambda f, d: terrafine.map_radar(f["z"], d / "o.tif", orbit="ascending"),
    "evaluate": lambda f, d: terrafine.evaluate(f["z"], f["y"], out=d / "report", **QUIET),
    "estimate_height": lambda f, d: terrafine.estimate_height(f["i"], d / "o.tif", sensor="reflectance"),
    "map_impervious": lambda f, d: terrafine.map_impervious(f["i"], d / "o.tif", sensor="reflectance"),
    "sharpen_image": lambda f, d: terrafine.sharpen_image(f["i"], d / "o.tif", sensor="reflectance"),
    "measure_product": lambda f, d: terrafine.measure_product(f["z"], f["y"], d / "o.toml"),
    "build_height_dataset": lambda f, d: terrafine.build_height_dataset(f["i"], f["z"], d / "o"),
    "build_dataset": lambda f, d: terrafine.build_dataset([f["i"]], [f["l"]], d / "o"),
    "measure_change": lambda f, d: terrafine.measure_change(f["z"], f["y"], d / "o.tif"),
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    z, image = ground(128).astype(np.float32), np.random.default_rng(0).uniform(0.02, 0.4, (4, 128, 128))
    names = ("red", "green", "blue", "nir")
    return {
        "z": write_raster(tmp_path / "z.tif", z, cell=10),
        "y": write_raster(tmp_path / "y.tif", z + hills(128, 128) / 100, cell=10),
        "i": write_raster(tmp_path / "i.tif", image.astype(np.float32), names=names, cell=10, nodata=-9999.0),
        "l": write_raster(tmp_path / "l.tif", np.ones((128, 128), np.uint8), cell=10, nodata=None),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "whole", [pytest.param(True, marks=pytest.mark.long), False], ids=["whole files", "a file cut short"]
)
@pytest.mark.parametrize("verb", VERBS)
def test_no_handle_is_left_open(verb: str, whole: bool, files: dict[str, Path], tmp_path: Path) -> None:
    if not whole:
        for path in files.values():
            path.write_bytes(path.read_bytes()[:-2000])
    before = Leaks()
    try:
        VERBS[verb](files, tmp_path)
    except TerrafineError as error:
        assert not whole, error
    assert [line for line in before.found() if line.startswith("open file")] == []
