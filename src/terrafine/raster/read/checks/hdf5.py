"""Refuse HDF5 and netCDF-4 files that keep their numbers in other files, which could be any file read as raw bytes."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from terrafine.errors import MissingExtraError, SourceError

__all__ = ["check_hdf5"]

_OBJECTS = 100_000


def check_hdf5(path: Path) -> None:
    """Check that every dataset holds its numbers itself, and that no link leads to another file.

    Parameters
    ----------
    path
        The HDF5 or netCDF-4 file.

    Raises
    ------
    SourceError
        If not, or if the file cannot be read.
    MissingExtraError
        If the extra that reads the format is not installed.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise MissingExtraError(
            f"{path}: an HDF5 or netCDF-4 file is checked with an extra first: pip install 'terrafine[hdf5]'; or "
            "convert it: gdal_translate IN OUT.tif"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            _check(h5py, path, file)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise SourceError(f"{path}: no HDF5 file that can be read ({error})") from None


def _check(h5py: Any, path: Path, file: Any) -> None:
    todo, seen = [file["/"]], set()
    while todo:
        group = todo.pop()
        for name in group:
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                raise SourceError(f"{path}: {name} is a link to another file; expected all in one file")
            item = group.get(name)
            if item is None or item.id.__hash__() in seen:
                continue
            seen.add(item.id.__hash__())
            if len(seen) > _OBJECTS:
                raise SourceError(f"{path}: more than {_OBJECTS:,} objects; expected a raster")
            if isinstance(item, h5py.Group):
                todo.append(item)
            elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                raise SourceError(
                    f"{path}: {item.name} keeps its numbers in other files; expected all in one file. Where you trust "
                    "it, convert it: h5repack IN OUT"
                )
