"""Tiles in the published layout: folders of tiles paired by a trailing number, and `dataset_splits.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from terrafine.errors import DataError
from terrafine.raster.read.images.reflectance import COLOURS
from terrafine.raster.read.source import Source, open_source
from terrafine.schema.check import filled
from terrafine.schema.files import read_json
from terrafine.schema.types import Matches, Within
from terrafine.training.dem.terrain import Terrain
from terrafine.training.height.data import NODATA, Scene
from terrafine.training.height.recipe import ImageData

__all__ = ["block_split", "load_tiles", "pair_tiles", "read_split"]

_PARTS = ("train", "validation", "test")
_Tile = Annotated[int, Within(0, 10**9)] | Annotated[str, Matches(r"[0-9]{1,9}", "a number")]
_Split: Mapping[str, Any] = dict.fromkeys(_PARTS, Sequence[_Tile])
_CELL_M = 30.0  # where a tile has no georeference
_SHARES = (0.70, 0.15)


def load_tiles(root: Path, data: ImageData) -> tuple[list[Scene], list[Scene]]:
    """Read the training and validation tiles of the split that a recipe names, one scene a tile.

    The test tiles are not read. The published splits put neighbouring tiles on both sides, so their scores are too
    optimistic; those of `blocks` are not.

    Parameters
    ----------
    root
        Data folder.
    data
        Table of the recipe.

    Returns
    -------
    tuple[list[Scene], list[Scene]]
        Training and validation scenes.

    Raises
    ------
    DataError
        Where tiles do not pair, a split names tiles that do not exist, or tiles without coordinates are to be split by
        blocks.
    """
    pairs = pair_tiles(root, data.images, data.heights)
    if data.split == "blocks":
        centres = {i: _centre(heights) for i, (_, heights) in pairs.items()}
        parts = block_split(centres, data.block_m)
    else:
        parts = read_split(root / data.splits, f"split_{data.split}", set(pairs))
    training, validation = (
        [_tile(*pairs[i], str(i), data.white) for i in parts[name]] for name in ("train", "validation")
    )
    return training, validation


def pair_tiles(root: Path, images: str, heights: str) -> dict[int, tuple[Path, Path]]:
    """Pair the images and heights that two globs match, by the number at the end of their names.

    Parameters
    ----------
    root
        Data folder.
    images, heights
        Globs under it.

    Returns
    -------
    dict[int, tuple[Path, Path]]
        Number -> paths of image and heights.

    Raises
    ------
    DataError
        For a glob without a file, and for tiles that do not pair.
    """
    found = [_numbered(root, pattern) for pattern in (images, heights)]
    if alone := sorted(set(found[0]) ^ set(found[1])):
        raise DataError(
            f"{root}: {len(alone)} tiles have no partner, e.g. number {alone[0]}; expected {images} and {heights} to "
            "pair by the number at the end of their names"
        )
    return {i: (found[0][i], found[1][i]) for i in sorted(found[0])}


def read_split(path: Path, name: str, known: set[int]) -> dict[str, list[int]]:
    """Read the tile numbers of one split.

    Refuses a tile that stands on two sides and one that is not there.

    Parameters
    ----------
    path
        JSON file of the splits.
    name
        Name of the split.
    known
        Numbers of the tiles that exist.

    Returns
    -------
    dict[str, list[int]]
        `train`, `validation` and `test` -> tile numbers.

    Raises
    ------
    DataError
        For a file of another form, a tile on two sides, and a tile that does not exist.
    """
    record = read_json(path, DataError, "the splits of the data set")
    if not isinstance(record, dict) or not isinstance(record.get(name), dict):
        raise DataError(f"{path}: {name!r} with train, validation and test is not there")
    numbers = filled(_Split, {part: record[name].get(part) for part in _PARTS}, f"{path}: [{name}]", DataError)
    parts = {part: [int(i) for i in numbers[part]] for part in _PARTS}
    every = [i for part in parts.values() for i in part]
    if len(every) != len(set(every)):
        raise DataError(f"{path}: {name} has the same tile on two sides; expected each once")
    if missing := sorted(set(every) - known):
        raise DataError(f"{path}: {name} names {len(missing)} tiles that are not there, e.g. {missing[0]}")
    return parts


def block_split(centres: Mapping[int, tuple[float, float]], block_m: float, seed: int = 0) -> dict[str, list[int]]:
    """Split tiles by whole square blocks of ground: 70 % for training, 15 % for validation, 15 % for test.

    Blocks are assigned in a random order. A training tile nearer than a quarter of a block to a tile of another part is
    dropped, so that no neighbour of a training tile is ever scored.

    Parameters
    ----------
    centres
        Number -> (x, y) of the centre of a tile, metres.
    block_m
        Side of a block, metres.
    seed
        Seed of the order.

    Returns
    -------
    dict[str, list[int]]
        `train`, `validation` and `test` -> tile numbers.

    Raises
    ------
    DataError
        Where nothing is left for training or validation.
    """
    blocks: dict[tuple[int, int], list[int]] = {}
    for i, (x, y) in sorted(centres.items()):
        blocks.setdefault((int(x // block_m), int(y // block_m)), []).append(i)
    order = np.random.default_rng(seed).permutation(len(blocks))
    dealt = [blocks[key] for key in (sorted(blocks)[n] for n in order)]
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for tiles in dealt:
        done = sum(map(len, parts.values())) / len(centres)
        name = "train" if done < _SHARES[0] else "validation" if done < sum(_SHARES) else "test"
        parts[name] += tiles
    kept_out = np.array([centres[i] for name in ("validation", "test") for i in parts[name]]).reshape(-1, 2)
    rim = block_m / 4

    def clear(i: int) -> bool:
        return bool((np.abs(kept_out - np.array(centres[i])).max(axis=1) >= rim).all())

    parts["train"] = [i for i in parts["train"] if clear(i)]
    if not parts["train"] or not parts["validation"]:
        raise DataError(f"blocks of {block_m:g} m leave nothing to train or to validate; take smaller blocks")
    return parts


def _numbered(root: Path, pattern: str) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for path in sorted(root.glob(pattern)):
        match = re.search(r"(\d+)$", path.stem)
        if match is None:
            raise DataError(f"{path}: its name ends in no number; expected tiles called NAME_123")
        if int(match[1]) in found:
            raise DataError(f"{path} and {found[int(match[1])]} have the same number; expected one tile for each")
        found[int(match[1])] = path
    if not found:
        raise DataError(f"{root / pattern}: no file matches; expected tiles there, or another data_root=DIR")
    return found


def _open(path: Path, want: Sequence[str]) -> Source:
    bands = {name: i + 1 for i, name in enumerate(want)}
    return open_source(path, want=want, bands=bands, check_range=want[0] == "elevation", pixel_size_m=_CELL_M)


def _centre(path: Path) -> tuple[float, float]:
    with _open(path, ("elevation",)) as source:
        if source.geobox.crs is None:
            raise DataError(f"{path}: has no coordinates, so no geographic block; take one of the published splits")
        box = source.geobox.boundingbox
        x, y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
        if not source.geobox.crs.geographic:
            return float(x), float(y)
        return float(x) * 111_320.0 * float(np.cos(np.radians(y))), float(y) * 110_574.0


def _tile(image: Path, heights: Path, name: str, white: float) -> Scene:
    with _open(image, COLOURS) as picture, _open(heights, ("elevation",)) as elevation:
        if picture.shape != elevation.shape:
            raise DataError(f"{image} is {picture.shape} cells and {heights} {elevation.shape}; expected the same")
        rows, cols = slice(0, picture.shape[0]), slice(0, picture.shape[1])
        bands = np.stack([picture.read(colour, rows, cols)[0] for colour in COLOURS])
        if bands.max() > 255 or bands.min() < 0:
            raise DataError(f"{image}: holds {bands.min():g} to {bands.max():g}; expected 8-bit tiles, 0 to 255")
        z, known = elevation.read("elevation", rows, cols)
        pixel = elevation.pixel_size_m(rows)
    zones = ((0, rows.stop, 0, cols.stop),)
    terrain = Terrain(name, np.where(known, z, NODATA).astype(np.float32), NODATA, pixel, 1.0, zones)
    return Scene(terrain, bands.astype(np.uint8), white / 255)
