"""Arrange several files on one grid, or refuse with the name of the file that does not fit."""

from __future__ import annotations

from collections.abc import Sequence

from affine import Affine

from terrafine.errors import GridError
from terrafine.raster.crs import horizontal
from terrafine.raster.read.file import RasterFile

__all__ = ["lay_out"]

# In cells. Resolutions in headers are often rounded to 6 digits, which adds up to some thousandths over a tile.
_TOLERANCE = 0.02


def lay_out(files: Sequence[RasterFile]) -> tuple[Affine, tuple[int, int], list[tuple[int, int]]]:
    """Arrange files on one grid.

    All must share CRS and resolution, and be offset by whole cells within 0.02 cells. Tiles on both sides of the
    antimeridian are joined across it; longitudes then exceed 180.

    Parameters
    ----------
    files
        The opened files.

    Returns
    -------
    transform : Affine
        Geotransform of the common grid.
    shape : tuple of int
        Its rows and columns (y, x).
    corners : list of tuple of int
        First row and column of each file on it.

    Raises
    ------
    GridError
        If a file does not fit, or the mosaic is wider than 360 degrees.
    """
    first = files[0]
    shifts = _across_the_dateline(files)
    corners: list[tuple[int, int]] = []
    for file, shift in zip(files, shifts, strict=True):
        _fits(first, file)
        y = (first.transform.f - file.transform.f) / -first.transform.e
        x = (file.transform.c + shift - first.transform.c - shifts[0]) / first.transform.a
        if abs(y - round(y)) > _TOLERANCE or abs(x - round(x)) > _TOLERANCE:
            raise GridError(
                f"{file.path}: lies {x:.3f} columns and {y:.3f} rows from {first.path}; expected whole cells. "
                "Resample the files to one grid first: gdalwarp -tap -tr ..."
            )
        corners.append((round(y), round(x)))
    top, left = min(y for y, _ in corners), min(x for _, x in corners)
    places = [(y - top, x - left) for y, x in corners]
    shape = (
        max(y + f.shape[0] for (y, _), f in zip(places, files, strict=True)),
        max(x + f.shape[1] for (_, x), f in zip(places, files, strict=True)),
    )
    t = first.transform
    origin = Affine(t.a, 0.0, t.c + shifts[0] + t.a * left, 0.0, t.e, t.f + t.e * top)
    _one_way_round(first, origin, shape)
    return origin, shape, places


def _fits(first: RasterFile, file: RasterFile) -> None:
    same = file.crs is None and first.crs is None
    if file.crs is not None and first.crs is not None:
        here, there = horizontal(file.crs), horizontal(first.crs)
        same = here == there or here.equals(there, ignore_axis_order=True)
    if not same:
        raise GridError(
            f"{file.path}: its CRS is {file.crs.name if file.crs else 'none'}, that of {first.path} "
            f"{first.crs.name if first.crs else 'none'}; expected one CRS for a mosaic"
        )
    for found, expected, axis in (
        (file.transform.a, first.transform.a, "wide"),
        (file.transform.e, first.transform.e, "high"),
    ):
        if abs(found / expected - 1.0) * max(*file.shape, *first.shape) > _TOLERANCE:
            raise GridError(
                f"{file.path}: its cells are {abs(found):.9g} {axis}, those of {first.path} {abs(expected):.9g}; "
                "expected one resolution for a mosaic"
            )
    if file.area_or_point != first.area_or_point:
        raise GridError(
            f"{file.path}: its pixels are {file.area_or_point.lower()}s, those of {first.path} "
            f"{first.area_or_point.lower()}s; expected one meaning for a mosaic"
        )


def _across_the_dateline(files: Sequence[RasterFile]) -> list[float]:
    """Return the degrees to add to each file's longitudes for a contiguous mosaic: 360 or 0."""
    crs = files[0].crs
    if crs is None or not horizontal(crs).is_geographic or len(files) == 1:
        return [0.0] * len(files)

    def extent(shifts: list[float]) -> float:
        west = [f.transform.c + s for f, s in zip(files, shifts, strict=True)]
        east = [f.transform.c + s + f.transform.a * f.shape[1] for f, s in zip(files, shifts, strict=True)]
        return max(east) - min(west)

    plain = [0.0] * len(files)
    around = [360.0 if f.transform.c + f.transform.a * f.shape[1] <= 0 else 0.0 for f in files]
    return around if extent(plain) > 180.0 and extent(around) < extent(plain) else plain


def _one_way_round(first: RasterFile, origin: Affine, shape: tuple[int, int]) -> None:
    crs = first.crs
    if crs is None or not horizontal(crs).is_geographic:
        return
    width = origin.a * shape[1]
    if width > 360.0 + 2 * origin.a:
        raise GridError(
            f"{first.path}: the mosaic is {width:g} degrees wide; expected at most 360. Run "
            "the two sides of the antimeridian separately"
        )
