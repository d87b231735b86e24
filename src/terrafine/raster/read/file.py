"""One raster file opened by GDAL, read north-up: masked windows of bands in their physical units."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.errors import RasterioError
from rasterio.windows import Window

from terrafine.errors import GridError, SourceError
from terrafine.raster import grid
from terrafine.raster.crs import horizontal
from terrafine.raster.read.choose import BandFacts, choose_bands, physical_values
from terrafine.raster.read.opened import OpenRaster, open_raster
from terrafine.raster.units import height_unit

HEIGHTS = ("elevation", "relief")
"""Bands in a unit of height; their standard errors begin with the same words."""

__all__ = ["RasterFile", "Stated", "open_file"]


@dataclass(frozen=True, slots=True)
class Stated:
    """What the caller states about a file that states it not at all or wrongly.

    Attributes
    ----------
    assume_crs
        CRS that overrides the file's own.
    elevation_unit
        Unit of the heights.
    nodata
        Value of cells without data.
    metres_known
        Whether the caller states the cell size in metres.
    unit_required
        Whether heights of unstated unit are an error.
    """

    assume_crs: str | None = None
    elevation_unit: str | None = None
    nodata: float | None = None
    metres_known: bool = False
    unit_required: bool = True


@dataclass(slots=True)
class RasterFile:
    """The description of bands of one open file; windows are north-up whatever the file's row order.

    Attributes
    ----------
    path
        The file.
    transform, shape, crs
        Its grid, north-up; CRS may be None.
    facts
        How each chosen band stores its values.
    factor, unit
        Metres per unit of height, and the name of the unit.
    south_up
        Whether the file stores its southernmost row first.
    tags
        Its metadata.
    driver
        Name of the GDAL driver.
    area_or_point
        `Area` or `Point`: what a pixel value refers to.
    stated
        What the caller states about it.
    raster
        The open file, shared by all that read bands of it.
    """

    path: str
    transform: Affine
    shape: tuple[int, int]
    crs: CRS | None
    facts: dict[str, BandFacts]
    factor: float
    unit: str
    south_up: bool
    tags: dict[str, str]
    driver: str
    area_or_point: str
    stated: Stated
    raster: OpenRaster

    def close(self) -> None:
        """Close the handle; a later read opens the file again."""
        self.raster.close()

    def with_bands(
        self, want: Sequence[str], bands: Mapping[str, int] | None, nodata: float | None = None
    ) -> RasterFile:
        """Return the same open file with other bands; both share the handle.

        Parameters
        ----------
        want
            Names of the bands.
        bands
            Name to band number.
        nodata
            Nodata value that overrides the file's own; by default as this one has it.

        Returns
        -------
        RasterFile
            The file with the other bands.

        Raises
        ------
        BandError
            If a band is absent, ambiguous or of an unsuitable type.
        GridError
            If the unit of its heights is not identifiable.
        """
        stated = self.stated if nodata is None else replace(self.stated, nodata=nodata)
        facts, unit, factor = _bands(self.raster.dataset, self.path, want, bands, self.crs, stated)
        return replace(self, facts=facts, unit=unit, factor=factor, stated=stated)

    def read(self, name: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window inside the file.

        Parameters
        ----------
        name
            Name of the band.
        rows, cols
            First and one past the last row and column.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: in the unit of the band, heights in metres; 0 where not valid. Validity: False at nodata, under the
            mask band and at NaN.

        Raises
        ------
        SourceError
            If the window cannot be read.
        """
        fact = self.facts[name]
        height = self.shape[0]
        top = height - rows.stop if self.south_up else rows.start
        window = Window(cols.start, top, cols.stop - cols.start, rows.stop - rows.start)
        try:
            raw, mask = self.raster.read(fact.index, window, masked=fact.mask_band)
        except (RasterioError, OSError) as error:
            cause = error.__cause__ or error
            raise SourceError(
                f"{self.path}: rows {rows.start}-{rows.stop} cannot be read ({cause}); the file is truncated "
                "or damaged, fetch or write it again"
            ) from None
        if self.south_up:
            raw, mask = raw[::-1], None if mask is None else mask[::-1]
        return physical_values(raw, mask, fact, self.factor if name.startswith(HEIGHTS) else 1.0)


def open_file(
    path: str | os.PathLike[str],
    want: Sequence[str],
    bands: Mapping[str, int] | None,
    stated: Stated,
) -> RasterFile:
    """Open a raster, check its size, grid, bands and units, and describe it.

    Parameters
    ----------
    path
        Anything that GDAL opens, or a file that is open.
    want
        Names of the bands to read.
    bands
        Name to band number where descriptions do not identify them.
    stated
        What the caller states about the file.

    Returns
    -------
    RasterFile
        The description of the file, with an open handle.

    Raises
    ------
    SourceError
        If the file is missing, truncated or not a raster.
    GridError
        If its CRS, geotransform or unit is missing or unusable.
    BandError
        If a band is absent, ambiguous or of an unsuitable type.
    """
    raster = open_raster(path)
    try:
        return _describe(raster, want, bands, stated)
    except BaseException:
        raster.close()
        raise


def _describe(raster: OpenRaster, want: Sequence[str], bands: Mapping[str, int] | None, stated: Stated) -> RasterFile:
    name, handle = raster.path, raster.dataset
    if handle.count == 0:
        raise SourceError(
            f"{name}: holds {len(handle.subdatasets)} subdatasets and no bands of its own; name one of the subdatasets"
        )
    crs = None
    if stated.assume_crs is not None:
        crs = grid.parse_crs(stated.assume_crs, "assume_crs=", "expected for example EPSG:32633")
    elif handle.crs:
        crs = grid.parse_crs(handle.crs.to_wkt(), name)
    transform: Affine = handle.transform
    if transform == Affine.identity() and not stated.metres_known:
        how = " (it has ground control points only; run gdalwarp first)" if handle.gcps[0] else ""
        raise GridError(f"{name}: no geotransform{how}; expected a georeferenced grid, or pixel_size_m=METRES")
    south_up = transform.e > 0
    if south_up and (transform != Affine.identity() or crs is not None):
        t = transform
        transform = Affine(t.a, -t.b, t.c + t.b * handle.height, t.d, -t.e, t.f + t.e * handle.height)
    elif south_up:  # an image without georeference: the first row is the top one
        south_up, transform = False, Affine.scale(1, -1)
    shape = (int(handle.height), int(handle.width))
    grid.check_grid(name, transform, shape, None if crs is None else horizontal(crs), stated.metres_known)
    facts, unit, factor = _bands(handle, name, want, bands, crs, stated)
    return RasterFile(
        path=name,
        transform=transform,
        shape=shape,
        crs=crs,
        facts=facts,
        factor=factor,
        unit=unit,
        south_up=south_up,
        tags=dict(raster.header.tags),
        driver=str(handle.driver),
        area_or_point=str(handle.tags().get("AREA_OR_POINT", "Area")),
        stated=stated,
        raster=raster,
    )


def _bands(
    handle: Any, name: str, want: Sequence[str], bands: Mapping[str, int] | None, crs: CRS | None, stated: Stated
) -> tuple[dict[str, BandFacts], str, float]:
    """Return the facts of the bands, and the unit of the heights with its size in metres."""
    facts = choose_bands(handle, name, want, bands, stated.nodata)
    band = next((band for band in facts if band in HEIGHTS), None)
    if band is None:
        return facts, "", 1.0
    unit = handle.units[facts[band].index - 1] or ""
    return facts, *height_unit(name, unit, crs, stated.elevation_unit, required=stated.unit_required)
