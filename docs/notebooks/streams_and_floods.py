# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # From a DEM to streams and a flood extent
#
# A coarse DEM becomes finer, its streams and a flood extent are derived, and both are compared with those of a finer
# reference. The sample is SRTM; its coarse version is simulated by block means.
#
# Needs `pip install 'terrafine[evaluate,hydro]'`.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import rasterio
from rasterio.windows import Window

import terrafine
from terrafine.evaluation.hydrology import drainage, hand, streams

DATA = Path(os.environ.get("TERRAFINE_DEMO", "../../demo/data"))
WORK = Path(tempfile.mkdtemp())
SIDE = 64  # coarse cells along the part that is used; 160 is all of it


# %% [markdown]
# ## A part of the sample


# %%
def cut(source: Path, target: Path, side: int) -> Path:
    """The upper left corner of a raster."""
    with rasterio.open(source) as src:
        profile = {k: v for k, v in src.profile.items() if k not in ("tiled", "blockxsize", "blockysize")}
        profile.update(width=side, height=side)
        with rasterio.open(target, "w", **profile) as dst:
            dst.write(src.read(window=Window(0, 0, side, side)))
    return target


coarse = cut(DATA / "sample_120m.tif", WORK / "coarse.tif", SIDE)
truth = cut(DATA / "sample_30m.tif", WORK / "truth.tif", 4 * SIDE)

# %% [markdown]
# ## Four times finer
#
# `hydro=True` also writes the filled DEM, flow directions, contributing area, and a GeoPackage of streams, catchments
# and basins, ready for QGIS.

# %%
terrafine.sharpen_dem(coarse, WORK / "fine.tif", scale=4, hydro=True)
print(sorted(p.name for p in WORK.glob("fine*")))
terrafine.sharpen_dem(coarse, WORK / "bicubic.tif", scale=4, model="bicubic", consistency="none")

# %% [markdown]
# ## Streams, and the ground below a stage above them
#
# Height above the nearest drainage (HAND) is the height of a cell above the stream that it drains to. Ground with a
# HAND below the stage is flooded in this simple picture.


# %%
def hydrology(path: Path, area_km2: float = 1.0, stage_m: float = 5.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elevation, streams and flood extent."""
    with rasterio.open(path) as src:
        heights, transform = src.read(1).astype("float64"), src.transform
    flow = drainage(heights, None, np.array([transform.a, -transform.e]))
    return heights, streams(flow, area_km2), hand(flow, area_km2) <= stage_m


results = {name: hydrology(WORK / f"{name}.tif") for name in ("truth", "bicubic", "fine")}

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), constrained_layout=True)
for axis, (name, (heights, lines, flooded)) in zip(axes, results.items(), strict=True):
    dy, dx = np.gradient(heights, 30.0)
    axis.imshow(1 / np.sqrt(1 + (dx - 0.7) ** 2 + (dy - 0.7) ** 2), cmap="gray")
    axis.imshow(np.ma.masked_equal(flooded, False), cmap="winter", alpha=0.45)
    axis.imshow(np.ma.masked_equal(lines, False), cmap="Blues_r")
    axis.set(title=name, xticks=[], yticks=[])

# %% [markdown]
# ## Does it help?
#
# The share of cells on which two extents agree (intersection over union) is a first look. `evaluate` does it properly:
# several contributing areas and stages, with a tolerance of one and two cells, and interpolation beside it.

# %%
flood = {name: r[2] for name, r in results.items()}
for name in ("bicubic", "fine"):
    both, either = (flood[name] & flood["truth"]).sum(), (flood[name] | flood["truth"]).sum()
    print(f"{name:8s} flood extent against the reference: IoU {both / either:.3f}")

# %%
report = terrafine.evaluate(
    WORK / "fine.tif", truth, coarse=coarse, stages_m=(5.0,), out=WORK / "report", progress=False
)
print("the whole report:", WORK / "report" / "index.html")

# %% [markdown]
# On this part of the mountains the answer holds for this part alone. Repeat it where you have a reference, and on real
# coarse data: the gain on simulated inputs is larger than on real ones.
