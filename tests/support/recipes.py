"""A recipe for a tiny training on the small data folder of the training tests."""

from __future__ import annotations

from pathlib import Path

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


def write_recipe(
    path: Path,
    *,
    steps: int = 8,
    system: str = "ridgeline",
    network: str = RIDGELINE,
    extra: str = "",
    method: str = "adamw",
) -> Path:
    """Write the recipe, filled in."""
    path.write_text(
        RECIPE.format(steps=steps, system=system, network=network, extra=extra, method=method), encoding="utf-8"
    )
    return path
