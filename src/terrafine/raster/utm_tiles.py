"""The lattice of square tiles in each UTM zone: which of them meet an area, their grids, and true areas of their cells.

A tile is numbered by its zone and by the whole multiples of its side at which its lower left corner lies, so the same
ground has the same tile in every run. At the border of two zones tiles of both overlap; each point of the Earth counts
in the zone that its longitude is in, which `owned` reports cell by cell.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Proj, Transformer

from terrafine.errors import GridError

__all__ = ["Tile", "UtmTiles", "area_scale", "geodesic_area_m2", "owned", "to_degrees", "zone_name"]

F64 = NDArray[np.float64]
_STRIP = 6.0
_SOUTH, _NORTH = -80.0, 84.0  # what UTM covers
_STEP = 0.05  # degrees between the vertices of an outline that is projected: 0.4 m of sagitta at 60 degrees
_LATTICE = 17
_MOST = 5_000_000  # tiles that the outline of an area may span


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One tile of the lattice.

    Attributes
    ----------
    epsg
        EPSG code of its UTM zone.
    col, row
        Corner (lower left) in multiples of the tile's side, from the origin of the zone's coordinates.
    """

    epsg: int
    col: int
    row: int

    @property
    def name(self) -> str:
        """`32N-0061-0471`: zone, column and row."""
        return f"{zone_name(self.epsg)}-{self.col:04d}-{self.row:04d}"


def zone_name(epsg: int) -> str:
    """`32N` of EPSG:32632, `23S` of EPSG:32723."""
    return f"{epsg % 100:02d}{'N' if epsg // 100 == 326 else 'S'}"


@dataclass(frozen=True, slots=True)
class UtmTiles:
    """The lattice of tiles of one cell size.

    Parameters
    ----------
    resolution_m
        Side of a cell.
    cells
        Cells along the side of a tile's core.
    halo
        Cells around the core that are read but not kept.
    """

    resolution_m: float
    cells: int
    halo: int

    @property
    def side_m(self) -> float:
        """Side of the core in metres of the projection."""
        return self.resolution_m * self.cells

    def core(self, tile: Tile) -> GeoBox:
        """The grid of the core of a tile."""
        return self._grid(tile, 0)

    def with_halo(self, tile: Tile) -> GeoBox:
        """The grid of a tile with its halo."""
        return self._grid(tile, self.halo)

    def bounds(self, tile: Tile, margin_m: float = 0.0) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of the core, `margin_m` farther out."""
        left, bottom = tile.col * self.side_m, tile.row * self.side_m
        return (left - margin_m, bottom - margin_m, left + self.side_m + margin_m, bottom + self.side_m + margin_m)

    def outline(self, tile: Tile, margin_m: float = 0.0) -> Any:
        """The core as a polygon in longitude and latitude, its sides with enough vertices."""
        box = shapely.segmentize(shapely.box(*self.bounds(tile, margin_m)), self.side_m / 8)
        return to_degrees(box, tile.epsg)

    def covering(self, area: Any) -> list[Tile]:
        """Every tile whose core meets an area, sorted.

        Parameters
        ----------
        area
            Polygons in longitude and latitude of WGS 84, longitudes within ±180.

        Returns
        -------
        list of Tile

        Raises
        ------
        GridError
            If the area reaches beyond what UTM covers, or its outline spans more tiles than can be listed.
        """
        found: list[Tile] = []
        spanned = 0.0
        for epsg, part in _by_zone(area):
            left, bottom, right, top = part.bounds
            spanned += (1 + (right - left) / self.side_m) * (1 + (top - bottom) / self.side_m)
            if spanned > _MOST:
                raise GridError(
                    f"the area spans more than {_MOST:,} tiles of {self.side_m:,.0f} m; expected fewer: choose larger "
                    "tiles or a smaller area"
                )
            cols = np.arange(math.floor(left / self.side_m), math.floor(right / self.side_m) + 1)
            rows = np.arange(math.floor(bottom / self.side_m), math.floor(top / self.side_m) + 1)
            col, row = (n.ravel() for n in np.meshgrid(cols, rows))
            side = self.side_m
            boxes = shapely.box(col * side, row * side, (col + 1) * side, (row + 1) * side)
            shapely.prepare(part)
            near = shapely.intersects(part, boxes)
            near[near] &= ~shapely.touches(part, boxes[near])
            found += [Tile(epsg, c, r) for c, r in zip(col[near].tolist(), row[near].tolist(), strict=True)]
        return sorted(found)

    def _grid(self, tile: Tile, halo: int) -> GeoBox:
        n, cell = self.cells + 2 * halo, self.resolution_m
        left, _, _, top = self.bounds(tile, halo * cell)
        return GeoBox((n, n), Affine(cell, 0.0, left, 0.0, -cell, top), f"EPSG:{tile.epsg}")


def _by_zone(area: Any) -> Iterator[tuple[int, Any]]:
    """The parts of an area, each in the coordinates of its UTM zone."""
    west, south, east, north = area.bounds
    if south < _SOUTH or north > _NORTH:
        raise GridError(
            f"the area reaches from latitude {south:.4g} to {north:.4g}; expected {_SOUTH:g} to {_NORTH:g}, which UTM "
            "zones cover"
        )
    for zone in range(max(1, _zone_of(west)), min(60, _zone_of(east)) + 1):
        for low, high, base in ((0.0, _NORTH, 32600), (_SOUTH, 0.0, 32700)):
            left = _STRIP * (zone - 1) - 180.0
            part = shapely.intersection(area, shapely.box(left, low, left + _STRIP, high))
            polygons = [p for p in shapely.get_parts(part) if shapely.area(p) > 0]
            if polygons:
                fine = shapely.segmentize(shapely.multipolygons(polygons), _STEP)
                onto = _transformer(4326, base + zone)
                moved = shapely.transform(fine, lambda xy, onto=onto: np.stack(onto.transform(*xy.T), axis=1))
                yield base + zone, shapely.make_valid(moved)


def _zone_of(longitude: float) -> int:
    return math.floor((longitude + 180.0) / _STRIP) + 1


@functools.lru_cache(maxsize=256)
def _transformer(source: int, target: int) -> Transformer:
    return Transformer.from_crs(f"EPSG:{source}", f"EPSG:{target}", always_xy=True)


def to_degrees(geometry: Any, epsg: int) -> Any:
    """A geometry of a UTM zone in longitude and latitude of WGS 84."""
    back = _transformer(epsg, 4326)
    return shapely.transform(geometry, lambda xy: np.stack(back.transform(*xy.T), axis=1))


def area_scale(geobox: GeoBox) -> F64:
    """Square metres of ground per square metre of a UTM grid, at each cell's centre.

    The inverse of the areal scale of the projection, exact on a lattice of 17 × 17 points and bilinear between: within
    1e-7 over a tile.

    Parameters
    ----------
    geobox
        A grid in a UTM zone.

    Returns
    -------
    ndarray of float64, (y, x)
        From 0.998 at the border of a zone to 1.0008 at its central meridian.

    References
    ----------
    Snyder 1987, USGS Professional Paper 1395, section 8, https://doi.org/10.3133/pp1395
    """
    height, width = (int(n) for n in geobox.shape)
    a = geobox.affine
    at_y, at_x = (np.linspace(0.5, n - 0.5, _LATTICE) for n in (height, width))
    x, y = np.meshgrid(a.c + a.a * at_x, a.f + a.e * at_y)
    projection = Proj(f"EPSG:{_epsg(geobox)}")
    factors = projection.get_factors(*projection(x, y, inverse=True))
    known = 1.0 / np.asarray(factors.areal_scale, np.float64)
    rows, cols = np.arange(height) + 0.5, np.arange(width) + 0.5
    across = np.stack([np.interp(cols, at_x, line) for line in known])
    place = np.clip((rows - at_y[0]) / max(at_y[-1] - at_y[0], 1e-9) * (_LATTICE - 1), 0, _LATTICE - 1)
    low = np.minimum(place.astype(int), _LATTICE - 2)
    share = (place - low)[:, None]
    return np.asarray(across[low] * (1 - share) + across[low + 1] * share)


def owned(geobox: GeoBox) -> NDArray[np.bool_]:
    """Which cells of a UTM grid have their centre in that zone and hemisphere, so that each point counts once.

    Parameters
    ----------
    geobox
        A grid in a UTM zone.

    Returns
    -------
    ndarray of bool, (y, x)
    """
    height, width = (int(n) for n in geobox.shape)
    a, epsg = geobox.affine, _epsg(geobox)
    back = _transformer(epsg, 4326)
    west = _STRIP * (epsg % 100 - 1) - 180.0
    north = epsg // 100 == 326
    corners_x, corners_y = (np.array([v0, v1]) for v0, v1 in ((a.c, a.c + a.a * width), (a.f, a.f + a.e * height)))
    lon, lat = back.transform(*(v.ravel() for v in np.meshgrid(corners_x, corners_y)))
    inside = (lon > west + 1e-6) & (lon < west + _STRIP - 1e-6) & ((lat > 1e-6) if north else (lat < -1e-6))
    if inside.all():  # meridians hardly bend over a tile: its corners decide unless the border is near
        return np.ones((height, width), bool)
    x, y = a.c + a.a * (np.arange(width) + 0.5), a.f + a.e * (np.arange(height) + 0.5)
    out = np.empty((height, width), bool)
    for i, northing in enumerate(y):
        lon, lat = back.transform(x, np.full_like(x, northing))
        out[i] = (lon >= west) & (lon < west + _STRIP) & ((lat >= 0) if north else (lat < 0))
    return out


def _epsg(geobox: GeoBox) -> int:
    """The EPSG code of a grid in a UTM zone."""
    code = None if geobox.crs is None else geobox.crs.to_epsg()
    if code is None or code // 100 not in (326, 327):
        raise GridError(f"a grid in {geobox.crs}; expected one in a UTM zone of WGS 84")
    return int(code)


def geodesic_area_m2(polygons: Any | Sequence[Any]) -> float:
    """The area of polygons in longitude and latitude on the ellipsoid of WGS 84, in square metres."""
    from pyproj import Geod

    geod = Geod(ellps="WGS84")
    return float(sum(abs(geod.geometry_area_perimeter(p)[0]) for p in _oriented(polygons)))


def _oriented(polygons: Any | Sequence[Any]) -> list[Any]:
    parts = shapely.get_parts(polygons if isinstance(polygons, shapely.Geometry) else list(polygons))
    return [shapely.orient_polygons(p) for p in shapely.get_parts(parts) if p.geom_type == "Polygon"]
