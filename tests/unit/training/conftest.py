"""A small data folder to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.rasters import write_raster


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two elevation models of 300×260 cells."""
    root = tmp_path_factory.mktemp("data")
    (root / "ground").mkdir()
    for i, name in enumerate("ab"):
        heights = np.random.default_rng(i).normal(size=(300, 260)).cumsum(0).cumsum(1) / 3 + 400
        heights = heights.round().clip(-400, 8000)
        write_raster(root / "ground" / f"{name}.tif", heights.astype(np.int16), nodata=-32768)
    return root
