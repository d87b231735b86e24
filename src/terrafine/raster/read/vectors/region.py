"""The area of interest of a vector file: its polygons as one area in longitude and latitude of WGS 84."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer

from terrafine.errors import GridError, UsageError
from terrafine.raster.read.vectors.rasterize import read_features

__all__ = ["read_area", "read_named_areas", "wrapped"]

PathLike = str | os.PathLike[str]
_DEGREES, _METRES = 0.1, 5_000.0  # between the vertices of an outline before it is transformed
_WIDEST = 180.0
_VERTICES = 2_000_000  # of an outline, before it is transformed


def read_area(path: PathLike) -> Any:
    """All polygons of a vector file as one area in longitude and latitude.

    Parameters
    ----------
    path
        A GeoJSON file, or another format, which needs pyogrio.

    Returns
    -------
    shapely.Geometry
        Polygon or MultiPolygon.

    Raises
    ------
    UsageError, SourceError, GridError, MissingExtraError
        As `read_features`; GridError also for a file without polygons, or an area wider than 180 degrees.
    """
    return shapely.union_all([area for _, area in read_named_areas(path, None)])


def read_named_areas(path: PathLike, field: str | None) -> list[tuple[str, Any]]:
    """The areas of a vector file by the value of a field, in longitude and latitude, in the order of the file.

    Parameters
    ----------
    path
        A GeoJSON file, or another format, which needs pyogrio.
    field
        Field that names the areas; None for one area of all polygons, named "".

    Returns
    -------
    list of tuple
        Name and area.

    Raises
    ------
    UsageError, SourceError, GridError, MissingExtraError
        As `read_area`; UsageError also where a polygon lacks the field.
    """
    text = os.fspath(path)
    features, crs = read_features(text)
    named: dict[str, list[Any]] = {}
    for geometry, values in features:
        if geometry is None or not geometry.geom_type.endswith("Polygon"):
            continue
        if field is not None and field not in values:
            raise UsageError(
                f"{text}: a polygon has no field {field!r}; its fields are {', '.join(values) or 'none'}. State the "
                "field that names the zones"
            )
        named.setdefault("" if field is None else str(values[field]), []).append(_degrees(geometry, crs, text))
    if not named:
        raise GridError(f"{text}: holds no polygon; expected the outline of an area")
    return [(name, shapely.union_all(parts)) for name, parts in named.items()]


def _degrees(geometry: Any, crs: CRS, path: str) -> Any:
    flat = shapely.make_valid(shapely.force_2d(geometry))
    step = _DEGREES if crs.is_geographic else _METRES / float(crs.axis_info[0].unit_conversion_factor)
    if not shapely.length(flat) / step < _VERTICES:
        raise GridError(
            f"{path}: the outline of a polygon is {shapely.length(flat):.4g} units of {crs.name!r} long; expected the "
            "outline of an area on Earth. State the CRS of the file, or reproject it: ogr2ogr -t_srs EPSG:4326"
        )
    onto = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    moved = shapely.transform(shapely.segmentize(flat, step), lambda xy: np.stack(onto.transform(*xy.T), axis=1))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise GridError(f"{path}: a polygon cannot be transformed to longitude and latitude; check its CRS, {crs.name}")
    west, south, east, north = moved.bounds
    if not (west >= -540 and east <= 540 and south >= -90 and north <= 90):
        raise GridError(
            f"{path}: coordinates from ({west:.6g}, {south:.6g}) to ({east:.6g}, {north:.6g}); expected longitude and "
            "latitude. State the CRS of the file, or reproject it: ogr2ogr -t_srs EPSG:4326"
        )
    if east - west > _WIDEST:
        raise GridError(
            f"{path}: a polygon is {east - west:.4g} degrees wide; expected at most {_WIDEST:g}. Split an area that "
            "crosses the 180th meridian there, as RFC 7946 section 3.1.9 asks"
        )
    return wrapped(shapely.make_valid(moved))


def wrapped(area: Any) -> Any:
    """Return the same ground with longitudes within ±180.

    Parameters
    ----------
    area
        Polygons with longitudes within ±540.

    Returns
    -------
    Any
        The polygons, split where they cross the 180th meridian.
    """
    west, _, east, _ = area.bounds
    if west >= -180 and east <= 180:
        return area
    parts = []
    for turn in (-360.0, 0.0, 360.0):
        part = shapely.intersection(area, shapely.box(-180 + turn, -90, 180 + turn, 90))
        if not part.is_empty:
            parts.append(shapely.transform(part, lambda xy, turn=turn: xy - [turn, 0.0]))
    return shapely.union_all(parts)
