"""An area of interest in longitude and latitude, from a box or a vector file, and the grid that covers it."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from shapely.geometry import MultiPolygon, Polygon, box, mapping

from terrafine.errors import GridError, SourceError, UsageError
from terrafine.raster import grid
from terrafine.raster.area_polygons import ELLIPSOID, merged_polygons, require_area
from terrafine.raster.read.vectors.rasterize import parse_features, read_features

__all__ = ["AreaOfInterest", "grid_area", "utm_zone"]

PathLike = str | os.PathLike[str]
_POLE = 84.0  # UTM ends there
_FROM_MERIDIAN = 6.0  # degrees from a UTM zone's central meridian within which its cells are square within 0.5 %
_CELLS = 2_000_000_000


@dataclass(frozen=True)
class AreaOfInterest:
    """Ground in longitude and latitude (WGS 84), of one or more polygons.

    Across the antimeridian, longitudes run on beyond 180.

    Attributes
    ----------
    geometry
        The polygons, longitudes in one run.
    name
        Where it comes from, for messages.
    """

    geometry: Polygon | MultiPolygon
    name: str = "the area"

    @classmethod
    def parse(cls, value: AreaOfInterest | PathLike | Sequence[float] | Mapping[str, Any]) -> AreaOfInterest:
        """Return the area that a value describes.

        Parameters
        ----------
        value
            An area; a vector file; `(west, south, east, north)` in degrees or the same as a text with commas, where
            west > east crosses the antimeridian; or a GeoJSON object.

        Returns
        -------
        AreaOfInterest

        Raises
        ------
        UsageError, SourceError, GridError
            As `from_bbox`, `from_file` and `from_geojson`.
        """
        if isinstance(value, AreaOfInterest):
            return value
        if isinstance(value, Mapping):
            return cls.from_geojson(value)
        if isinstance(value, str | os.PathLike):
            numbers = _numbers(os.fspath(value))
            return cls.from_file(value) if numbers is None else cls.from_bbox(numbers)
        return cls.from_bbox(value)

    @classmethod
    def from_bbox(cls, numbers: Sequence[float]) -> AreaOfInterest:
        """Return a box.

        Parameters
        ----------
        numbers
            West, south, east and north in degrees; west > east crosses the antimeridian.

        Returns
        -------
        AreaOfInterest

        Raises
        ------
        UsageError
            For other than four finite numbers in the range of longitude and latitude, south below north.
        """
        listed = [float(n) for n in numbers]
        shown = ",".join(f"{n:g}" for n in listed)
        if len(listed) != 4 or not all(map(math.isfinite, listed)):
            raise UsageError(f"the box {shown}: expected four numbers: west, south, east, north in degrees")
        west, south, east, north = listed
        if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90) or west == east:
            raise UsageError(
                f"the box {shown}: expected west, south, east, north in degrees: longitudes from -180 to 180, "
                "latitudes from -90 to 90, south below north; west may be greater than east across the antimeridian"
            )
        return cls(
            require_area(box(west, south, east + 360 * (west > east), north), f"the box {shown}"), f"the box {shown}"
        )

    @classmethod
    def from_file(cls, path: PathLike) -> AreaOfInterest:
        """Return the union of the polygons of a vector file.

        Parameters
        ----------
        path
            GeoJSON, or another format (needs the extra `vector`).

        Returns
        -------
        AreaOfInterest

        Raises
        ------
        SourceError, UsageError, MissingExtraError
            If it cannot be read, or states no CRS.
        GridError
            If it holds no polygon, or its coordinates lie where its CRS has no meaning.
        """
        name = os.fspath(path)
        if Path(name).suffix.lower() in (".geojson", ".json"):
            from terrafine.schema.files import read_json

            try:
                record = read_json(name, SourceError, "a GeoJSON")
            except SourceError as e:
                raise SourceError(f"{name}: not a readable GeoJSON: " + str(e).removeprefix(f"{name}: ")) from e
            features, crs = parse_features(_collection(record), name)
        else:
            features, crs = read_features(name)
        return cls(merged_polygons([g for g, _ in features], crs, name), name)

    @classmethod
    def from_geojson(cls, record: Mapping[str, Any]) -> AreaOfInterest:
        """Return the union of the polygons of a GeoJSON object: a geometry, a feature or a collection.

        Parameters
        ----------
        record
            The object, in longitude and latitude.

        Returns
        -------
        AreaOfInterest

        Raises
        ------
        SourceError
            For what is no GeoJSON.
        GridError
            As `from_file`.
        """
        features, crs = parse_features(_collection(dict(record)), "the area")
        return cls(merged_polygons([g for g, _ in features], crs, "the area"))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north in degrees; east is above 180 where the area crosses the antimeridian."""
        west, south, east, north = self.geometry.bounds
        return west, south, east, north

    @property
    def area_km2(self) -> float:
        """Area on the ellipsoid in km²."""
        return abs(ELLIPSOID.geometry_area_perimeter(self.geometry)[0]) / 1e6

    @property
    def key(self) -> str:
        """SHA-256 of the polygons, coordinates rounded to 1e-7 degrees."""
        return hashlib.sha256(shapely.to_wkb(shapely.normalize(shapely.set_precision(self.geometry, 1e-7)))).hexdigest()

    def search_geometry(self) -> dict[str, Any]:
        """Return the area as a GeoJSON geometry of a few vertices, cut at the antimeridian as RFC 7946 wants it.

        Returns
        -------
        dict
            A Polygon or MultiPolygon that covers the area.
        """
        shape = self.geometry if shapely.get_num_coordinates(self.geometry) < 500 else self.geometry.convex_hull
        inside = shapely.intersection(shape, box(-180, -90, 180, 90))
        beyond = shapely.transform(shapely.intersection(shape, box(180, -90, 540, 90)), lambda xy: xy - [360.0, 0.0])
        polygons = [p for part in (inside, beyond) for p in shapely.get_parts(part) if p.geom_type == "Polygon"]
        return dict(mapping(polygons[0] if len(polygons) == 1 else MultiPolygon(polygons)))

    def grid(self, cell_m: float, crs: str | None = None) -> GeoBox:
        """Return the grid that covers the area, edges on whole multiples of the cell size.

        Parameters
        ----------
        cell_m
            Side of a cell in metres.
        crs
            A projected CRS in metres; by default the UTM zone of the area's centre.

        Returns
        -------
        GeoBox

        Raises
        ------
        GridError
            If the area lies outside the CRS's zone, is too wide for one UTM zone, or lies near a pole.
        """
        west, south, east, north = self.bounds
        if crs is None and max(north, -south) > _POLE:
            raise GridError(
                f"{self.name}: reaches latitude {max(north, -south, key=abs):g}, where no UTM zone is; "
                "state a polar CRS, EPSG:3413 or EPSG:3031"
            )
        text = crs or f"EPSG:{utm_zone((west + east) / 2, (south + north) / 2)}"
        target = grid.parse_crs(text, self.name, "expected for example EPSG:32632")
        if not target.is_projected or abs(float(target.axis_info[0].unit_conversion_factor) - 1) > 1e-9:
            raise GridError(
                f"{self.name}: the grid's CRS {target.name!r}: expected a projected one in metres, as EPSG:32632"
            )
        _check_zone(self, target, text)
        into = Transformer.from_crs("OGC:CRS84", target, always_xy=True)
        edge = shapely.segmentize(self.geometry, max(1e-4, (east - west + north - south) / 400))
        xy = np.stack(into.transform(*shapely.get_coordinates(edge).T), axis=1)
        if not np.isfinite(xy).all():
            raise GridError(f"{self.name}: parts of it have no place in {target.name}; state another CRS")
        left, bottom = np.floor(xy.min(axis=0) / cell_m + 1e-6)
        right, top = np.ceil(xy.max(axis=0) / cell_m - 1e-6)
        shape = (max(1, int(top - bottom)), max(1, int(right - left)))
        if shape[0] * shape[1] > _CELLS:
            raise GridError(
                f"{self.name}: {shape[1]:,} × {shape[0]:,} cells of {cell_m:g} m; expected at most {_CELLS:,} "
                "cells. Divide the area, or run it as a campaign"
            )
        return GeoBox(
            shape,
            Affine(cell_m, 0.0, left * cell_m, 0.0, -cell_m, top * cell_m),
            target.to_wkt() if target.to_epsg() is None else f"EPSG:{target.to_epsg()}",
        )


def utm_zone(longitude: float, latitude: float) -> int:
    """Return the EPSG code of the UTM zone (WGS 84) of a point, without the exceptions of Norway and Svalbard.

    Parameters
    ----------
    longitude, latitude
        Degrees; longitudes may run on beyond 180.

    Returns
    -------
    int
        326xx or 327xx.
    """
    return (32600 if latitude >= 0 else 32700) + int((longitude + 180) // 6) % 60 + 1


def grid_area(geobox: GeoBox) -> AreaOfInterest:
    """Return the ground that a grid covers, edges followed by points.

    Parameters
    ----------
    geobox
        A grid with a CRS.

    Returns
    -------
    AreaOfInterest

    Raises
    ------
    GridError
        If the grid has no CRS.
    """
    if geobox.crs is None:
        raise GridError("a grid without CRS covers no known ground; expected one with a CRS")
    left, bottom, right, top = geobox.boundingbox
    ring = shapely.segmentize(box(left, bottom, right, top), max(right - left, top - bottom) / 20)
    back = Transformer.from_crs(geobox.crs.to_wkt(), "OGC:CRS84", always_xy=True)
    return AreaOfInterest(
        merged_polygons(
            [shapely.transform(ring, lambda xy: np.stack(back.transform(*xy.T), axis=1))],
            CRS.from_user_input("OGC:CRS84"),
            "the grid",
        ),
        "the grid",
    )


def _numbers(text: str) -> list[float] | None:
    """The numbers of `west,south,east,north`; None for a text that is a path."""
    parts = text.split(",")
    if len(parts) < 2:
        return None
    try:
        return [float(part) for part in parts]
    except ValueError:
        return None


def _collection(record: Any) -> Any:
    """A feature or geometry as a collection of one; anything else as it is."""
    kind = record.get("type") if isinstance(record, dict) else None
    if kind == "Feature":
        return {"type": "FeatureCollection", "features": [record], **{k: record[k] for k in ("crs",) if k in record}}
    if kind in (
        "Polygon",
        "MultiPolygon",
        "GeometryCollection",
        "Point",
        "LineString",
        "MultiPoint",
        "MultiLineString",
    ):
        return {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": record}]}
    return record


def _check_zone(area: AreaOfInterest, crs: CRS, text: str) -> None:
    """The area lies near the central meridian of a transverse Mercator CRS; raises GridError."""
    operation = crs.coordinate_operation
    if operation is None or "transverse mercator" not in operation.method_name.lower():
        return
    west, south, east, north = area.bounds
    middle = grid.crs_centre(crs)
    off = max(abs((west - middle + 180) % 360 - 180), abs((east - middle + 180) % 360 - 180))
    if off > _FROM_MERIDIAN:
        raise GridError(
            f"{area.name}: reaches {off:.1f} degrees from the central meridian of {text} ({crs.name}); expected up to "
            f"{_FROM_MERIDIAN:g}. Its own zone is EPSG:{utm_zone((west + east) / 2, (south + north) / 2)}; an area of "
            "several zones is divided, or run as a campaign"
        )
    code = crs.to_epsg() or 0
    if code // 100 in (326, 327) and (code // 100 == 327) != (south + north < 0) and min(abs(south), abs(north)) > 1:
        raise GridError(
            f"{area.name}: lies on the other hemisphere than {text}; expected "
            f"EPSG:{utm_zone((west + east) / 2, (south + north) / 2)}"
        )
