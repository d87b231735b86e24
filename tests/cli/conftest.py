"""Small real files to feed to the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.cli_files import write_dem

from terrafine.cli import main

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """`run("dem", a, b)` is `terrafine dem a b` in this process."""

    def run_(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(a) for a in arguments])

    return run_


@pytest.fixture
def dem(tmp_path: Path) -> Path:
    """A good DEM of 24×32 cells."""
    return write_dem(tmp_path / "coarse.tif")
