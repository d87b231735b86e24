"""Scenes read for training: reflectance of each date, its targets, and the ground that each purpose may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.ndimage import shift as shifted

from terrafine.errors import DataError
from terrafine.raster.read.images.reflectance import open_image
from terrafine.raster.read.images.sensors import SENSORS_10M
from terrafine.raster.read.labels import open_label_raster
from terrafine.training.scenes.labels import QUARTER, Targets, label_shares, targets
from terrafine.training.scenes.recipe import Scene, SceneData
from terrafine.training.scenes.register import Displacement, displacement

__all__ = [
    "BANDS",
    "HELD_OUT",
    "TRAIN",
    "VALIDATE",
    "DatedScene",
    "ground",
    "load_scene",
    "load_scenes",
    "ndvi",
    "scene_files",
]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Shares = tuple[tuple[F32, F32], tuple[F32, F32]]
BANDS = ("red", "green", "blue", "nir")
TRAIN, VALIDATE, HELD_OUT, MARGIN = 0, 1, 2, 3
"""Purposes of ground, as `ground` numbers them; MARGIN is used for nothing."""
_CELL_M = 10.0


@dataclass(frozen=True, slots=True)
class DatedScene:
    """One date of a scene.

    Attributes
    ----------
    name
        Name of the scene.
    path
        The image.
    image
        Reflectance of `BANDS`, (4, y, x); 0 where not observed.
    valid
        Where every band was observed, (y, x).
    targets
        Partial labels.
    purpose
        TRAIN, VALIDATE, HELD_OUT or MARGIN, (y, x).
    moved
        Displacement of the image against its labels.
    """

    name: str
    path: Path
    image: F32
    valid: Mask
    targets: Targets
    purpose: U8
    moved: Displacement


def ndvi(image: F32) -> F32:
    """Compute the normalised difference vegetation index.

    Parameters
    ----------
    image
        Reflectance of `BANDS`, (4, y, x).

    Returns
    -------
    ndarray
        NDVI, (y, x).
    """
    red, nir = np.maximum(image[0], 1e-3), np.maximum(image[3], 1e-3)
    return np.asarray((nir - red) / (nir + red))


def ground(shape: tuple[int, int], scene: Scene, margin: int) -> U8:
    """Assign each cell of a scene to a purpose.

    Parameters
    ----------
    shape
        Rows and columns.
    scene
        The place with its boxes.
    margin
        Cells that training keeps from held-out and validation ground.

    Returns
    -------
    ndarray of uint8, (y, x)
        TRAIN, VALIDATE, HELD_OUT or MARGIN.
    """
    held, checked = (_inside(shape, box) for box in (scene.held_out, scene.validate))
    out = np.full(shape, TRAIN, np.uint8)
    near_held, near_checked = (_grown(mask, margin) for mask in (held, checked))
    out[near_checked | near_held] = MARGIN
    out[checked & ~near_held] = VALIDATE
    out[held] = HELD_OUT
    return out


def load_scenes(root: Path, data: SceneData) -> list[DatedScene]:
    """Read every date of every scene in use.

    Parameters
    ----------
    root
        Data folder.
    data
        The recipe's `[data]`.

    Returns
    -------
    list[DatedScene]
        The dates, in the order of the recipe.

    Raises
    ------
    DataError
        For dates of one scene on different grids.
    TerrafineError
        As `open_image` and `open_label_raster`.
    """
    return [place for name, scene in data.used.items() for place in load_scene(root, name, scene, data)]


def load_scene(root: Path, name: str, scene: Scene, data: SceneData) -> list[DatedScene]:
    """Read every date of one scene.

    Parameters
    ----------
    root
        Data folder.
    name, scene
        Name and place.
    data
        The recipe's `[data]`, for `register` and `margin_m`.

    Returns
    -------
    list[DatedScene]
        The dates.

    Raises
    ------
    DataError
        For dates on different grids.
    """
    paths = [root / image for image in scene.images]
    read = [_read(path) for path in paths]
    grids = {(image.shape, geobox.affine) for image, _, geobox in read}
    if len(grids) > 1:
        raise DataError(f"[data.scenes.{name}]: its images have different grids; expected one grid for all dates")
    moves = [_moved(root, scene, *one, register=data.register) for one in read]
    greenest = _greenest([ndvi(image) for image, _, _ in read], moves)
    places = []
    for i, (path, (image, valid, geobox)) in enumerate(zip(paths, read, strict=True)):
        shares = _shares(root, scene, geobox, (moves[i].right, moves[i].down))
        found = targets(scene, shares, image, valid, greenest[i])
        purpose = ground(valid.shape, scene, round(data.margin_m / _CELL_M))
        places.append(DatedScene(name, path, image, valid, found, purpose, moves[i]))
    return places


def scene_files(root: Path, scenes: Mapping[str, Scene]) -> list[Path]:
    """List the images and labels of scenes.

    Parameters
    ----------
    root
        Folder that their paths start from.
    scenes
        Scenes by name.

    Returns
    -------
    list of Path
        Paths of the files.
    """
    names = [f for scene in scenes.values() for f in (*scene.images, *([scene.labels] if scene.labels else []))]
    return [root / name for name in names]


def _read(path: Path) -> tuple[F32, Mask, Any]:
    """Reflectance, validity and grid of an image, cut to multiples of 4 cells."""
    with open_image(path, want=BANDS, sensor=None, allowed=SENSORS_10M, unless=None) as source:
        y, x = (n // 4 * 4 for n in source.shape)
        source.require_valid()
        source.require_cells(_CELL_M, 9.0, 11.0, "this recipe")
        parts = [source.read(name, slice(0, y), slice(0, x)) for name in BANDS]
        grid = source.geobox[:y, :x]
    valid = np.logical_and.reduce([ok for _, ok in parts])
    return np.stack([values for values, _ in parts]) * valid, valid, grid


def _shares(root: Path, scene: Scene, geobox: Any, shift: tuple[float, float]) -> Shares:
    if not scene.labels:
        none = np.zeros((geobox.shape[0] * QUARTER, geobox.shape[1] * QUARTER), np.float32)
        return (none, none), (none, none)
    used = [str(value) for value in (*scene.impervious, *scene.building)]
    raster = open_label_raster(root / scene.labels, used)
    return (
        label_shares(raster, geobox, scene.impervious, scene.pervious, shift),
        label_shares(raster, geobox, scene.building, scene.other, shift),
    )


def _moved(root: Path, scene: Scene, image: F32, valid: Mask, geobox: Any, *, register: bool) -> Displacement:
    """Displacement of one date; the class with more labelled ground is compared."""
    if not (scene.labels and register):
        return Displacement(0.0, 0.0, 0.0, False)
    both = _shares(root, scene, geobox, (0.0, 0.0))
    share, known = both[0] if scene.pervious else both[1]
    return displacement(ndvi(image), valid, share, known >= 0.5)


def _greenest(indices: Sequence[F32], moves: Sequence[Displacement]) -> list[F32]:
    """Highest NDVI over the dates, in the frame of each date."""
    return [
        np.maximum.reduce(
            [
                other if i == j else shifted(other, (a.down - b.down, a.right - b.right), order=1, mode="nearest")
                for j, (other, b) in enumerate(zip(indices, moves, strict=True))
            ]
        )
        for i, a in enumerate(moves)
    ]


def _inside(shape: tuple[int, int], box: Mapping[str, Sequence[float]]) -> Mask:
    out = np.zeros(shape, np.bool_)
    if box:
        spans = [box.get(axis, (0.0, 1.0)) for axis in ("rows", "cols")]
        at = tuple(slice(round(a * n), round(b * n)) for (a, b), n in zip(spans, shape, strict=True))
        out[at] = True
    return out


def _grown(mask: Mask, cells: int) -> Mask:
    if not cells or not mask.any():
        return mask
    return np.asarray(maximum_filter(mask, 2 * cells + 1), np.bool_)
