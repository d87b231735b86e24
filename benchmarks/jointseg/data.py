"""Samples of impervious surface for `jointseg.py`: Dubai by whole tiles, Ohio by position; 10 m by the sensor model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.merge import merge

from terrafine.datasets.impervious.build import build_dataset

__all__ = ["HELD_OUT", "OHIO_HELD_OUT", "TESTED", "ohio_samples", "samples"]

HELD_OUT = {"val": "tile_3", "test-dense": "tile_4", "test-sparse": "tile_5"}
TESTED = [split for split in HELD_OUT if split != "val"]
IMPERVIOUS, UNKNOWN = ("#3C1098", "#6EC1E4"), ("#9B9B9B",)
OHIO_HELD_OUT = {"val": "ohio-south", "test-ohio": "ohio-north"}
OHIO_SEALED = ("1", "2")  # building, road; parking places and yards are not drawn
_CHIP_M, _NORTH_M, _SOUTH_M = 153.6, 4_309_000.0, 4_292_000.0
WHITE = 1000.0  # what a byte would hold for a reflectance of 1: 255 is bright ground


def samples(data: Path, runs: Path, count: int = 360) -> Path:
    """The folder of samples, made unless it is there.

    A native pixel is taken as 1 m, which it is not: nobody states its size. Photographs are bytes without a unit, taken
    as 0 to 0.255 of reflectance. (Giving each photograph the histogram of a Sentinel-2 city takes the meaning out of
    its colours: nothing was learned from bilinear images so.) Tiles 4 (dense) and 5 (sparse) are held out for the
    scores, tile 3 to select by.
    """
    out = runs / "samples"
    if (out / "index.json").is_file():
        return out
    dubai = data / "impervious" / "dubai"
    build_dataset(
        sorted(dubai.glob("tile_[3-8]/images/*")),
        [dubai],
        out,
        impervious=IMPERVIOUS,
        unknown=UNKNOWN,
        pixel_size_m=1.0,
        full_scale=WHITE,
        side=320,
        count=count,
        spacing_m=0.0,
        shares={},
        hold_out={split: f"{tile}/" for split, tile in HELD_OUT.items()},
        seed=1,
    )
    return out


def ohio_samples(data: Path, runs: Path) -> Path:
    """The folder of samples of Ohio, made unless it is there: 160 m squares, the north held out for the scores.

    The chips are 154 m wide, too small for a patch: those that touch are put together first.
    """
    out = runs / "samples"
    if (out / "index.json").is_file():
        return out
    images, masks = _mosaics(data / "impervious" / "naip_ohio", runs / "staged")
    build_dataset(
        images,
        [masks],
        out,
        impervious=OHIO_SEALED,
        full_scale=WHITE,
        band_numbers={"red": 1, "green": 2, "blue": 3},
        side=160,
        spacing_m=0.0,
        shares={},
        hold_out=OHIO_HELD_OUT,
        seed=1,
    )
    return out


def _mosaics(ohio: Path, to: Path) -> tuple[list[Path], Path]:
    """One image and one mask for each group of chips that touch, named by where it lies."""
    folders = to / "images", to / "masks"
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    chips = sorted((ohio / "images").glob("*.tif"))
    images = []
    for i, group in enumerate(_touching(chips)):
        with rasterio.open(group[0]) as first:
            profile = {"driver": "GTiff", "crs": first.crs, "dtype": "uint8", "compress": "deflate"}
            south = first.bounds.bottom
        where = "north" if south > _NORTH_M else "south" if south < _SOUTH_M else "middle"
        for folder, missing in zip(folders, (0, 255), strict=True):
            parts = [ohio / folder.name / p.name for p in group]
            mosaic, transform = merge(parts, nodata=missing, indexes=[1, 2, 3] if missing == 0 else [1])
            if missing == 0:
                mosaic = _never_missing(mosaic, parts)
            path = folder / f"ohio-{where}-{i:02d}.tif"
            shape = {"count": len(mosaic), "height": mosaic.shape[1], "width": mosaic.shape[2]}
            with rasterio.open(path, "w", **profile, **shape, nodata=missing, transform=transform) as file:
                file.write(mosaic)
        images.append(folders[0] / path.name)
    return images, folders[1]


def _never_missing(mosaic: np.ndarray, parts: Sequence[Path]) -> np.ndarray:
    """Black pixels inside the chips raised to 1, for 0 stands for what no chip holds."""
    inside, _ = merge(parts, nodata=0, indexes=[1, 2, 3], method="count")
    return np.where((mosaic == 0) & (inside > 0), 1, mosaic).astype(np.uint8)


def _touching(chips: Sequence[Path]) -> list[list[Path]]:
    """Chips in groups that touch along an edge, two or more, from the largest."""
    at: dict[tuple[int, int], Path] = {}
    for path in chips:
        with rasterio.open(path) as src:
            at[(round(src.bounds.left / _CHIP_M), round(src.bounds.top / _CHIP_M))] = path
    groups, left = [], set(at)
    while left:
        group, edge = [], [min(left)]
        left.discard(edge[0])
        while edge:
            x, y = edge.pop()
            group.append(at[x, y])
            for near in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if near in left:
                    left.discard(near)
                    edge.append(near)
        groups.append(sorted(group))
    return sorted((g for g in groups if len(g) > 1), key=len, reverse=True)
