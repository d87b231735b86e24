"""What the header of a GeoTIFF states of its grid and bands, for a catalogue."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import rasterio
from rasterio.errors import RasterioError

from terrafine.errors import SourceError
from terrafine.raster import gdal
from terrafine.raster.read.content_type import CLASS_NAMES, class_names_in

__all__ = ["BandHeader", "Header", "read_header"]


@dataclass(frozen=True, slots=True)
class BandHeader:
    """One band of a raster.

    Attributes
    ----------
    name, dtype, nodata, unit, scale
        As the header states them.
    cell
        Side of a cell in units of the CRS.
    """

    name: str
    dtype: str
    nodata: float | None
    unit: str
    scale: float
    cell: float


@dataclass(frozen=True, slots=True)
class Header:
    """A raster's grid and bands.

    Attributes
    ----------
    shape
        Rows and columns.
    transform
        The first six numbers of the geotransform, by rows.
    bands
        The bands.
    classes
        Names by class number of a class map, else empty.
    """

    shape: tuple[int, int]
    transform: tuple[float, ...]
    bands: tuple[BandHeader, ...]
    classes: Mapping[int, str]


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read the header of a raster.

    Parameters
    ----------
    path
        The raster.

    Returns
    -------
    Header
        Its grid and bands.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    try:
        with gdal.environment(), rasterio.open(path) as file:
            bands = tuple(
                BandHeader(d or "", t, None if n is None else float(n), u or "", float(s), float(file.transform.a))
                for d, t, n, u, s in zip(
                    file.descriptions, file.dtypes, file.nodatavals, file.units, file.scales, strict=True
                )
            )
            named = class_names_in(file.tags(ns="TERRAFINE").get(CLASS_NAMES, ""))
            return Header((file.height, file.width), tuple(float(v) for v in tuple(file.transform)[:6]), bands, named)
    except (RasterioError, OSError) as error:
        raise SourceError(
            f"{path}: not a readable tile ({error}); run the campaign again, and compare digests: verify"
        ) from error
