# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A DEM guided by radar
#
# Sentinel-1 sees slopes that a coarse DEM smooths away. The system `pimsr` reads VV and VH beside the DEM. Here the
# radar is **simulated** over the finer reference, because the repository ships none: the error then falls about twice
# as far as with real radar ([numbers](../benchmarks/pimsr.md)). The steps are those for real scenes.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import rasterio
from rasterio.windows import Window

import terrafine

DATA = Path(os.environ.get("TERRAFINE_DEMO", "../../demo/data"))
WORK = Path(tempfile.mkdtemp())
SIDE = 64  # coarse cells; 160 is the whole sample


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
# ## What the radar sees
#
# `map_radar` writes local incidence, layover, shadow and the backscatter of uniform ground. With real radar this step
# shows where it can help: not in layover and shadow.

# %%
terrafine.map_radar(truth, WORK / "radar.tif", orbit="descending", incidence=38.5)
with rasterio.open(WORK / "radar.tif") as src:
    names, seen, profile = src.descriptions, src.read(), src.profile
print(names)

# %% [markdown]
# ## Simulated scenes
#
# Backscatter with the speckle of twenty looks, as a mean over dates has it; the cross-polarised band is 7 dB darker.

# %%
rng = np.random.default_rng(1)
backscatter = np.where(np.isfinite(seen[-1]), seen[-1], -12.0)
profile = {k: v for k, v in profile.items() if k not in ("tiled", "blockxsize", "blockysize")}
profile.update(count=1, dtype="float32", nodata=None)
for band, offset in (("vv", 0.0), ("vh", -7.0)):
    speckle = 10 * np.log10(rng.gamma(20, 1 / 20, backscatter.shape))
    with rasterio.open(WORK / f"{band}.tif", "w", **profile) as dst:
        dst.write((backscatter + offset + speckle).astype("float32"), 1)
        dst.set_band_description(1, band)

# %% [markdown]
# ## With and without the guide

# %%
guidance = terrafine.Guidance(
    {"vv": (str(WORK / "vv.tif"),), "vh": (str(WORK / "vh.tif"),)}, orbit="descending", incidence=38.5, unit="dB"
)
terrafine.sharpen_dem(coarse, WORK / "bicubic.tif", model="bicubic", consistency="none")
terrafine.sharpen_dem(coarse, WORK / "unguided.tif", model="ridgeline")
terrafine.sharpen_dem(coarse, WORK / "guided.tif", guidance=guidance)

# %%
with rasterio.open(truth) as src:
    reference = src.read(1).astype("float64")
errors = {}
for name in ("bicubic", "unguided", "guided"):
    with rasterio.open(WORK / f"{name}.tif") as src:
        errors[name] = src.read(1) - reference
    print(f"{name:9s} RMSE {np.sqrt(np.nanmean(errors[name] ** 2)):.2f} m (simulated radar)")

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), constrained_layout=True)
for axis, (name, error) in zip(axes, errors.items(), strict=True):
    shown = axis.imshow(error, cmap="RdBu", vmin=-15, vmax=15)
    axis.set(title=f"{name}: error", xticks=[], yticks=[])
figure.colorbar(shown, ax=axes, label="m", shrink=0.8)

# %% [markdown]
# ## With real scenes
#
# Use σ⁰ or γ⁰ on the ellipsoid, not terrain-corrected backscatter: the correction removes the slope signal. Several
# dates of one orbit are averaged; ascending and descending scenes are not mixed. On the command line:
#
# ```bash
# terrafine dem glo30.tif fine.tif --guide vv='s1/*_vv.tif' --guide vh='s1/*_vh.tif' --orbit descending
# ```
