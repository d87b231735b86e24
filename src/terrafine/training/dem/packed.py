"""The terrain of a recipe in one file: what a machine without the data folder, or without GDAL, trains from."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from terrafine.atomic import write_whole
from terrafine.errors import DataError, OutputError, RecipeError
from terrafine.raster.products.model import Product, SensorModel
from terrafine.training.dem.real_pair import PairCells, RealPair, pair_cells
from terrafine.training.dem.terrain import Terrain

__all__ = ["read_pack", "read_packed_pair", "write_pack"]

_FORMAT = "terrafine terrain 1"
_LEVEL = 6
Cells = NDArray[np.int16] | NDArray[np.float32]


def write_pack(
    path: str | os.PathLike[str],
    terrains: Sequence[Terrain],
    files: Mapping[str, float],
    limit: int | None = None,
    pair: PairCells | None = None,
) -> int:
    """Write every terrain of a recipe without loss: differences along x, compressed.

    Parameters
    ----------
    path
        The file to write, safetensors.
    terrains
        As `load_terrains` gives them.
    files
        The recipe's `[data.files]`; a recipe that states others is refused when the file is read.
    limit
        Bytes that the file may have; None for any.
    pair
        The real pair of the recipe, or None.

    Returns
    -------
    int
        Bytes of the file.

    Raises
    ------
    RecipeError
        For samples of HDF5 files, which hold more than heights.
    DataError
        Where the file would be above the limit.
    OutputError
        Where it cannot be written.
    """
    path, tensors, records = Path(path), {}, []
    for i, terrain in enumerate(terrains):
        if terrain.samples is not None:
            raise RecipeError(f"{terrain.name}: samples of HDF5 cannot be packed; leave them out of [data.files]")
        tensors[f"{i}.heights"] = _packed(terrain.heights)
        tensors[f"{i}.pixel_size_m"] = np.ascontiguousarray(terrain.pixel_size_m, np.float64)
        records.append(
            {
                "name": terrain.name,
                "shape": terrain.heights.shape,
                "dtype": terrain.heights.dtype.name,
                "nodata": terrain.nodata,
                "weight": terrain.weight,
                "zones": terrain.zones,
            }
        )
    about = {"format": _FORMAT, "terrains": json.dumps(records), "files": json.dumps(dict(files), sort_keys=True)}
    if pair is not None:
        tensors |= {f"pair.{name}": _packed(getattr(pair, name)) for name in ("coarse", "fine")}
        tensors |= {"pair.valid": np.packbits(pair.valid), "pair.pixel_size_m": np.ascontiguousarray(pair.pixel_size_m)}
        tensors["pair.shape"] = np.asarray(pair.coarse.shape)
        about |= {"pair": json.dumps(_placed(pair.table)), "product": json.dumps(asdict(pair.product))}
    data = save(tensors, about)
    if limit is not None and len(data) > limit:
        raise DataError(
            f"{path}: the terrain takes {len(data) / 1e6:,.1f} MB, and {limit / 1e6:,.1f} MB are allowed; allow more, "
            "or take files out of [data.files]"
        )
    try:
        write_whole(path, data)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written ({e.strerror}); choose another folder") from e
    return len(data)


def read_pack(path: str | os.PathLike[str], files: Mapping[str, float]) -> list[Terrain]:
    """Read the terrains that `write_pack` wrote, cell for cell as they were.

    Parameters
    ----------
    path
        The file.
    files
        The `[data.files]` of the recipe that is trained.

    Returns
    -------
    list[Terrain]
        In the order of the recipe.

    Raises
    ------
    DataError
        For a file that is absent, damaged, no pack, or of a recipe with other files.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            if about.get("format") != _FORMAT:
                raise DataError(f"{path}: no packed terrain of this version; write it again with pack_terrain")
            if about["files"] != json.dumps(dict(files), sort_keys=True):
                raise DataError(
                    f"{path}: packed of [data.files] {about['files']}; this recipe states {dict(files)}. Pack it again"
                )
            return [_terrain(file, i, record) for i, record in enumerate(json.loads(about["terrains"]))]
    except (OSError, SafetensorError) as e:
        raise DataError(f"{path}: cannot be read ({e}); expected a file that pack_terrain wrote") from e
    except (KeyError, TypeError, ValueError, zlib.error) as e:
        raise DataError(f"{path}: damaged ({type(e).__name__}: {e}); pack it again") from e


def read_packed_pair(path: str | os.PathLike[str], table: RealPair) -> PairCells:
    """Read the real pair that `write_pack` wrote.

    Parameters
    ----------
    path
        The file, which `read_pack` has accepted.
    table
        The `[pair]` of the recipe that is trained.

    Returns
    -------
    PairCells
        The pair, all rows.

    Raises
    ------
    DataError
        For a file without a pair, or with another one.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            stated, asked = about.get("pair"), json.dumps(_placed(table))
            if stated != asked:
                raise DataError(f"{path}: packed with [pair] {stated}; this recipe states {asked}. Pack it again")
            pixel, shape = file.get_tensor("pair.pixel_size_m"), (int(v) for v in file.get_tensor("pair.shape"))
            (height, width), k, record = shape, table.scale, json.loads(about["product"])
            cells = np.unpackbits(file.get_tensor("pair.valid"), count=height * width).astype(bool)
            coarse, fine = (
                np.asarray(_unpacked(file.get_tensor(f"pair.{name}"), (height * n, width * n), "float32"), np.float32)
                for name, n in (("coarse", 1), ("fine", k))
            )
            product = Product(**(record | {"sensor": SensorModel(**record["sensor"]), "uncertainty": None}))
            return pair_cells(table, product, coarse, fine, cells.reshape(height, width), pixel)
    except (OSError, SafetensorError) as e:
        raise DataError(f"{path}: cannot be read ({e}); expected a file that pack_terrain wrote") from e
    except (KeyError, TypeError, ValueError, zlib.error) as e:
        raise DataError(f"{path}: damaged ({type(e).__name__}: {e}); pack it again") from e


def _placed(table: RealPair) -> dict[str, Any]:
    """The settings that decide what the packed cells are."""
    names = ("coarse", "reference", "product", "shift_m", "scale")
    return {name: getattr(table, name) for name in names}


def _terrain(file: Any, i: int, record: Mapping[str, Any]) -> Terrain:
    shape = (int(record["shape"][0]), int(record["shape"][1]))
    heights = _unpacked(file.get_tensor(f"{i}.heights"), shape, str(record["dtype"]))
    zones = tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in record["zones"])
    pixel = file.get_tensor(f"{i}.pixel_size_m")
    return Terrain(str(record["name"]), heights, record["nodata"], pixel, float(record["weight"]), zones)


def _packed(heights: Cells) -> NDArray[np.uint8]:
    """Differences of the bits along x, byte by byte by significance, compressed."""
    bits = np.ascontiguousarray(heights).view(_bits_of(heights.dtype.name))
    steps = np.diff(bits, axis=1, prepend=bits.dtype.type(0))
    planes = steps.view(np.uint8).reshape(-1, steps.itemsize).T
    return np.frombuffer(zlib.compress(planes.tobytes(), _LEVEL), np.uint8)


def _unpacked(packed: NDArray[np.uint8], shape: tuple[int, int], dtype: str) -> Cells:
    bits = np.dtype(_bits_of(dtype))
    planes = np.frombuffer(zlib.decompress(packed.tobytes()), np.uint8).reshape(bits.itemsize, -1)
    steps = np.ascontiguousarray(planes.T).view(bits).reshape(shape)
    heights: Cells = np.cumsum(steps, axis=1, dtype=bits).view(dtype)
    return heights


def _bits_of(dtype: str) -> type[np.unsignedinteger[Any]]:
    """The unsigned type of the same size; ValueError for heights that a terrain does not have."""
    kinds: dict[str, type[np.unsignedinteger[Any]]] = {"int16": np.uint16, "float32": np.uint32}
    if dtype not in kinds:
        raise ValueError(f"heights are {dtype}, expected int16 or float32")
    return kinds[dtype]
