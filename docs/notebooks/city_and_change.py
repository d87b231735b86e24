# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A city map and its change
#
# Impervious surface is mapped from two 10 m scenes, and the difference is compared with what the two maps can be
# trusted for. Where `TERRAFINE_DATA` names a folder with Sentinel-2 of Montpellier, that is used; otherwise two scenes
# are **generated**, which show the steps and say nothing about accuracy.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

import terrafine

WORK = Path(tempfile.mkdtemp())
SIDE = 40  # cells of 10 m along the part that is mapped
REAL = Path(os.environ.get("TERRAFINE_DATA", "/nowhere")) / "s2_truth"


# %%
def generated(target: Path, roofs: int) -> Path:
    """Fields, a street and some roofs, as reflectance × 10,000 in red, green, blue and near infrared."""
    rng = np.random.default_rng(3)
    field, street, roof = np.array([[500, 800, 450, 3200], [1400, 1350, 1250, 1700], [2600, 2300, 2100, 2800]])
    scene = np.broadcast_to(field[:, None, None], (4, SIDE, SIDE)).astype("float64").copy()
    scene[:, :, 18:20] = street[:, None, None]
    for number in range(roofs):
        y, x = 3 + 6 * (number // 3), 3 + 5 * (number % 3)
        scene[:, y : y + 3, x : x + 3] = roof[:, None, None]
    scene += rng.normal(0, 40, scene.shape)
    with rasterio.open(
        target,
        "w",
        driver="GTiff",
        width=SIDE,
        height=SIDE,
        count=4,
        dtype="uint16",
        crs="EPSG:32631",
        transform=from_origin(570_000, 4_830_000, 10, 10),
        nodata=0,
    ) as dst:
        dst.write(scene.clip(1).astype("uint16"))
        dst.descriptions = ("red", "green", "blue", "nir")
    return target


def part(source: Path, target: Path) -> Path:
    """The middle of a scene."""
    with rasterio.open(source) as src:
        window = Window((src.width - SIDE) // 2, (src.height - SIDE) // 2, SIDE, SIDE)
        profile = {k: v for k, v in src.profile.items() if k not in ("tiled", "blockxsize", "blockysize")}
        profile.update(width=SIDE, height=SIDE, transform=src.window_transform(window))
        with rasterio.open(target, "w", **profile) as dst:
            dst.write(src.read(window=window))
            dst.descriptions = src.descriptions
    return target


if REAL.is_dir():
    scenes = {n: part(REAL / f"montpellier_s2_l1c_{n}.tif", WORK / f"scene_{n}.tif") for n in (1, 2)}
else:
    scenes = {1: generated(WORK / "scene_1.tif", 4), 2: generated(WORK / "scene_2.tif", 9)}
print("real scenes" if REAL.is_dir() else "generated scenes")

# %% [markdown]
# ## Two maps, with the probability

# %%
for number, scene in scenes.items():
    terrafine.map_impervious(scene, WORK / f"map_{number}.tif", probability=True, sensor="sentinel2", max_bright=1.0)


# %%
def read(name: str, band: int = 1) -> np.ndarray:
    """A band of a result."""
    with rasterio.open(WORK / name) as src:
        return src.read(band)


before, after = read("map_1.tif"), read("map_2.tif")
p_before, p_after = (read(f"map_{n}_probability.tif").astype("float64") for n in (1, 2))

# %% [markdown]
# ## What changed, and how sure that is
#
# A cell that crosses the threshold may have moved by one per cent of probability. Only large differences are worth a
# look, and an area of growth is worth stating only where it is larger than the error of the two areas.

# %%
known = (before != 255) & (after != 255)
new, gone = known & (before == 0) & (after == 1), known & (before == 1) & (after == 0)
large = known & (np.abs(p_after - p_before) >= 40)
for label, cells in (("new", new), ("gone", gone), ("changed by 40 % or more", large)):
    print(f"{label:24s} {cells.sum() / 1e4:7.2f} ha")

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), constrained_layout=True)
for axis, (title, image) in zip(
    axes, {"first date": p_before, "second date": p_after, "difference": p_after - p_before}.items(), strict=True
):
    low = -100 if title == "difference" else 0
    shown = axis.imshow(image, cmap="RdBu_r" if low else "magma", vmin=low, vmax=100)
    axis.set(title=title, xticks=[], yticks=[])
    figure.colorbar(shown, ax=axis, shrink=0.7, label="%")

# %% [markdown]
# ## Areas with their error
#
# Label a few hundred random points by eye and let `evaluate` estimate the areas from them:
#
# ```bash
# terrafine evaluate map_2.tif points.csv -o accuracy
# ```
