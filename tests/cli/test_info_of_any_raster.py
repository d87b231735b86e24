"""`info` describes each kind of raster, its own outputs among them, and prints each note once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.cli import Run
from tests.support.rasters import write_raster

VALUES = np.linspace(1, 2, 64, dtype=np.float32).reshape(8, 8)


@pytest.mark.parametrize(
    ("names", "unit", "kind"),
    [
        (("relief",), "m", "relief"),
        (("relief", "relief_sigma"), "m", "relief"),
        (("vv", "vh"), "dB", "radar"),
        (("incidence",), "degree", "radar"),
        (("local_incidence", "layover", "shadow", "backscatter"), "", "other"),
        (tuple(f"date {n}" for n in range(98)), "dB", "other"),
        (("", "", "", ""), "", "other"),
        (("elevation", "elevation_sigma"), "m", "elevation"),
        (("red", "green", "blue"), "", "image"),
        (("class",), "", "classes"),
    ],
)
def test_a_raster_of_any_kind_is_described(
    names: tuple[str, ...], unit: str, kind: str, tmp_path: Path, run: Run
) -> None:
    path = write_raster(tmp_path / "a.tif", np.stack([VALUES] * len(names)), names=names, unit=unit)
    result = run("info", path, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["kind"], len(found["bands"]), found["shape"]) == (kind, len(names), [8, 8])
    assert run("info", path).exit_code == 0


def test_a_note_is_printed_once(tmp_path: Path) -> None:
    dem = write_raster(tmp_path / "a.tif", 100 * VALUES, names=("elevation",))
    command = [sys.executable, "-m", "terrafine.cli", "radar", dem, tmp_path / "o.tif", "--orbit", "ascending"]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True)
    assert done.stderr.count("mid-swath") == 1, done.stderr
