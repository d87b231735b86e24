"""Opened inputs of `build_dataset`: images, labels, strata and histograms."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from terrafine.datasets.impervious.fine_image import FineImage, Labels
from terrafine.datasets.impervious.label_folder import LabelFolder
from terrafine.datasets.impervious.options import SCALE, DatasetOptions
from terrafine.errors import DataError, OutputError, SourceError
from terrafine.raster.metric_grid import metre_grid
from terrafine.raster.read.labels import open_label_raster
from terrafine.raster.read.source import open_source
from terrafine.raster.read.vectors.rasterize import read_shapes

__all__ = ["histograms", "is_vector", "open_images", "require_files"]

_VECTORS = {".geojson", ".json", ".gpkg", ".shp", ".fgb", ".parquet"}
_FULL_SCALE = {"uint8": 255.0, "uint16": 10_000.0, "int16": 10_000.0}
_HISTOGRAM_SIDE = 4096  # cells along the window of an image whose histogram is taken


def require_files(out: Path, images: Sequence[Path], labels: Sequence[Path], options: DatasetOptions) -> None:
    """Check that inputs are there and that the output can be written, before anything is read.

    Parameters
    ----------
    out
        Folder to write.
    images, labels
        Paths of images and labels.
    options
        Options of the data set.

    Raises
    ------
    SourceError
        For a file that is not there.
    OutputError
        Where the folder cannot be made.
    """
    others = [Path(p) for p in (options.coarse, options.histogram_of, options.regions) if p is not None]
    for path in (*images, *labels, *others):
        if not path.as_posix().startswith("/vsi") and not path.exists():
            raise SourceError(f"{path}: there is no such file; expected an image, a raster or labels")
    above = next(p for p in (out, *out.absolute().parents) if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise OutputError(f"{out}: cannot be made in {above}; expected a folder that is writable")


def open_images(images: list[Path], labels: list[Path], options: DatasetOptions, sources: ExitStack) -> list[FineImage]:
    """Open each image with its labels.

    Parameters
    ----------
    images
        Paths of the images.
    labels
        Paths of the labels: vector files, rasters or folders.
    options
        Options of the data set.
    sources
        Stack that closes everything that is opened.

    Returns
    -------
    list[FineImage]
        The images.

    Raises
    ------
    DataError
        Where a folder holds no labels of an image.
    """
    found = [LabelFolder(p, images) if p.is_dir() and not is_vector(p) else p for p in labels]
    return [_open_image(path, found, options, sources) for path in images]


def _open_image(path: Path, labels: list[Path | LabelFolder], options: DatasetOptions, sources: ExitStack) -> FineImage:
    size, bands = options.pixel_size_m, tuple(options.bands)
    source = sources.enter_context(
        open_source(path, want=bands, bands=options.band_numbers, check_range=False, pixel_size_m=size)
    )
    grid = metre_grid(source)
    found: list[Labels] = []
    for label in labels:
        if isinstance(label, Path) and is_vector(label):
            found.append(read_shapes(label, None if grid.crs is None else grid.crs.to_wkt(), options.road_widths))
        else:
            file = label.raster_of(path) if isinstance(label, LabelFolder) else label
            found.append(sources.enter_context(open_label_raster(file, options.impervious, options.unknown, size)))
    full_scale = options.full_scale
    if full_scale is None:
        dtype = str(next(iter(source.describe()["bands"].values()))["dtype"])
        full_scale = 1.0 if source.scaled else _FULL_SCALE.get(dtype, 1.0)
    return FineImage(path, source, grid, bands, full_scale, found, SCALE)


def is_vector(path: Path) -> bool:
    """Return whether labels are vectors, by the ending of their name.

    Parameters
    ----------
    path
        Path of the labels.

    Returns
    -------
    bool
        False for rasters and folders.
    """
    return path.suffix.lower() in _VECTORS


def histograms(options: DatasetOptions) -> dict[str, Any]:
    """Read the reflectance of the valid cells of `histogram_of`.

    Parameters
    ----------
    options
        Options of the data set.

    Returns
    -------
    dict[str, Any]
        Band -> values; empty without such an image.

    Raises
    ------
    DataError
        Where a band holds only nodata.
    """
    path, out = options.histogram_of, {}
    if path is None:
        return {}
    with open_source(path, want=tuple(options.bands), check_range=False) as source:
        size = [min(n, _HISTOGRAM_SIDE) for n in source.shape]
        for band in options.bands:
            values, valid = source.read(band, slice(0, size[0]), slice(0, size[1]))
            if not valid.any():
                raise DataError(f"{path}: band {band} holds only nodata; expected an image whose histogram to match")
            out[band] = np.asarray(values[valid] / options.coarse_scale)
    return out
