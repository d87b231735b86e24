"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.cli import Run, terrafine
from tests.support.rasters import write_dem


@pytest.fixture
def run() -> Run:
    """`run("dem", a, b)` is `terrafine dem a b` in this process."""
    return terrafine


@pytest.fixture
def dem(tmp_path: Path) -> Path:
    """A good DEM of 24×32 cells."""
    return write_dem(tmp_path / "coarse.tif")
