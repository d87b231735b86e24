"""A virtual mosaic of rasters on one lattice: a small file that GIS programs open at once, overviews included."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import rasterio

from terrafine.atomic import write_whole
from terrafine.errors import GridError
from terrafine.raster import gdal
from terrafine.raster.read.content_type import CLASS_NAMES
from terrafine.raster.vertical import TAG

__all__ = ["write_mosaic"]

_TYPES = {"uint8": "Byte", "int16": "Int16", "float32": "Float32", "uint16": "UInt16"}
_TAGS = (CLASS_NAMES, TAG, "SURFACE")  # of the tiles, true of the mosaic
_CELLS = 0.01
_SMALLEST = 256  # cells along the longer side, below which no overview is stated


def write_mosaic(target: Path, paths: Sequence[Path]) -> None:
    """Write a VRT of rasters of one kind: same CRS, cell size, bands and types, apart by whole cells.

    Parameters
    ----------
    target
        The .vrt; paths inside are relative to its folder.
    paths
        The rasters, at least one.

    Raises
    ------
    GridError
        If one does not fit the first.
    """
    tiles: list[tuple[Path, int, int, int, int]] = []
    with gdal.environment():
        for path in paths:
            with rasterio.open(path) as file:
                if not tiles:
                    head, a = file.profile, file.transform
                    named, units, scales = file.descriptions, file.units, file.scales
                    wkt = file.crs.to_wkt()
                    colours = file.colormap(1) if file.colorinterp[0].name == "palette" else None
                    crs, tags = file.crs, file.tags(ns="TERRAFINE")
                b = file.transform
                x, y = (b.c - a.c) / a.a, (b.f - a.f) / a.e
                off = max(abs(x - round(x)), abs(y - round(y)), abs(b.a / a.a - 1) * file.width)
                same = file.crs == crs and file.count == head["count"] and file.dtypes[0] == head["dtype"]
                if not same or off > _CELLS:
                    raise GridError(f"{path}: does not fit the mosaic of {paths[0]}; expected one grid and kind")
                tiles.append((path, round(x), round(y), file.width, file.height))
    left, top = min(t[1] for t in tiles), min(t[2] for t in tiles)
    width, height = max(t[1] + t[3] for t in tiles) - left, max(t[2] + t[4] for t in tiles) - top
    transform = f"{a.c + a.a * left!r}, {a.a!r}, 0.0, {a.f + a.e * top!r}, 0.0, {a.e!r}"
    lines = [
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">',
        f"<SRS>{escape(wkt)}</SRS><GeoTransform>{transform}</GeoTransform>",
    ]
    kept = "".join(f'<MDI key="{key}">{escape(tags[key])}</MDI>' for key in _TAGS if key in tags)
    lines.append(f'<Metadata domain="TERRAFINE">{kept}</Metadata>')
    for number in range(1, head["count"] + 1):
        lines.append(f'<VRTRasterBand dataType="{_TYPES[head["dtype"]]}" band="{number}">')
        if named[number - 1]:
            lines.append(f"<Description>{escape(named[number - 1])}</Description>")
        if head["nodata"] is not None:
            lines.append(f"<NoDataValue>{head['nodata']}</NoDataValue>")
        if units[number - 1]:
            lines.append(f"<UnitType>{escape(units[number - 1])}</UnitType>")
        if scales[number - 1] != 1.0:
            lines.append(f"<Scale>{scales[number - 1]!r}</Scale>")
        if colours is not None:
            entries = "".join(
                f'<Entry c1="{r}" c2="{g}" c3="{b_}" c4="{o}"/>' for _, (r, g, b_, o) in sorted(colours.items())
            )
            lines.append(f"<ColorInterp>Palette</ColorInterp><ColorTable>{entries}</ColorTable>")
        lines += [_source(target, tile, number, (left, top), head["nodata"]) for tile in tiles]
        lines.append("</VRTRasterBand>")
    if factors := _factors(width, height):
        lines.append(f'<OverviewList resampling="NEAREST">{factors}</OverviewList>')
    lines.append("</VRTDataset>")
    write_whole(target, "\n".join(lines).encode())


def _factors(width: int, height: int) -> str:
    """Factors of overviews that a reader takes from those of the tiles: halved until 256 cells are left."""
    count = max(0, (max(width, height) // _SMALLEST).bit_length() - 1)
    return " ".join(str(2 ** (n + 1)) for n in range(count))


def _source(
    target: Path, tile: tuple[Path, int, int, int, int], number: int, corner: tuple[int, int], nodata: float | None
) -> str:
    path, x, y, width, height = tile
    name = os.path.relpath(path, target.parent).replace(os.sep, "/")
    kind, missing = ("SimpleSource", "") if nodata is None else ("ComplexSource", f"<NODATA>{nodata}</NODATA>")
    return (
        f'<{kind}><SourceFilename relativeToVRT="1">{escape(name)}</SourceFilename><SourceBand>{number}</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>'
        f"<DstRect xOff={quoteattr(str(x - corner[0]))} yOff={quoteattr(str(y - corner[1]))} "
        f'xSize="{width}" ySize="{height}"/>{missing}</{kind}>'
    )
