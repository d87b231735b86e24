"""Write, close, reopen, verify, publish: a GeoTIFF under its final name is always whole."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from terrafine.atomic import Publish, publish, staging_folder, workshop
from terrafine.errors import DiskError, OutputError
from terrafine.raster import gdal, vertical
from terrafine.raster.vertical import VerticalDatum
from terrafine.raster.write import cog_layout
from terrafine.raster.write.encoding import FLOAT, Allowed, Encoding, allowed, profile
from terrafine.raster.write.georeference import stored_crs
from terrafine.raster.write.overviews import BLOCK, Level, Statistics
from terrafine.raster.write.verify import Description, verify_description, verify_pixels

__all__ = ["CogWriter", "Published", "check_free_space", "open_cog", "write_cog"]

Rows = NDArray[np.float32]

_log = logging.getLogger(__name__)
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_SOFTWARE = "Terrafine"
_LINEAGE = "TERRAFINE"


@dataclass(frozen=True, slots=True)
class Published:
    """A file that was written, read back equal, and renamed to its final name.

    Attributes
    ----------
    path, sha256, bytes
        The file, its digest, and its size in bytes.
    """

    path: Path
    sha256: str
    bytes: int


def check_free_space(path: str | os.PathLike[str], bytes_needed: int) -> None:
    """Check that the disk of a file has enough free space.

    Parameters
    ----------
    path
        The file to write.
    bytes_needed
        Its expected size.

    Raises
    ------
    DiskError
        If not; the message states both numbers.
    """
    folder = Path(path).absolute().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < bytes_needed:
        raise DiskError(
            f"{path}: needs {bytes_needed / 1e6:,.0f} MB, but {folder} has {free / 1e6:,.0f} MB free; free space or "
            "write elsewhere"
        )


def write_cog(
    path: str | os.PathLike[str],
    geobox: GeoBox,
    rows: Iterable[Rows],
    *,
    nodata: float | None = -9999.0,
    **layout: Any,
) -> Published:
    """Publish blocks of rows as one verified Cloud-Optimized GeoTIFF of float32.

    Parameters
    ----------
    path
        The file.
    geobox
        Its grid.
    rows
        Blocks (band, y, x) of full width, from the top, NaN at nodata.
    nodata
        Nodata value to write. NaN stays NaN; None, or what no float32 holds, means -9999.
    layout
        Further arguments of `open_cog`.

    Returns
    -------
    Published
        The file with its digest and size.

    Raises
    ------
    DiskError, OutputError, GridError
        As `open_cog`.
    """
    with np.errstate(over="ignore"):
        usable = nodata is not None and (math.isnan(nodata) or math.isfinite(np.float32(nodata)))
    encoding = replace(FLOAT, nodata=nodata if nodata is not None and usable else -9999.0)
    with open_cog(path, geobox, encoding=encoding, **layout) as writer:
        for block in rows:
            writer.push(block)
    return writer.published


@contextlib.contextmanager
def open_cog(
    path: str | os.PathLike[str],
    geobox: GeoBox,
    *,
    band_names: Sequence[str],
    units: Sequence[str],
    encoding: Encoding = FLOAT,
    tags: Mapping[str, str] | None = None,
    vertical: VerticalDatum | None = None,
    area_or_point: str = "Area",
    compress: str = "zstd",
    overviews: bool = True,
    statistics: bool = True,
    threads: int | None = None,
    surface: str | None = None,
    publish: Publish = publish,
) -> Iterator[CogWriter]:
    """Open a Cloud-Optimized GeoTIFF for writing rows; it is verified and published at the end of the block.

    Overviews are averages of the valid cells. The same pixels give the same bytes, whatever the blocks of rows and the
    number of threads. Memory: a few stripes of 512 rows. Nothing appears under `path` before all of it is on the disk
    and reads back as it was written; a failure leaves what was there before.

    Parameters
    ----------
    path
        The file.
    geobox
        Its grid.
    band_names, units
        Name and unit of each band.
    encoding
        How values are stored; NaN is written as its nodata value.
    tags
        Tags of the TERRAFINE domain; read last, so they may be filled while rows are written.
    vertical
        Datum of the heights, or None.
    area_or_point
        `Area` or `Point`: what a pixel value refers to.
    compress
        `zstd`, `deflate`, `lzw` or `none`; the first two also with a level, as `zstd:9`.
    overviews, statistics
        Whether to write them.
    threads
        Threads that compress; None for all cores.
    surface
        `DSM` or `DTM`, or None.
    publish
        Brings the finished file under its final name: `publish`, or `PublishSet.stage`.

    Yields
    ------
    CogWriter
        Takes the rows.

    Raises
    ------
    DiskError
        If the disk is full.
    OutputError
        If rows do not fill the grid, values are infinite or out of the range of the band or of its numbers, or the
        file does not verify.
    GridError
        If a GeoTIFF cannot store the CRS.
    """
    target = Path(path).absolute()
    height, width = int(geobox.shape[0]), int(geobox.shape[1])
    cores = threads or os.cpu_count() or 1
    options = profile(encoding, len(band_names), BLOCK, compress, cores)
    with _translated(target), workshop(target) as shop, gdal.environment():
        levels = _levels(shop, height, width, overviews, len(band_names), encoding)
        crs = stored_crs(target, geobox, vertical)
        wkt = None if crs is None else rasterio.crs.CRS.from_wkt(crs.to_wkt())
        main = {**options, "crs": wkt, "transform": geobox.affine}
        with contextlib.ExitStack() as open_files:
            for i, level in enumerate(levels):
                level.file = open_files.enter_context(_create(level, main if i == 0 else options))
                if encoding.palette is not None:
                    level.file.write_colormap(1, dict(encoding.palette))
            writer = CogWriter(target, levels, allowed(encoding, band_names, units))
            yield writer
            writer.finish()
            stats = writer.statistics if statistics else None
            lineage = _lineage(tags or {}, vertical, surface)
            meant = Description(geobox, crs, vertical, encoding, band_names, units, lineage, area_or_point)
            _label(levels[0].file, meant, stats)
        whole = str(shop / "whole.tif")
        sha256, size = cog_layout.assemble([level.path for level in levels], whole)
        verify_pixels(whole, levels, target, cores)
        verify_description(whole, meant, target, _LINEAGE)
        publish(Path(whole), target)
    writer.published = Published(target, sha256, size)
    _log.info("%s: verified and published, %d bytes, sha256 %s", target, size, sha256)


class CogWriter:
    """Takes the rows of a file that is being written.

    Parameters
    ----------
    target
        The final name.
    levels
        Resolution levels, full resolution first.
    ranges
        The numbers that each band may hold.

    Attributes
    ----------
    published
        The published file, after the block of `open_cog` has ended.
    statistics
        Statistics of each band.
    """

    published: Published

    def __init__(self, target: Path, levels: Sequence[Level], ranges: Sequence[Allowed]) -> None:
        self._target, self._levels, self._ranges = target, levels, ranges
        self.statistics = [Statistics() for _ in range(levels[0].count)]

    def push(self, block: Rows) -> None:
        """Write the next rows.

        Parameters
        ----------
        block
            float32 (band, y, x) of full width, NaN at nodata.

        Raises
        ------
        OutputError
            If the shape is wrong, there are too many rows, or values are infinite, or out of the range of the band or
            of its numbers.
        """
        main, target = self._levels[0], self._target
        if block.ndim != 3 or block.shape[0] != main.count or block.shape[2] != main.width:
            raise OutputError(
                f"{target}: got a block of shape {block.shape}; expected ({main.count}, rows, {main.width})"
            )
        if main.filled + block.shape[1] > main.height:
            raise OutputError(f"{target}: got more rows than the grid's {main.height}")
        block = main.encoding.encode(block)
        for band, stat, span in zip(block, self.statistics, self._ranges, strict=True):
            if not stat.add(band):
                raise OutputError(
                    f"{target}: found infinite values near row {main.filled}; expected finite ones or NaN",
                    lasting=True,
                )
            if stat.n:
                span.require(stat.low, stat.high, f"{target}: near row {main.filled} ")
        main.push(block)

    def finish(self) -> None:
        """Write what is left of each level after the last row.

        Raises
        ------
        OutputError
            If rows are missing.
        """
        main = self._levels[0]
        if main.filled != main.height:
            raise OutputError(f"{self._target}: got {main.filled} rows; expected the grid's {main.height}")
        main.finish()


def _levels(shop: Path, height: int, width: int, overviews: bool, count: int, encoding: Encoding) -> list[Level]:
    levels = [Level(str(shop / "level0.tif"), height, width, count, encoding)]
    while overviews and max(levels[-1].height, levels[-1].width) > BLOCK:
        last = levels[-1]
        name = str(shop / f"level{len(levels)}.tif")
        levels.append(Level(name, (last.height + 1) // 2, (last.width + 1) // 2, count, encoding))
        last.coarser = levels[-1]
    return levels


def _create(level: Level, profile: Mapping[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(level.path, "w", width=level.width, height=level.height, **profile)


def _lineage(tags: Mapping[str, str], datum: VerticalDatum | None, surface: str | None) -> dict[str, str]:
    """Return the tags of the TERRAFINE domain, with the vertical datum and the surface."""
    lineage = {str(k): str(v) for k, v in sorted(tags.items())}
    if datum is not None:
        lineage.setdefault(vertical.TAG, datum.name)
    if surface is not None:
        lineage.setdefault(vertical.SURFACE_TAG, surface)
    return lineage


def _label(file: Any, meant: Description, stats: Sequence[Statistics] | None) -> None:
    file.update_tags(ns=_LINEAGE, **meant.tags)
    file.update_tags(AREA_OR_POINT=meant.area_or_point.capitalize(), TIFFTAG_SOFTWARE=_SOFTWARE)
    for i, (name, unit) in enumerate(zip(meant.names, meant.units, strict=True), start=1):
        file.set_band_description(i, name)
        file.set_band_unit(i, unit)
        if stats is not None:
            file.update_tags(i, **stats[i - 1].tags())
    if meant.encoding.scale != 1.0:
        file.scales = (meant.encoding.scale,) * len(meant.names)


@contextlib.contextmanager
def _translated(target: Path) -> Iterator[None]:
    """Translate GDAL's and the system's write failures to Terrafine's errors."""
    try:
        yield
    except RasterioError as error:
        # GDAL's message for a failed write varies; in practice, a failure after a good start is the disk's.
        raise DiskError(
            f"{target}: could not be written ({error.__cause__ or error}); the disk is full, limited or "
            "failing. Free space and run again; what was there before is untouched"
        ) from error
    except OSError as error:
        if error.errno in _FULL:
            raise DiskError(f"{target}: {error.strerror}; free space and run again, nothing was published") from error
        named = Path(str(error.filename))
        if target not in (named, named.parent) and staging_folder(target) not in (named, named.parent):
            raise  # not about this file: the source of the rows raised it
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error
