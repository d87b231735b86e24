"""Tiny data with the layout of the real data folder, made from the shipped sample: what --quick runs on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy import ndimage

from benchmarks.common import F64, ROOT

TINY = "tiny_30m"  # the held-out DEM that most benchmarks score
SAMPLE = ROOT / "demo" / "data" / "sample_30m.tif"
CRS, CORNER = "EPSG:32611", (384_000.0, 3_807_000.0)
# The last is held out: mirrored, so that the search for leaks does not find the others' terrain in it.
TRAINING: Mapping[str, Callable[[F64], F64]] = {
    "taiwan_20m": lambda z: z[:, :512],
    "wus_fay_30m": lambda z: z[:, 128:],
    "wus_pomas_30m": lambda z: 1.1 * z[:, ::-1],
}
DAYS = tuple(f"2015{month:02}{day:02}" for month in (1, 3, 5, 7, 9) for day in (1, 13))
AREAS = ("beavercreek", "gutzler", "riceridge", "ecklund")


@contextmanager
def quick_data() -> Iterator[Path]:
    """A temporary data folder: dem/test, dem/train, radar, image_height, impervious and s2_cities."""
    with rasterio.open(SAMPLE) as src:
        z = src.read(1).astype(np.float64)
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        write(data / "dem" / "test" / "bigtujunga_30m.tif", z[:272, :288])
        write(data / "dem" / "test" / f"{TINY}.tif", z[300:396, 200:312])
        for stem, ground in TRAINING.items():
            write(data / "dem" / "train" / f"{stem}.tif", ground(z))
        _radar(data / "radar", z)
        _images(data / "image_height", z)
        _cities(data)
        _truth(data / "s2_truth")
        yield data


def write(
    path: Path,
    values: NDArray[Any],
    *,
    cell: float = 30.0,
    dtype: str = "float32",
    crs: str | None = CRS,
    corner: tuple[float, float] = CORNER,
    names: tuple[str, ...] = (),
    **more: Any,
) -> None:
    """A raster of (y, x) or (band, y, x) values."""
    stack = values[None] if values.ndim == 2 else values
    profile: Mapping[str, Any] = {"count": len(stack), "height": stack.shape[1], "width": stack.shape[2], "crs": crs}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", dtype=dtype, transform=from_origin(*corner, cell, cell), **profile, **more
    ) as file:
        file.write(stack.astype(dtype))
        if names:
            file.descriptions = names


def _radar(folder: Path, z: F64) -> None:
    """The dated series over a hillside, and a terrain-corrected patch."""
    import torch

    from terrafine.physics.backscatter import simulate_db

    hill, rng = z[100:160, 200:320], np.random.default_rng(6)
    write(folder / "myanmar_dem.tif", hill)
    lit = simulate_db(torch.from_numpy(hill), 30.0, 38.5, 100.0).numpy()
    names = tuple(f"S1A_IW_GRDH_1SDV_{day}T233201_x_y" for day in DAYS)
    for band in ("vv", "vh"):
        stack = np.round(100 * (lit + rng.normal(size=(len(DAYS), *hill.shape))))
        path = folder / f"myanmar_s1_{band}_98dates_db_x100.tif"
        write(path, stack, dtype="int16", nodata=-32768, names=names)
    write(folder / "patch_dem.tif", z[:64, :64], cell=10.0)
    write(folder / "patch_s1rtc.tif", rng.normal(-12, 1, (2, 64, 64)), cell=10.0, names=("vv", "vh"))


def _images(folder: Path, z: F64) -> None:
    """Landsat-like digital numbers: the relief in the light of the morning sun, four bands."""
    rng = np.random.default_rng(7)
    for i, area in enumerate((*AREAS, "zion")):
        ground = z[60 * i : 60 * i + 336, 60 * i : 60 * i + 336]
        down, right = np.gradient(ground, 30.0)
        light = np.clip(0.25 + 0.12 * (down - right) / np.hypot(1.0, np.hypot(down, right)), 0.02, 0.9)
        bands = np.stack([light * f + 0.004 * rng.normal(size=light.shape) for f in (1.0, 0.9, 0.8, 1.2)])
        names = ("red", "green", "blue", "nir")
        write(folder / f"{area}_landsat8.tif", np.round((bands + 0.1) / 2e-5), dtype="uint16", nodata=0, names=names)
        if area == "zion":
            coarse = ground.reshape(112, 3, 112, 3).mean(axis=(1, 3))
            write(folder / "zion_srtm_90m.tif", coarse, cell=90.0)
        else:
            write(folder / f"{area}_dem.tif", ground)


def _cities(data: Path) -> None:
    """Photographs with painted labels (bytes, without CRS), chips with masks, and a Sentinel-2 city."""
    from PIL import Image

    rng = np.random.default_rng(8)
    for i in range(3, 9):
        built = _blocks(rng, 640)
        folder = data / "impervious" / "dubai" / f"tile_{i}"
        for part in ("images", "masks"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        photograph = np.clip(_coloured(built, rng) * 255 / 0.255, 1, 255).astype(np.uint8)
        Image.fromarray(np.moveaxis(photograph, 0, -1)).save(folder / "images" / "image_001.jpg", quality=95)
        colours = np.array([[0x84, 0x29, 0xF6], [0x3C, 0x10, 0x98]], np.uint8)
        Image.fromarray(colours[built.astype(int)]).save(folder / "masks" / "image_001.png")
    chip = 256
    for north in (4_309_200.0, 4_300_000.0, 4_290_000.0):
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            built, name = _blocks(rng, chip), f"chip_{north:.0f}_{i}{j}.tif"
            corner, cell = (153.6 * (2000 + i), 153.6 * (np.ceil(north / 153.6) - j)), 0.6
            image = np.clip(_coloured(built, rng) * 255 / 0.255, 1, 255)
            folder = data / "impervious" / "naip_ohio"
            write(folder / "images" / name, image, cell=cell, dtype="uint8", crs="EPSG:32617", corner=corner)
            write(folder / "masks" / name, built, cell=cell, dtype="uint8", crs="EPSG:32617", corner=corner)
    city = _coloured(_blocks(rng, 320), rng) * 10_000
    write(
        data / "s2_cities" / "rennes_2.tif",
        city,
        cell=10.0,
        dtype="uint16",
        crs="EPSG:32630",
        corner=(590_000.0, 5_330_000.0),
        names=("red", "green", "blue"),
    )


def _truth(folder: Path) -> None:
    """Two towns on two dates with labels of 1 m: buildings, and a city plan of which a part is unknown."""
    rng, side = np.random.default_rng(9), 152
    names = ("red", "green", "blue", "nir")
    for town, labels in (("pisa", "buildings"), ("montpellier", "cityplan")):
        built = _blocks(rng, 10 * side)
        share = built.reshape(side, 10, side, 10).mean(axis=(1, 3))
        grey, green = np.array([0.15, 0.15, 0.16, 0.18]), np.array([0.05, 0.09, 0.07, 0.3])
        for date in (1, 2):
            image = share * grey[:, None, None] + (1 - share) * green[:, None, None]
            image = 1e4 * np.clip(image + 0.02 * rng.normal(size=image.shape), 0.01, None)
            path = folder / f"{town}_s2_l1c_{date}.tif"
            write(path, image, cell=10.0, dtype="uint16", crs="EPSG:32632", names=names)
        label = built.astype(np.uint8)
        if town == "montpellier":
            label[::7] = 255
        write(folder / f"{town}_{labels}_1m.tif", label, cell=1.0, dtype="uint8", crs="EPSG:32632", names=("class",))


def _blocks(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """Streets and buildings: about a third of the ground."""
    built = ndimage.gaussian_filter(rng.random((side, side)), 6) > 0.51
    built[:: side // 8] = True
    return np.asarray(built)


def _coloured(built: NDArray[np.bool_], rng: np.random.Generator) -> F64:
    """Reflectance of red, green and blue, (3, y, x): grey where built, green elsewhere."""
    base = np.where(built, np.array([0.2, 0.2, 0.21])[:, None, None], np.array([0.06, 0.1, 0.05])[:, None, None])
    return np.asarray(np.clip(base + 0.01 * rng.normal(size=base.shape), 0.005, 0.25))
