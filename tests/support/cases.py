"""Statements about a run of the command line on an awkward file: right, or refused with advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from click.testing import Result

from tests.support.cli import terrafine
from tests.support.rasters import read_band
from tests.support.surfaces import block_means, terrain

FOOT, SURVEY_FOOT = 0.3048, 1200 / 3937


def ground(side: int = 48, base: float = 500.0, relief: float = 60.0, seed: int = 3) -> np.ndarray:
    """Heights in metres, float64 (y, x): the truth of a case."""
    return terrain(side, seed, 1.9, relief) - 500.0 + base


def sharpen(*arguments: object) -> Result:
    """`terrafine dem` by the nearest neighbour, x2: each block mean is the input cell."""
    return terrafine("dem", *arguments, "--scale", 2, "--model", "nearest", "--quiet")


def assert_refused(result: Result, *words: str, output: Path | None = None, code: int | None = None) -> None:
    """The run ended with an exit code of its own, said these words and left no output and no job folder."""
    assert 2 <= result.exit_code <= 17, (result.exit_code, result.output[-500:])
    assert code is None or result.exit_code == code, result.output
    assert "Traceback" not in result.output and "unexpected" not in result.output, result.output
    for word in words:
        assert word in result.output, result.output
    if output is not None:
        assert not output.exists()
        assert not output.with_name(output.name + ".job").exists()


def assert_heights(result: Result, output: Path, truth: np.ndarray, scale: int = 2, tolerance: float = 0.02) -> None:
    """The run succeeded and the block means of its output are the truth in metres, NaN where it is NaN."""
    assert result.exit_code == 0, result.output
    with rasterio.open(output) as file:
        assert file.units[0] in ("m", "metre", None), file.units
    found = block_means(read_band(output), scale)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(truth))
    assert np.nanmax(np.abs(found - truth)) < tolerance


def centre(path: Path, crs: Any) -> tuple[float, float]:
    """The middle of a raster in another CRS."""
    with rasterio.open(path) as file:
        x, y = file.transform * (file.width / 2, file.height / 2)
        (east,), (north,) = rasterio.warp.transform(file.crs, crs, [x], [y])
    return east, north
