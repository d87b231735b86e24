"""Packed terrain is the terrain, cell for cell, and trains the same weights where there is no GDAL."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file
from tests.support.recipes import RIDGELINE, write_recipe

import terrafine
from terrafine.cli import main
from terrafine.errors import DataError, RecipeError
from terrafine.training.dem.packed import read_pack, write_pack
from terrafine.training.dem.terrain import Terrain, load_terrains

FILES = {"ground/*.tif": 1.0}
WITHOUT_GDAL = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"rasterio", "odc", "osgeo", "pyproj"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import terrafine
recipe, pack, out = sys.argv[1:]
terrafine.train(recipe, packed=pack, out=out, device="cpu", threads=1, progress=False)
assert not {"rasterio", "odc", "pyproj"} & set(sys.modules)
"""


def test_terrain_comes_back_cell_for_cell(ground: Path, tmp_path: Path) -> None:
    whole = load_terrains(ground, FILES)
    broken = np.random.default_rng(1).normal(900, 300, (30, 41)).astype(np.float32)
    broken[3, 5:] = -32768.0
    fine = Terrain("c", broken, -32768.0, np.full((2, 30), 1.5), 0.25, ((0, 10, 0, 41), (20, 30, 0, 41)))
    size = write_pack(tmp_path / "t.safetensors", [*whole, fine], FILES)
    assert size == (tmp_path / "t.safetensors").stat().st_size
    assert size < sum(t.heights.nbytes for t in whole)
    for before, after in zip([*whole, fine], read_pack(tmp_path / "t.safetensors", FILES), strict=True):
        assert after.heights.dtype == before.heights.dtype
        np.testing.assert_array_equal(after.heights, before.heights)
        np.testing.assert_array_equal(after.pixel_size_m, before.pixel_size_m)
        assert (after.name, after.nodata, after.weight) == (before.name, before.nodata, before.weight)
        assert after.zones == before.zones


@pytest.mark.parametrize(
    ("system", "network"), [("ridgeline", RIDGELINE), ("ridgeline2", "channels = 8\nblocks = 1\nscales = [2]")]
)
def test_training_from_a_pack_without_gdal_gives_the_same_weights(
    system: str, network: str, ground: Path, tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path / "r.toml", steps=3, system=system, network=network)
    done = terrafine.train(recipe, data_root=ground, out=tmp_path / "files", device="cpu", threads=1, progress=False)
    pack = tmp_path / "pack.safetensors"
    assert terrafine.pack_terrain(recipe, pack, data_root=ground, limit="1MB") == pack.stat().st_size
    command = [sys.executable, "-c", WITHOUT_GDAL, str(recipe), str(pack), str(tmp_path / "packed")]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stderr
    one, two = load_file(done.weights), load_file(tmp_path / "packed" / done.weights.name)
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name], err_msg=name)


def test_what_cannot_be_packed_or_read_is_refused(ground: Path, tmp_path: Path) -> None:
    terrains, path = load_terrains(ground, FILES), tmp_path / "t.safetensors"
    with pytest.raises(DataError, match=r"takes .* MB, and 0\.0 MB are allowed"):
        write_pack(path, terrains, FILES, limit=1000)
    assert not path.exists()
    with pytest.raises(RecipeError, match="samples of HDF5 cannot be packed"):
        write_pack(path, [replace(terrains[0], samples=object())], FILES)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="cannot be read"):
        read_pack(path, FILES)
    write_pack(path, terrains, FILES)
    with pytest.raises(DataError, match="this recipe states"):
        read_pack(path, {"ground/*.tif": 2.0})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"cannot be read|damaged"):
        read_pack(path, FILES)
    save_file({"x": np.zeros(3, np.float32)}, path)
    with pytest.raises(DataError, match="no packed terrain of this version"):
        read_pack(path, FILES)


def test_the_command_line_packs_and_refuses_a_limit_without_a_pack(ground: Path, tmp_path: Path) -> None:
    recipe = str(write_recipe(tmp_path / "r.toml", steps=1))
    pack = tmp_path / "p.safetensors"
    result = CliRunner().invoke(main, ["train", recipe, "--data", str(ground), "--pack", str(pack)])
    assert result.exit_code == 0, result.output
    assert "train from it with --packed" in result.output
    assert pack.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.safetensors", "r.toml"], "nothing was trained"
    refused = CliRunner().invoke(main, ["train", recipe, "--pack-limit", "1MB"])
    assert refused.exit_code == 2
    other = CliRunner().invoke(main, ["train", "relief.toml", "--packed", str(pack)])
    assert other.exit_code == RecipeError.exit_code, other.output
