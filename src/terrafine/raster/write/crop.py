"""Cut a window out of a GeoTIFF that Terrafine wrote, as a GeoTIFF that states all that the whole one does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from terrafine.atomic import Publish, publish
from terrafine.errors import GridError, OutputError
from terrafine.raster import gdal
from terrafine.raster.crs import horizontal
from terrafine.raster.grid import parse_crs
from terrafine.raster.read.source import open_source
from terrafine.raster.write.cog_writer import open_cog
from terrafine.raster.write.encoding import Encoding

__all__ = ["Cropped", "crop_cog"]

_CELLS = 1e-3
_ROWS = 512


@dataclass(frozen=True, slots=True)
class Cropped:
    """What was cut out.

    Attributes
    ----------
    path, sha256, bytes
        The file, its digest and its size.
    shape
        Rows and columns (y, x).
    valid
        Share of its cells that hold a value in every band.
    """

    path: Path
    sha256: str
    bytes: int
    shape: tuple[int, int]
    valid: float


def crop_cog(
    source: Path,
    geobox: GeoBox,
    target: Path,
    *,
    tags: Mapping[str, str] | None = None,
    fill: bool = False,
    publish: Publish = publish,
) -> Cropped:
    """Write the part of a GeoTIFF that a coarser or equal grid covers, as a verified Cloud-Optimized GeoTIFF.

    Numbers, scale, nodata, colours, band names, units, datum and tags are those of the source.

    Parameters
    ----------
    source
        A GeoTIFF written by `open_cog`, whose cells subdivide those of the grid from a corner of one of them.
    geobox
        The part, north up, in the CRS of the source.
    target
        The file to write.
    tags
        Tags of the TERRAFINE domain to add.
    fill
        Whether cells of the part beyond the source are nodata; otherwise they are an error.
    publish
        Brings the finished file under its final name.

    Returns
    -------
    Cropped
        The file with its digest, size and share of valid cells.

    Raises
    ------
    GridError
        If the part is not of whole cells, or reaches beyond the source without `fill`.
    OutputError, DiskError
        As `open_cog`.
    """
    with gdal.environment(), rasterio.open(source) as file:
        top, left, k = _window(source, file, geobox, fill)
        height, width = int(geobox.shape[0]) * k, int(geobox.shape[1]) * k
        a = geobox.affine
        fine = GeoBox((height, width), a * a.scale(1 / k), geobox.crs)
        names, units = tuple(d or "" for d in file.descriptions), tuple(u or "" for u in file.units)
        lineage = dict(file.tags(ns="TERRAFINE"))
        encoding = _encoding(file)
        area = str(file.tags().get("AREA_OR_POINT", "Area"))
        options: dict[str, Any] = {}
        if names[0] in ("elevation", "relief"):
            datum, surface = _heights(source, names)
            options = {"vertical": datum, "surface": surface}
        kept = 0
        with open_cog(
            target,
            fine,
            band_names=names,
            units=units,
            encoding=encoding,
            tags={**lineage, **(tags or {})},
            area_or_point=area,
            publish=publish,
            **options,
        ) as out:
            for row in range(0, height, _ROWS):
                rows = min(_ROWS, height - row)
                block = _block(file, slice(top + row, top + row + rows), slice(left, left + width), encoding)
                kept += int((~np.isnan(block)).all(axis=0).sum())
                out.push(block)
    done = out.published
    return Cropped(done.path, done.sha256, done.bytes, (height, width), kept / (height * width))


def _block(file: Any, rows: slice, cols: slice, encoding: Encoding) -> NDArray[np.float32]:
    """Values of a window that may reach beyond the file, NaN there."""
    block = np.full((file.count, rows.stop - rows.start, cols.stop - cols.start), np.nan, np.float32)
    top, bottom = max(rows.start, 0), min(rows.stop, file.height)
    left, right = max(cols.start, 0), min(cols.stop, file.width)
    if top < bottom and left < right:
        inner = file.read(window=Window(left, top, right - left, bottom - top))
        inside = np.s_[:, top - rows.start : bottom - rows.start, left - cols.start : right - cols.start]
        block[inside] = _values(inner, encoding)
    return block


def _window(source: Path, file: Any, geobox: GeoBox, fill: bool) -> tuple[int, int, int]:
    """First row and column of the part in the source, and fine cells along one of the part's."""
    a, b = file.transform, geobox.affine
    if geobox.crs is None:
        raise GridError(f"{source}: the part has no CRS; expected that of the file")
    here, there = (horizontal(parse_crs(c.to_wkt(), os.fspath(source))) for c in (file.crs, geobox.crs))
    k = round(b.a / a.a)
    top, left = (b.f - a.f) / a.e, (b.c - a.c) / a.a
    off = max(abs(b.a / a.a - k) * geobox.shape[1], abs(top - round(top)), abs(left - round(left)))
    height, width = int(geobox.shape[0]) * k, int(geobox.shape[1]) * k
    inside = (
        round(top) >= 0
        and round(top) + height <= file.height
        and round(left) >= 0
        and round(left) + width <= file.width
    )
    if k < 1 or off > _CELLS or not here.equals(there, ignore_axis_order=True) or not (inside or fill):
        raise GridError(
            f"{source}: {file.height} × {file.width} cells of {a.a:g} at ({a.c:g}, {a.f:g}) do not hold the part of "
            f"{geobox.shape[0]} × {geobox.shape[1]} cells of {b.a:g} at ({b.c:g}, {b.f:g}) in whole cells"
        )
    return round(top), round(left), k


def _encoding(file: Any) -> Encoding:
    palette = None
    if file.dtypes[0] == "uint8" and file.colorinterp[0].name == "palette":  # GDAL fills unused colours with black
        palette = {i: (r, g, b) for i, (r, g, b, _) in file.colormap(1).items() if (r, g, b) != (0, 0, 0)}
    scale = float(file.scales[0])
    if any(s != scale for s in file.scales) or any(file.offsets):
        raise OutputError(f"{file.name}: bands of several scales; expected one, as Terrafine writes")
    return Encoding(file.dtypes[0], scale=scale, nodata=float(file.nodata), palette=palette)


def _values(numbers: NDArray[Any], encoding: Encoding) -> NDArray[np.float32]:
    """What stored numbers mean, NaN where nodata."""
    values = numbers.astype(np.float32) * np.float32(encoding.scale)
    missing = np.isnan(numbers) if encoding.nan else numbers == np.dtype(encoding.dtype).type(encoding.nodata)
    values[missing] = np.nan
    return values


def _heights(source: Path, names: tuple[str, ...]) -> tuple[Any, str | None]:
    """Datum and surface that a file of heights states."""
    with open_source(source, want=names) as heights:
        return heights.vertical, heights.surface
