"""-co of the command line: checked before anything is read, and the same heights whatever is stated."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from tests.support.cli import Run
from tests.support.verbs import NEAREST

from terrafine.errors import UsageError


def test_compression_is_as_stated_and_the_heights_are_the_same(dem: Path, tmp_path: Path, run: Run) -> None:
    assert run("dem", dem, tmp_path / "a.tif", *NEAREST).exit_code == 0
    assert run("dem", dem, tmp_path / "b.tif", *NEAREST, "-co", "compress=deflate", "-co", "LEVEL=9").exit_code == 0
    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.tif") as b:
        assert b.compression.value == "DEFLATE" and a.compression.value == "ZSTD"
        assert np.array_equal(a.read(1), b.read(1)) and a.tags(ns="TERRAFINE") == b.tags(ns="TERRAFINE")


@pytest.mark.parametrize("given", ["COMPRESS", "=ZSTD", "COMPRESS=JPEG", "TILED=NO", "LEVEL=99"])
def test_what_is_not_allowed_is_an_error_of_usage(tmp_path: Path, run: Run, given: str) -> None:
    result = run("dem", tmp_path / "none.tif", tmp_path / "b.tif", "-co", given)
    assert result.exit_code == UsageError.exit_code
    assert "expected" in result.output


def test_a_key_is_stated_once(tmp_path: Path, run: Run) -> None:
    result = run("radar", "a.tif", "b.tif", "--orbit", "ascending", "-co", "LEVEL=1", "-co", "level=2")
    assert result.exit_code == UsageError.exit_code
    assert "twice" in result.output
