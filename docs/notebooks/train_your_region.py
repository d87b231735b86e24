# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Train on your own region
#
# A model of elevation is fine-tuned on a fine DEM of the region, and scored on a part that it has not seen. The steps
# are few here, so that the notebook ends soon; the recipe states everything else as a real run does.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import rasterio

import terrafine

DATA = Path(os.environ.get("TERRAFINE_DEMO", "../../demo/data"))
WORK = Path(tempfile.mkdtemp())
STEPS = 20  # thousands for a real run

# %% [markdown]
# ## The recipe
#
# Rows 0 to 30 % of the terrain are held out, with a gap to the rest. Training starts from the shipped weights. Every
# key is in [the reference](../reference/recipes.md); one that is misspelt is an error.

# %%
recipe = WORK / "my-region.toml"
recipe.write_text(
    f"""
system = "ridgeline"
name = "my-region"
version = "1.0"
seed = 1
scale = 4
start = "ridgeline-x4"
validate_every = {STEPS}
checkpoint_every = {STEPS}
validation_patches = 8

[network]
channels = 48
blocks = [8, 0]

[data]
gap = 64
licence = "SRTM, public domain"
[data.files]
"sample_30m.tif" = 1.0
[data.held_out]
"sample_30m" = [0.0, 0.3]

[degrade]
kernels = {{ mean = 0.8, bicubic = 0.1, gaussian = 0.1 }}

[patches]
size = 24
batch = 2

[loss]
rmse = 0.7
mae = 0.3
edge = 4
sigma = 0.1

[optim]
steps = {STEPS}
rate = 1e-4
warmup = 5
ema = 0.9
""",
    encoding="utf-8",
)

# %%
curve: list[dict[str, float]] = []
result = terrafine.train(
    recipe, data_root=DATA, out=WORK / "run", device="cpu", progress=lambda step, steps, values: curve.append(values)
)
weights = next((WORK / "run").glob("my-region*.safetensors"))
print(weights.name, f"{weights.stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# ## Scored on ground that it has not seen
#
# The first 30 % of the rows, beside the shipped weights and bicubic interpolation. The input is simulated by block
# means, and the sample is like the terrain that the shipped weights know, so hardly any gain is to be expected after so
# few steps.

# %%
coarse, truth = DATA / "sample_120m.tif", DATA / "sample_30m.tif"
models = {"bicubic": "bicubic", "shipped": "ridgeline", "my region": str(weights)}
scores = {}
with rasterio.open(truth) as src:
    reference = src.read(1).astype("float64")
rows = slice(0, int(0.3 * reference.shape[0]) - 64)
for name, model in models.items():
    out = WORK / f"{name.replace(' ', '_')}.tif"
    terrafine.sharpen_dem(coarse, out, scale=4, model=model, consistency="none" if model == "bicubic" else None)
    with rasterio.open(out) as src:
        scores[name] = float(np.sqrt(np.nanmean((src.read(1)[rows] - reference[rows]) ** 2)))
    print(f"{name:10s} RMSE {scores[name]:.2f} m on the held-out rows (simulated input)")

# %%
figure, axis = plt.subplots(figsize=(6, 2), constrained_layout=True)
axis.barh(list(scores), list(scores.values()), color="#2f7d5f")
axis.invert_yaxis()
axis.set_xlabel("RMSE, m")

# %% [markdown]
# ## For a real run
#
# Thousands of steps, all the fine terrain that you have, and hold-outs by whole areas
# ([training](../guides/training.md)). For impervious surface the steps are the same, with samples made by
# `terrafine dataset impervious` ([guide](../guides/map.md)).
