"""The polygons of an area in longitude and latitude, from geometries in any CRS; what cannot be right is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from shapely.geometry import MultiPolygon, Polygon

from terrafine.errors import GridError

__all__ = ["ELLIPSOID", "merged_polygons", "require_area"]

ELLIPSOID = Geod(ellps="WGS84")
_GLOBE = 180.0  # degrees of longitude: beyond, it is not certain which side of the globe is meant
_WIDEST = 60.0  # degrees of longitude of an area that crosses the antimeridian


def merged_polygons(geometries: Sequence[Any], crs: CRS, name: str) -> Polygon | MultiPolygon:
    """The union of polygons in longitude and latitude, longitudes in one run."""
    kinds = sorted({g.geom_type for g in geometries})
    parts = [p for g in geometries for p in _faces(shapely.force_2d(g))]
    if not parts:
        raise GridError(
            f"{name}: holds {', '.join(kinds) or 'no geometry'}; expected at least one polygon with an area"
        )
    _check_coordinates(parts, crs, name)
    if not crs.is_geographic:
        into = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
        parts = [
            shapely.transform(shapely.segmentize(p, _step(p)), lambda xy: np.stack(into.transform(*xy.T), axis=1))
            for p in parts
        ]
        if not all(np.isfinite(shapely.get_coordinates(p)).all() for p in parts):
            raise GridError(f"{name}: its coordinates have no place on Earth in {crs.name!r}; its CRS is wrong")
    return require_area(_one_run(parts, name), name)


def _step(polygon: Polygon) -> float:
    left, bottom, right, top = polygon.bounds
    return max(float(right - left), float(top - bottom), 1e-9) / 50


def _faces(geometry: Any) -> list[Polygon]:
    """The polygons of a geometry, made valid."""
    parts = shapely.get_parts(shapely.get_parts(geometry)) if not geometry.is_empty else []
    valid = [shapely.make_valid(p) for p in parts if p.geom_type == "Polygon"]
    return [p for v in valid for p in shapely.get_parts(v) if p.geom_type == "Polygon" and p.area > 0]


def _check_coordinates(parts: Sequence[Polygon], crs: CRS, name: str) -> None:
    """Coordinates lie where the CRS has a meaning; raises GridError."""
    xy = shapely.get_coordinates(parts)
    low, high = xy.min(axis=0), xy.max(axis=0)
    span = f"x from {low[0]:g} to {high[0]:g}, y from {low[1]:g} to {high[1]:g}"
    if not np.isfinite(xy).all():
        raise GridError(f"{name}: holds coordinates that are not finite")
    if crs.is_geographic:
        if low[0] < -180 or high[0] > 360 or low[1] < -90 or high[1] > 90:
            raise GridError(
                f"{name}: {span}, which is not longitude and latitude in degrees; expected those, or a file that "
                "states its CRS (a GeoPackage). Convert it with: ogr2ogr -t_srs EPSG:4326 out.geojson IN"
            )
        return
    use = crs.area_of_use
    if use is None:
        return
    x, y = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(*((low + high) / 2).tolist())
    east = (x - use.west) % 360 - (use.east - use.west) % 360
    far = 0.0 if (x - use.west) % 360 <= (use.east - use.west) % 360 else min(east, 360 - (x - use.west) % 360)
    far = max(far, use.south - y, y - use.north)
    if not (math.isfinite(x) and math.isfinite(y)) or far > 3:
        raise GridError(
            f"{name}: {span} in {crs.name!r}, {far:.3g} degrees outside the area that this CRS is for; its CRS or zone "
            "is wrong. Correct it with: ogr2ogr -a_srs EPSG:xxxx OUT IN"
        )


def _one_run(parts: Sequence[Polygon], name: str) -> Any:
    """The union of polygons whose longitudes are brought to one run, across the antimeridian if that is shorter."""
    xy = shapely.get_coordinates(parts)
    if np.ptp(xy[:, 0]) > 180 or xy[:, 0].max() > 180:
        shifted = [shapely.transform(p, _eastward) for p in parts]
        moved = shapely.get_coordinates(shifted)
        if np.ptp(xy[:, 0]) > 180 and np.ptp(moved[:, 0]) >= _WIDEST:
            raise GridError(
                f"{name}: spans {np.ptp(xy[:, 0]):.0f} degrees of longitude; expected less than 180. Across "
                "the antimeridian, cut it there as RFC 7946 states"
            )
        parts = [q for p in shifted for q in _faces(shapely.make_valid(p))]
        whole = shapely.union_all(parts)
        low = 360.0 * math.floor((whole.bounds[0] + 180.0) / 360.0)
        return shapely.transform(whole, lambda xy: xy - [low, 0.0])
    return shapely.union_all(parts)


def _eastward(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.where(xy[:, 0] < 0, xy[:, 0] + 360, xy[:, 0]), xy[:, 1]], axis=1)


def require_area(shape: Any, name: str) -> Any:
    west, _, east, _ = shape.bounds
    if east - west > _GLOBE:
        raise GridError(f"{name}: is {east - west:g} degrees of longitude wide; expected at most {_GLOBE:g}. Divide it")
    if abs(ELLIPSOID.geometry_area_perimeter(shape)[0]) < 1:
        raise GridError(
            f"{name}: covers less than a square metre; expected an area in degrees of longitude and latitude"
        )
    return shape
