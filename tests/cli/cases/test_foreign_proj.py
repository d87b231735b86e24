"""A PROJ database of another installation changes nothing, or is refused by name."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import CRS
from tests.support.cases import ground
from tests.support.paths import ROOT
from tests.support.rasters import write_raster

RUN = "from terrafine.cli import main; main()"


def empty(folder: Path) -> Path:
    return folder


def old(folder: Path) -> Path:
    """A database of an old layout."""
    from pyproj.datadir import get_data_dir

    shutil.copy(Path(get_data_dir()) / "proj.db", folder / "proj.db")
    with sqlite3.connect(folder / "proj.db") as db:
        db.execute("UPDATE metadata SET value='0' WHERE key='DATABASE.LAYOUT.VERSION.MINOR'")
    return folder


def garbage(folder: Path) -> Path:
    (folder / "proj.db").write_bytes(b"no database" * 99)
    return folder


def missing(folder: Path) -> Path:
    return folder / "nowhere"


@pytest.mark.parametrize("make", [empty, old, garbage, missing])
@pytest.mark.parametrize("name", ["PROJ_LIB", "PROJ_DATA"])
@pytest.mark.parametrize("verb", ["dem", "evaluate", "python"])
def test_datums_stay_or_the_run_is_refused(make, name: str, verb: str, tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", ground().astype(np.float32), crs="EPSG:32633+3855")
    other = write_raster(tmp_path / "b.tif", ground().astype(np.float32), crs=CRS(32633).to_3d().to_wkt())
    out = tmp_path / "o.tif"
    (tmp_path / "proj").mkdir()
    command = {
        "dem": [
            "-c",
            RUN,
            "dem",
            source,
            out,
            "--scale",
            "2",
            "--model",
            "nearest",
            "--quiet",
            "--t-srs",
            "EPSG:25833",
        ],
        "evaluate": ["-c", RUN, "evaluate", source, other, "--no-hydrology", "--quiet"],
        "python": [
            "-c",
            f"import terrafine; terrafine.sharpen_dem({str(source)!r}, {str(out)!r}, model='nearest', scale=2)",
        ],
    }[verb]
    env = os.environ | {name: str(make(tmp_path / "proj")), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        check=False,
    )
    said = done.stdout + done.stderr
    if verb == "evaluate":
        assert done.returncode in range(2, 18), said  # two datums, or a database that cannot serve
        return
    if done.returncode:
        assert not out.exists()
        assert "PROJ" in said, said
        return
    with rasterio.open(out) as file:
        assert "EGM2008" in CRS(file.crs.to_wkt()).name, file.crs
