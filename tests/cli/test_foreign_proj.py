"""PROJ_LIB and PROJ_DATA of another installation change nothing: every verb uses the database it came with."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from tests.support.rasters import heights, write_raster


def old_layout(folder: Path) -> None:
    database = sqlite3.connect(copied(folder))
    database.execute("update metadata set value='0' where key='DATABASE.LAYOUT.VERSION.MINOR'")
    database.commit()


def next_layout(folder: Path) -> None:
    database = sqlite3.connect(copied(folder))
    database.execute("update metadata set value='9' where key='DATABASE.LAYOUT.VERSION.MAJOR'")
    database.commit()


def without_codes(folder: Path) -> None:
    """A database of the right version that lacks the vertical CRSs."""
    database = sqlite3.connect(copied(folder))
    for table in ("vertical_crs", "compound_crs"):
        database.execute(f"delete from {table}")
    database.commit()


def damaged(folder: Path) -> None:
    (folder / "proj.db").write_bytes(b"no database")


def empty(folder: Path) -> None:
    assert folder.is_dir()


def absent(folder: Path) -> None:
    folder.rmdir()


def copied(folder: Path) -> Path:
    return Path(shutil.copy(Path(pyproj.datadir.get_data_dir()) / "proj.db", folder / "proj.db"))


@pytest.fixture(params=[old_layout, next_layout, without_codes, damaged, empty, absent])
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    request.param(folder)
    return folder


def terrafine(variable: str, folder: Path, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "terrafine.cli", *map(str, args)]
    env = {k: v for k, v in os.environ.items() if k not in ("PROJ_LIB", "PROJ_DATA")} | {variable: str(folder)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_datums_and_places_are_kept(foreign: Path, tmp_path: Path) -> None:
    dem = write_raster(tmp_path / "dem.tif", heights(), crs="EPSG:32633+3855")
    other = write_raster(tmp_path / "other.tif", heights(), crs="EPSG:32633+5773")
    info = terrafine("PROJ_LIB", foreign, "info", dem)
    assert info.returncode == 0 and "EGM2008" in info.stdout and "EPSG:32633" in info.stdout, info.stderr
    out = tmp_path / "o.tif"
    made = terrafine("PROJ_DATA", foreign, "dem", dem, out, "--scale", 2, "--model", "nearest", "--quiet")
    assert made.returncode == 0, made.stderr
    with rasterio.open(out) as file:
        crs = pyproj.CRS.from_wkt(file.crs.to_wkt())
        assert crs.is_compound and crs.sub_crs_list[1].to_epsg() == 3855 and crs.sub_crs_list[0].to_epsg() == 32633
        assert np.isclose(file.read(1).mean(), heights().mean(), atol=0.01)
    mixed = terrafine("PROJ_LIB", foreign, "evaluate", dem, other, "--no-hydrology", "--quiet")
    assert mixed.returncode == 6 and "EGM96" in mixed.stderr + mixed.stdout


def test_doctor_says_that_the_variable_is_not_used(tmp_path: Path) -> None:
    old_layout(tmp_path)
    done = terrafine("PROJ_LIB", tmp_path, "doctor")
    assert done.returncode == 0 and "PROJ_LIB of another installation not used" in done.stdout + done.stderr


def test_an_installation_without_a_database_of_its_own_refuses_a_foreign_one(tmp_path: Path) -> None:
    """As Conda's, where the environment leads to the database: what does not fit is refused by name."""
    path = tmp_path / "wrapped.py"
    path.write_text(
        "import sys, rasterio._env as e\n"
        "class Finder(e.PROJDataFinder):\n    def search_wheel(self, prefix=None): return None\n"
        "e.PROJDataFinder = Finder\n"
        "from terrafine.raster.read.source import open_source\n"
        "from terrafine.errors import GridError\n"
        "try:\n    open_source(sys.argv[1])\nexcept GridError as error:\n    print(error)\n"
    )
    dem = write_raster(tmp_path / "dem.tif", heights())
    (tmp_path / "share").mkdir()
    old_layout(tmp_path / "share")
    env = os.environ | {"PROJ_DATA": str(tmp_path / "share")}
    done = subprocess.run([sys.executable, path, dem], capture_output=True, text=True, check=True, env=env)
    assert "PROJ_DATA=" in done.stdout and "Unset PROJ_DATA and PROJ_LIB" in done.stdout
