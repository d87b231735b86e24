"""Real pairs of the benchmark: those of the command line, their registration, and a finer reference."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.real.pairs import PAIRS, Pair, chosen, load, stated_pair
from scipy.ndimage import gaussian_filter
from tests.support.paths import ROOT
from tests.support.rasters import write_raster

CELL, SIDE = 30.0, 100


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a coarse DEM, 10 m too far east, and references at a third and a sixth of its cells."""
    folder = tmp_path_factory.mktemp("pair")
    rough = np.random.default_rng(3).normal(size=(6 * SIDE, 6 * SIDE))
    ground = 800 + 4000 * gaussian_filter(rough, 30) + 300 * gaussian_filter(rough, 8)
    for name, k in (("coarse", 6), ("third", 2), ("sixth", 1)):
        means = ground.reshape(6 * SIDE // k, k, 6 * SIDE // k, k).mean(axis=(1, 3)).astype(np.float32)
        east = 10.0 if name == "coarse" else 0.0
        write_raster(folder / f"{name}.tif", means, cell=k * CELL / 6, origin=(500_000 + east, 5_000_000))
    return folder


def test_a_pair_of_the_command_line_is_read() -> None:
    assert stated_pair("mine=a/c.tif,f.tif,3") == ("mine", Pair("a/c.tif", "f.tif", 3, None))
    assert stated_pair("mine=c.tif,f.tif,2,srtm1")[1].product == "srtm1"


@pytest.mark.parametrize(
    "text", ["mine", "=c.tif,f.tif,2", "mine=c.tif,f.tif", "mine=c.tif,f.tif,5", "mine=c.tif,,2", "mine=c,f,2,srtm1,x"]
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected NAME=COARSE"):
        stated_pair(text)


def test_pairs_are_those_of_the_table_or_those_that_are_given(pair: Path) -> None:
    mine = stated_pair("mine=coarse.tif,third.tif,3")
    assert chosen(None, None, pair) == PAIRS
    assert chosen(None, [mine], pair) == {"mine": Pair(str(pair / "coarse.tif"), str(pair / "third.tif"), 3, None)}
    assert list(chosen(["weald"], [mine], pair)) == ["weald", "mine"]
    with pytest.raises(SystemExit, match="has this name"):
        chosen(None, [("weald", mine[1])], pair)
    with pytest.raises(SystemExit, match=r"absent\.tif: no such file"):
        chosen(None, [stated_pair("mine=absent.tif,third.tif,3")], pair)


def test_the_shift_is_found_and_a_finer_reference_is_averaged_to_cells_of_the_output(pair: Path) -> None:
    third, sixth = (load(pair, Pair("coarse.tif", f"{name}.tif", 3, None)) for name in ("third", "sixth"))
    assert third.reference.shape == sixth.reference.shape == (3 * SIDE, 3 * SIDE)
    np.testing.assert_allclose(third.reference, sixth.reference, atol=1e-3)
    np.testing.assert_allclose(third.shift, (0.0, 10.0 / CELL), atol=0.03)


def test_only_the_stated_rows_are_scored(pair: Path) -> None:
    ground = load(pair, Pair("coarse.tif", "third.tif", 3, None, rows=(0.5, 1.0)))
    rows = np.flatnonzero(ground.cells.any(axis=1))
    assert rows.min() >= 3 * (SIDE // 2 + 8) - 1
    with pytest.raises(SystemExit, match="no cell in common"):
        load(pair, Pair("coarse.tif", "third.tif", 3, None, rows=(0.5, 0.55)))


@pytest.mark.long
def test_one_command_scores_every_method_on_a_pair_of_ones_own(pair: Path, tmp_path: Path) -> None:
    stated = f"mine={pair / 'coarse.tif'},{pair / 'third.tif'},3,srtm1"
    command = [sys.executable, "-m", "benchmarks.real.dem", "--pair", stated]
    out, env = tmp_path / "result.json", {k: v for k, v in os.environ.items() if k != "TERRAFINE_DATA"}
    ran = subprocess.run([*command, "--out", str(out)], cwd=ROOT, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(out.read_text(encoding="utf-8"))["pairs"]
    published = json.loads((ROOT / "benchmarks/results/real_dem.json").read_text(encoding="utf-8"))["pairs"]["weald"]
    assert list(found) == ["mine"]
    assert found["mine"]["product"] == "srtm1"
    assert found["mine"]["methods"].keys() == published["methods"].keys()
    for method, row in found["mine"]["methods"].items():
        assert row.keys() == published["methods"][method].keys()
        assert row["rmse"] > 0
        assert 0 <= row["d8_same"] <= 1
    assert found["mine"]["methods"]["bicubic"]["ratios"]["rmse"] == 1.0
