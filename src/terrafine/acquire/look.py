"""A look at a whole scene in few cells: how clear it is, and how dark the ground is that ought to be dark.

What is found here belongs to the scene. It is read on the grid of the scene's own files, so it is the same whatever
area is fetched, and so is what is decided from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.acquire.catalogue import Scene
from terrafine.acquire.masks import clear_cells
from terrafine.acquire.remote import AssetError, AssetReader
from terrafine.acquire.service import Collection

__all__ = ["Look", "look_at"]

_SIDE = 512  # cells along the longer side: about 200 m of a Sentinel-2 scene
_ENOUGH = 200  # cells from which a quantile is taken
_DARK, _DARKEST = 0.05, 0.005  # quantiles within a class, and of all clear ground
_SHADOW, _PLANTS, _BARE, _WATER = 2, 4, 5, 6  # classes of Sentinel-2's scene classification
_LOOKED_AT = ("red", "green", "blue")
_EDGE_M = 200.0  # by which the extents of two files of a scene may differ


@dataclass(frozen=True, slots=True)
class Look:
    """What a whole scene shows, in stored numbers of its red band.

    Attributes
    ----------
    clear
        Share of its measured cells that are clear ground.
    cells
        Number of clear cells.
    darkest
        Darkest clear number, terrain shadow left out: the quantile 0.005; None where too few cells are clear.
    plants, water
        Darkest number, the quantile 0.05, of what the scene classification calls vegetation and water; None for fewer
        than 200 cells.
    bare
        Median of what it calls bare ground; None for fewer than 200 cells.
    """

    clear: float
    cells: int = 0
    darkest: float | None = None
    plants: float | None = None
    water: float | None = None
    bare: float | None = None


def look_at(reader: AssetReader, collection: Collection, scene: Scene) -> Look:
    """Look at a whole scene.

    Parameters
    ----------
    reader
        Reads its files.
    collection
        What they hold.
    scene
        The scene.

    Returns
    -------
    Look

    Raises
    ------
    AssetError
        If a file is missing, damaged, or not where the item states.
    NetworkError
        If a server does not answer.
    """
    band = next((name for name in _LOOKED_AT if name in collection.assets), next(iter(collection.assets)))
    fill = 0.0 if collection.kind in ("sentinel-2-l2a", "landsat-l2") else collection.nodata
    numbers, extent = _small(reader, collection, scene, band, collection.assets[band], fill)
    measured = np.isfinite(numbers) & (numbers > 0)
    clear, classes = measured, None
    if collection.mask:
        classes, other = _small(reader, collection, scene, "mask", collection.mask, None)
        if max(abs(a - b) for a, b in zip(extent, other, strict=True)) > _EDGE_M:
            raise AssetError(f"{scene.id}: {band} and {collection.mask} cover different ground; expected the same")
        classes = _as_shaped(classes, numbers.shape)
        clear = measured & clear_cells(collection.kind, classes)
    share = float(clear.sum() / max(1, measured.sum()))
    if collection.kind != "sentinel-2-l2a" or classes is None:
        return Look(share, int(clear.sum()), _quantile(numbers, clear, _DARKEST))
    return Look(
        share,
        int(clear.sum()),
        _quantile(numbers, clear & (classes != _SHADOW), _DARKEST),
        _quantile(numbers, clear & (classes == _PLANTS), _DARK),
        _quantile(numbers, clear & (classes == _WATER), _DARK),
        _quantile(numbers, clear & (classes == _BARE), 0.5),
    )


def _small(
    reader: AssetReader, collection: Collection, scene: Scene, name: str, asset: str, fill: float | None
) -> tuple[Any, tuple[float, ...]]:
    """An asset in few cells, from its coarser twin where the item has one."""
    twin = collection.look.get(name, "")
    return reader.small(scene, twin if scene.asset(twin) is not None else asset, _SIDE, fill)


def _as_shaped(classes: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Classes on as many cells as the numbers have, which cover the same ground; the nearest cell counts."""
    rows, cols = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(shape, classes.shape, strict=True))
    return np.asarray(classes[np.ix_(rows, cols)], np.float32)


def _quantile(numbers: NDArray[np.float32], where: NDArray[np.bool_], share: float) -> float | None:
    found = numbers[where]
    return None if found.size < _ENOUGH else float(np.quantile(found.astype(np.float64), share))
