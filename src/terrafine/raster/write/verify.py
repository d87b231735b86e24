"""Read a written file back and compare it before it gets its final name: its pixels, and all that describes them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS

from terrafine.errors import OutputError
from terrafine.raster import vertical
from terrafine.raster.vertical import VerticalDatum
from terrafine.raster.write.encoding import Encoding
from terrafine.raster.write.georeference import kept
from terrafine.raster.write.overviews import Level

__all__ = ["Description", "verify_description", "verify_georeference", "verify_pixels"]

_CELLS = 1e-4  # by which a corner may move


@dataclass(frozen=True, slots=True)
class Description:
    """What a file must state when it is read back.

    Attributes
    ----------
    geobox, crs
        The grid, and the CRS that it is written with.
    datum
        The vertical datum that a reader must find, in the CRS or in the tags.
    encoding
        Type, scale and nodata of the numbers.
    names, units
        Names and units of the bands.
    tags
        Tags of the TERRAFINE domain.
    area_or_point
        What a pixel value refers to.
    """

    geobox: GeoBox
    crs: CRS | None
    datum: VerticalDatum | None
    encoding: Encoding
    names: Sequence[str]
    units: Sequence[str]
    tags: Mapping[str, str]
    area_or_point: str


def verify_pixels(whole: str, levels: Sequence[Level], target: Path, threads: int) -> None:
    """Check that every stripe of every level reads back with the digest that it was written with.

    Parameters
    ----------
    whole
        The written file.
    levels
        Its resolution levels, full resolution first.
    target
        The final name, for messages.
    threads
        Threads that decompress.

    Raises
    ------
    OutputError
        If anything differs.
    """
    for i, level in enumerate(levels):
        more = {"overview_level": i - 1} if i else {}
        with rasterio.open(whole, num_threads=threads, **more) as file:
            if (file.height, file.width, file.count) != (level.height, level.width, level.count):
                raise OutputError(f"{target}: level {i} reads back as {file.width} x {file.height}; not published")
            for window, written in zip(level.windows(), level.digests, strict=True):
                if zlib.crc32(file.read(window=window).data) != written:
                    top = window.row_off
                    raise OutputError(
                        f"{target}: rows {top}-{top + window.height} of level {i} read back different from what was "
                        "written; not published. Check the disk and run again"
                    )


def verify_description(whole: str, expected: Description, target: Path, lineage: str) -> None:
    """Check that CRS, transform, datum, nodata, scale, names, units and tags read back as intended.

    Parameters
    ----------
    whole
        The written file.
    expected
        What it must state.
    target
        The final name, for messages.
    lineage
        Domain of the tags.

    Raises
    ------
    OutputError
        If anything differs.
    """
    with rasterio.open(whole) as file:
        tags = file.tags(ns=lineage)
        verify_georeference(file, expected.geobox, expected.crs, target)
        if expected.datum is not None:
            read = None if not file.crs else vertical.from_crs(CRS.from_wkt(file.crs.to_wkt()))
            read = read or vertical.from_tags(tags)
            if read is None or not expected.datum.same(read):
                _differs(target, "vertical datum", expected.datum.name, "none" if read is None else read.name)
        count, encoding = len(expected.names), expected.encoding
        for what, wanted, found in (
            ("type", (encoding.dtype,) * count, file.dtypes),
            ("scale", (encoding.scale,) * count, file.scales),
            ("offset", (0.0,) * count, file.offsets),
            ("band names", tuple(expected.names), file.descriptions),
            ("units", tuple(expected.units), tuple(unit or "" for unit in file.units)),
            ("tags", dict(expected.tags), {name: tags.get(name) for name in expected.tags}),
            ("pixel meaning", expected.area_or_point.lower(), file.tags().get("AREA_OR_POINT", "Area").lower()),
        ):
            if wanted != found:
                _differs(target, what, wanted, found)
        for value in file.nodatavals:
            same = value is not None and (value == encoding.stored_nodata or (math.isnan(value) and encoding.nan))
            if not same:
                _differs(target, "nodata", encoding.stored_nodata, value)


def verify_georeference(file: Any, geobox: GeoBox, crs: CRS | None, target: Path) -> None:
    """Check that the cells of an open file lie where those of a grid lie.

    Parameters
    ----------
    file
        The open rasterio dataset.
    geobox, crs
        The grid, and the CRS that it was written with.
    target
        The final name, for messages.

    Raises
    ------
    OutputError
        If CRS or corners differ.
    """
    read = CRS.from_wkt(file.crs.to_wkt()) if file.crs else None
    if (crs is None) != (read is None) or (crs is not None and read is not None and not kept(crs, read, geobox)):
        _differs(target, "CRS", "none" if crs is None else crs.name, "none" if read is None else read.name)
    if not _same_corners(file.transform, geobox.affine, (file.height, file.width)):
        _differs(target, "geotransform", tuple(geobox.affine)[:6], tuple(file.transform)[:6])


def _same_corners(a: Affine, b: Affine, shape: tuple[int, int]) -> bool:
    ends = ((0, 0), (shape[1], 0), (0, shape[0]), (shape[1], shape[0]))
    gaps = [((a * p)[0] - (b * p)[0], (a * p)[1] - (b * p)[1]) for p in ends]
    return all(abs(x) <= _CELLS * abs(b.a) and abs(y) <= _CELLS * abs(b.e) for x, y in gaps)


def _differs(target: Path, what: str, wanted: object, found: object) -> None:
    raise OutputError(f"{target}: its {what} reads back as {found}; expected {wanted}. Not published")
