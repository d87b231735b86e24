"""Burn buildings and roads from vector files into a grid: polygons as they are, lines as wide as their class."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from rasterio.features import rasterize
from shapely.geometry import box, shape

from terrafine.errors import GridError, MissingExtraError, SourceError, UsageError
from terrafine.raster import grid
from terrafine.raster.read.checks.vector import check_vector
from terrafine.schema.check import conform
from terrafine.schema.files import read_json
from terrafine.schema.types import Matches, shown

__all__ = ["ROAD_WIDTHS_M", "Shapes", "parse_features", "read_features", "read_shapes"]

PathLike = str | os.PathLike[str]

ROAD_WIDTHS_M: Mapping[str, float] = {
    "motorway": 11.0,
    "trunk": 10.0,
    "primary": 9.0,
    "secondary": 8.0,
    "tertiary": 7.0,
    "residential": 6.0,
    "unclassified": 6.0,
    "living_street": 5.0,
    "service": 4.0,
    "pedestrian": 4.0,
    "cycleway": 2.0,
    "footway": 2.0,
}
"""Impervious width in metres by OpenStreetMap's `highway`, for roads that state neither `width` nor `lanes`.

Our own table of customary cross sections; a link road is as wide as the road that it leads to. Tracks, paths and
classes that are not listed are not burned."""

LANE_M = 3.25


@dataclass(frozen=True)
class Shapes:
    """Impervious surface as polygons in a projected CRS in metres.

    Attributes
    ----------
    path
        The vector file.
    crs
        CRS of the polygons.
    polygons
        Shapely polygons.
    left
        Number of features that were not used, such as points and tracks.
    """

    path: str
    crs: CRS
    polygons: tuple[Any, ...]
    left: int

    def burn(self, geobox: GeoBox) -> NDArray[np.uint8]:
        """Return 1 where the centre of a cell lies in a polygon, else 0.

        Parameters
        ----------
        geobox
            A grid in the CRS of the polygons.

        Returns
        -------
        ndarray of uint8, (y, x)
            0 or 1.
        """
        out_shape = (int(geobox.shape[0]), int(geobox.shape[1]))
        here = box(*tuple(geobox.boundingbox))
        found = [p for p in self.polygons if p.intersects(here)]
        if not found:
            return np.zeros(out_shape, np.uint8)
        return np.asarray(
            rasterize([(p, 1) for p in found], out_shape=out_shape, transform=geobox.affine, dtype="uint8")
        )


def read_shapes(path: PathLike, crs: object, widths: Mapping[str, float] | None = None) -> Shapes:
    """Read every polygon of a vector file, and every road as a polygon of its width.

    A road is as wide as its `width` states, else its `lanes` times 3.25 m, else its `highway` class in `widths`.

    Parameters
    ----------
    path
        A GeoJSON file, or another format, which needs pyogrio.
    crs
        A projected CRS in metres: that of the grid.
    widths
        Road widths in metres that extend ROAD_WIDTHS_M.

    Returns
    -------
    Shapes
        The polygons.

    Raises
    ------
    SourceError
        If the file is missing or not a readable vector file.
    GridError
        If `crs` does not measure metres, or the CRS of the file cannot be read.
    UsageError
        If the file has no CRS.
    MissingExtraError
        If the format needs pyogrio and it is not installed.
    """
    target = grid.parse_crs(crs, "the grid")
    if not target.is_projected or abs(float(target.axis_info[0].unit_conversion_factor) - 1) > 1e-9:
        raise GridError(
            f"{path}: roads are burned in metres, and the grid's CRS is {target.name}; expected one in metres"
        )
    name = os.fspath(path)
    features, source = read_features(name)
    into = Transformer.from_crs(source, target, always_xy=True)
    known = {**ROAD_WIDTHS_M, **(widths or {})}
    polygons, left = [], 0
    for geometry, tags in features:
        moved = shapely.transform(shapely.force_2d(geometry), lambda xy: np.stack(into.transform(*xy.T), axis=1))
        width = None if moved.geom_type.endswith("Polygon") else _width(tags, known)
        if moved.geom_type.endswith("Polygon"):
            polygons.append(shapely.make_valid(moved))
        elif moved.geom_type.endswith("LineString") and width:
            polygons.append(moved.buffer(width / 2, cap_style="flat"))
        else:
            left += 1
    return Shapes(name, target, tuple(polygons), left)


def read_features(path: str) -> tuple[Iterable[tuple[Any, Mapping[str, Any]]], CRS]:
    """Read the geometries of a vector file with their fields, and its CRS.

    Parameters
    ----------
    path
        A GeoJSON file, or another format, which needs pyogrio.

    Returns
    -------
    features : iterable of tuple
        Shapely geometry and its fields.
    crs : pyproj.CRS
        CRS of the geometries.

    Raises
    ------
    SourceError
        If the file is missing or not a readable vector file.
    GridError
        If its CRS cannot be read.
    UsageError
        If it has no CRS.
    MissingExtraError
        If the format needs pyogrio and it is not installed.
    """
    return _geojson(path) if Path(path).suffix.lower() in (".geojson", ".json") else _ogr(path)


def _width(tags: Mapping[str, Any], widths: Mapping[str, float]) -> float | None:
    for key, metres in (("width", 1.0), ("lanes", LANE_M)):
        try:
            value = float(str(tags.get(key) or "").removesuffix("m"))
        except ValueError:
            continue
        if 0 < value * metres < 100:
            return value * metres
    return widths.get(str(tags.get("highway") or tags.get("class") or "").removesuffix("_link"))


_CRS = Annotated[str, Matches(r"[A-Za-z0-9:._/# -]{1,200}", "the name of a CRS, as urn:ogc:def:crs:EPSG::32632")]
_MOST_BYTES = 500_000_000
_FAR = 1e12  # of a coordinate, in degrees, feet or metres
_MOST_CROSSED = 20_000  # vertices of a geometry that is not valid


def _geojson(path: str) -> tuple[Iterable[tuple[Any, Mapping[str, Any]]], CRS]:
    unreadable, expected = f"{path}: not a readable GeoJSON: ", "a FeatureCollection"
    try:
        text = read_json(path, SourceError, expected, _MOST_BYTES)
    except SourceError as e:
        raise SourceError(unreadable + str(e).removeprefix(f"{path}: ")) from e
    return parse_features(text, path)


def parse_features(text: Any, path: str) -> tuple[Iterable[tuple[Any, Mapping[str, Any]]], CRS]:
    """Return the geometries of a GeoJSON object with their fields, and its CRS.

    Parameters
    ----------
    text
        A FeatureCollection, a Feature or a geometry, as JSON gives it.
    path
        Where it comes from, for messages.

    Returns
    -------
    features : iterable of tuple
        Shapely geometry and its fields.
    crs : pyproj.CRS
        CRS of the geometries.

    Raises
    ------
    SourceError
        If it is none.
    GridError
        If its CRS cannot be read.
    """
    unreadable, expected = f"{path}: not a readable GeoJSON: ", "a FeatureCollection, a Feature or a geometry"
    listed = _listed(text)
    if not isinstance(listed, list) or not isinstance(text, dict):
        raise SourceError(f"{unreadable}no `features` in it; expected {expected}")
    features = [one for n, f in enumerate(listed) if (one := _feature(f, f"{path}: [features {n}]"))]
    stated = text.get("crs")
    if stated is None:
        return features, grid.parse_crs("OGC:CRS84", path, "expected a GeoJSON in longitude and latitude")
    name = stated.get("properties", {}) if isinstance(stated, dict) else stated
    name = name.get("name") if isinstance(name, dict) else name
    conform(_CRS, name, f"{path}: [crs] name", SourceError)
    return features, grid.parse_crs(name, path, "expected a GeoJSON in longitude and latitude")


def _listed(text: Any) -> Any:
    """The features of a GeoJSON object; None where it is none."""
    if not isinstance(text, dict):
        return None
    if text.get("type") == "Feature":
        return [text]
    if "coordinates" in text or text.get("type") == "GeometryCollection":
        return [{"type": "Feature", "properties": {}, "geometry": text}]
    return text.get("features")


def _feature(record: Any, where: str) -> tuple[Any, Mapping[str, Any]] | None:
    """The geometry and the fields of a feature; None where it has no geometry."""
    if not isinstance(record, dict):
        raise SourceError(f"{where}: found {shown(record)}; expected a feature")
    geometry, fields = record.get("geometry"), record.get("properties") or {}
    if not isinstance(fields, dict):
        raise SourceError(f"{where} properties = {shown(fields)}: expected a table")
    if geometry is None:
        return None
    problem = f"{where} geometry: {shown(geometry)}; expected a GeoJSON geometry of finite coordinates"
    if not isinstance(geometry, dict):
        raise SourceError(problem)
    try:
        found = shape(geometry)
        finite = bool((np.abs(shapely.get_coordinates(found)) < _FAR).all())
    # Shapely raises whatever numpy and Python do for what is no list of numbers.
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        RecursionError,
        shapely.errors.ShapelyError,
    ) as error:
        raise SourceError(f"{problem} ({shown(str(error), 100)})") from error
    if not finite or found.is_empty:
        raise SourceError(problem)
    return _sound(found, where), fields


def _sound(geometry: Any, where: str) -> Any:
    """The geometry; one of very many vertices whose lines cross is refused, because correcting it may never end."""
    if shapely.get_num_coordinates(geometry) > _MOST_CROSSED and not shapely.is_valid(geometry):
        raise SourceError(
            f"{where}: {shapely.get_num_coordinates(geometry):,} vertices and lines that cross each other "
            f"({shapely.is_valid_reason(geometry)}); expected a valid outline, correct it with ogr2ogr -makevalid"
        )
    return geometry


def _ogr(path: str) -> tuple[Sequence[tuple[Any, Mapping[str, Any]]], CRS]:
    try:
        from pyogrio.raw import read  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise MissingExtraError(
            f"{path}: this format needs an extra: pip install 'terrafine[vector]'; GeoJSON is read without it"
        ) from error
    check_vector(path)
    try:
        meta, _, geometries, fields = read(path)
    except (RuntimeError, OSError, ValueError) as error:
        raise SourceError(f"{path}: not a readable vector file ({error})") from error
    if not meta.get("crs"):
        raise UsageError(f"{path}: the file has no CRS; expected one, or a GeoJSON in longitude and latitude")
    names = [str(n) for n in meta["fields"]]
    rows = zip(*fields, strict=True) if len(fields) else iter(() for _ in geometries)
    tags = [dict(zip(names, row, strict=True)) for row in rows]
    shapes = [_sound(g, f"{path}: shape {n}") for n, g in enumerate(shapely.from_wkb(geometries))]
    return list(zip(shapes, tags, strict=True)), grid.parse_crs(meta["crs"], path)
