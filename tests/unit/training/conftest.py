"""A small ground to train on, and a recipe for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

RECIPE = """
system = "{system}"
name = "tiny"
version = "0.1"
scale = 2
seed = 1
validate_every = 4
checkpoint_every = 3
validation_patches = 4
{extra}
[network]
{network}
[data]
gap = 4
[data.files]
"ground/*.tif" = 1.0
[data.held_out]
"ground/b" = [0.0, 1.0]

[patches]
size = 24
batch = 4
coarsen = {{ 1 = 0.5, 2 = 0.5 }}
exaggerate = 0.2

[degrade]
kernels = {{ mean = 0.5, gaussian = 0.5 }}
noise = 0.5
noise_m = 1.0

[optim]
steps = {steps}
rate = 1e-3
warmup = 2
method = "{method}"
"""
RIDGELINE = "channels = 16\nblocks = [1, 0]\ndeep_channels = 16\ndeep_blocks = 1"


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two elevation models of 300×260 cells."""
    root = tmp_path_factory.mktemp("data")
    (root / "ground").mkdir()
    for i, name in enumerate("ab"):
        heights = np.random.default_rng(i).normal(size=(300, 260)).cumsum(0).cumsum(1) / 3 + 400
        heights = heights.round().clip(-400, 8000)
        profile = {"driver": "GTiff", "height": 300, "width": 260, "count": 1, "dtype": "int16", "nodata": -32768}
        transform = from_origin(500_000, 5_000_000, 30, 30)
        with rasterio.open(root / "ground" / f"{name}.tif", "w", crs="EPSG:32633", transform=transform, **profile) as f:
            f.write(heights.astype(np.int16), 1)
    return root


def write_recipe(
    path: Path,
    *,
    steps: int = 8,
    system: str = "ridgeline",
    network: str = RIDGELINE,
    extra: str = "",
    method: str = "adamw",
) -> Path:
    """The recipe above, filled in."""
    path.write_text(
        RECIPE.format(steps=steps, system=system, network=network, extra=extra, method=method), encoding="utf-8"
    )
    return path
