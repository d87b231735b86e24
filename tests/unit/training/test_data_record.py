"""A run is not resumed on data that have changed since it began, and the file is named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from tests.support.rasters import write_raster
from tests.support.recipes import write_recipe

from terrafine.errors import DataError
from terrafine.training.data_record import data_record, require_unchanged
from terrafine.training.start import train


class CutOffError(Exception):
    """A run that ends early."""


def stop(step: int, steps: int, line: dict[str, float]) -> None:
    if step == 4:
        raise CutOffError


@pytest.fixture
def begun(ground: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A recipe, data of its own, and a run folder that was cut off after a checkpoint."""
    data, recipe, out = tmp_path / "data", write_recipe(tmp_path / "r.toml"), tmp_path / "out"
    shutil.copytree(ground, data)
    with pytest.raises(CutOffError):
        train(recipe, data_root=data, out=out, threads=1, progress=stop)
    assert (out / "checkpoint.safetensors").exists()
    return recipe, data, out


def one_cell(data: Path) -> None:
    """One height of one file, the size as before."""
    with rasterio.open(data / "ground" / "a.tif", "r+") as file:
        values = file.read(1)
        values[5, 5] += 1
        file.write(values, 1)


def longer(data: Path) -> None:
    with open(data / "ground" / "b.tif", "ab") as file:
        file.write(b"more")


def added(data: Path) -> None:
    write_raster(data / "ground" / "c.tif", np.full((300, 260), 7, np.int16), nodata=-32768)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (one_cell, r"ground/a.tif has changed"),
        (longer, r"ground/b.tif has changed \([\d,]+ bytes then, [\d,]+ now\)"),
        (added, r"ground/c.tif was added"),
    ],
)
def test_a_run_on_changed_data_is_not_resumed(
    begun: tuple[Path, Path, Path], change: Callable[[Path], None], words: str
) -> None:
    recipe, data, out = begun
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    change(data)
    with pytest.raises(DataError, match=words) as error:
        train(recipe, data_root=data, out=out, threads=1)
    assert "restart=True" in str(error.value)
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before
    train(recipe, data_root=data, out=out, threads=1, restart=True)  # the advice helps
    train(recipe, data_root=data, out=out, threads=1)  # and the finished run is the new one


def test_data_that_were_copied_elsewhere_are_the_same(begun: tuple[Path, Path, Path], tmp_path: Path) -> None:
    recipe, data, out = begun
    moved = tmp_path / "moved"
    shutil.copytree(data, moved, copy_function=shutil.copyfile)  # times are of now
    os.utime(moved / "ground" / "a.tif", (1, 1))
    assert train(recipe, data_root=moved, out=out, threads=1).steps == 8


def test_a_run_of_an_earlier_version_is_resumed_and_recorded(begun: tuple[Path, Path, Path]) -> None:
    recipe, data, out = begun
    (out / "data.json").unlink()
    train(recipe, data_root=data, out=out, threads=1)
    assert set(json.loads((out / "data.json").read_text(encoding="utf-8"))) == {"ground/a.tif", "ground/b.tif"}


def test_a_file_that_is_gone_is_named_and_many_are_summed_up(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / name).write_bytes(name.encode())
    kept = tmp_path / "run" / "data.json"
    kept.parent.mkdir()
    whole = data_record(tmp_path, [tmp_path / name for name in "abcdef"])
    kept.write_text(json.dumps(whole), encoding="utf-8")
    require_unchanged(kept, whole)
    with pytest.raises(DataError, match="a is no longer there; b is no longer there; c is no longer there and 2 more"):
        require_unchanged(kept, {"f": whole["f"]})
    kept.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        require_unchanged(kept, whole)
