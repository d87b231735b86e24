"""Areas of a class map, summed while its rows stream by: in all, and by the polygons of a vector file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.features import rasterize
from shapely.geometry import box

from terrafine.atomic import Publish, publish, written
from terrafine.errors import GridError, OutputError, UsageError
from terrafine.raster import grid
from terrafine.raster.protocol import Readable
from terrafine.raster.read import integrity
from terrafine.raster.read.rasterize import read_features

__all__ = ["Areas", "Regions", "read_regions"]

PathLike = str | os.PathLike[str]
_KM2 = 1e6
_CELLS = 1_000_000  # whose regions are looked up at a time: some 30 MB


@dataclass(frozen=True)
class Regions:
    """Polygons in the CRS of a map, each with the number of its region in `names`; `key` is what they came from.

    They lie in layers, so that regions of one layer do not overlap, as those of most files nowhere do: one layer.
    """

    names: tuple[str, ...]
    layers: tuple[tuple[tuple[Any, int], ...], ...]
    key: dict[str, str]

    def burn(self, geobox: GeoBox) -> Iterator[NDArray[np.int32]]:
        """For each layer that is met, the number of the region at the centre of each cell, −1 where there is none."""
        shape = (int(geobox.shape[0]), int(geobox.shape[1]))
        here = box(*tuple(geobox.boundingbox))
        for layer in self.layers:
            found = [pair for pair in layer if pair[0].intersects(here)]
            if found:
                yield np.asarray(rasterize(found, out_shape=shape, transform=geobox.affine, fill=-1, dtype="int32"))


def read_regions(path: PathLike, geobox: GeoBox, name: str | None = None) -> Regions:
    """The polygons of a vector file, in the CRS of a grid; those of one name are one region.

    `name` is the field that names them, by default the first. Raises UsageError for a field that is not there,
    GridError where no polygon overlaps the grid, and what `read_features` raises.
    """
    text = os.fspath(path)
    features, source = read_features(text)
    if geobox.crs is None:
        raise GridError(f"{text}: the image has no CRS to put the regions in; state it with assume_crs=CRS")
    onto = grid.parse_crs(geobox.crs.to_wkt(), text)
    into = Transformer.from_crs(source, onto, always_xy=True)
    around, here = _around(geobox, Transformer.from_crs(onto, source, always_xy=True)), box(*tuple(geobox.boundingbox))
    names: dict[str, int] = {}
    polygons = []
    for geometry, fields in features:
        if not geometry.geom_type.endswith("Polygon"):
            continue
        field = name if name is not None else next(iter(fields), None)
        if field is None or field not in fields:
            raise UsageError(
                f"{text}: a polygon has no field {field or 'at all'}; its fields are {', '.join(fields) or 'none'}. "
                "Say with region_name=FIELD which names the regions"
            )
        near = shapely.make_valid(shapely.force_2d(geometry))
        if around is not None:
            near = shapely.intersection(near, around)
        moved = shapely.transform(near, lambda xy: np.stack(into.transform(*xy.T), axis=1))
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(moved)))
        found = [p for p in parts if p.geom_type == "Polygon" and p.intersects(here)]
        if found:
            number = names.setdefault(str(fields[field]), len(names))
            polygons += [(p, number) for p in found]
    if not polygons:
        raise GridError(f"{text}: no polygon overlaps the image; expected the regions of its own ground")
    key = {"sha256": integrity.content_digest(text), "field": str(name)}
    return Regions(tuple(names), _layers(polygons), key)


def _layers(polygons: Sequence[tuple[Any, int]]) -> tuple[tuple[tuple[Any, int], ...], ...]:
    """Each region in the first layer where it overlaps none that is there; a common border is no overlap."""
    shapes, numbers = [p for p, _ in polygons], [n for _, n in polygons]
    overlaps: dict[int, set[int]] = {}
    for i, j in shapely.STRtree(shapes).query(shapes, predicate="intersects").T.tolist():
        if numbers[j] < numbers[i] and not shapes[i].touches(shapes[j]):
            overlaps.setdefault(numbers[i], set()).add(numbers[j])
    of: dict[int, int] = {}
    for number in sorted(set(numbers)):
        taken = {of[other] for other in overlaps.get(number, ())}
        of[number] = next(layer for layer in range(len(of) + 1) if layer not in taken)
    return tuple(tuple(p for p in polygons if of[p[1]] == layer) for layer in sorted(set(of.values())))


def _around(geobox: GeoBox, back: Transformer) -> Any:
    """A grid's ground and half as much around it in a vector's CRS: what is far may have no place in the grid's CRS.

    None where that is no simple box, as across the 180th meridian.
    """
    b = geobox.boundingbox
    west, south, east, north = back.transform_bounds(b.left, b.bottom, b.right, b.top, densify_pts=21)
    if not (np.isfinite((west, south, east, north)).all() and west < east and south < north):
        return None
    wide, high = (east - west) / 2, (north - south) / 2
    return box(west - wide, south - high, east + wide, north + high)


class Areas:
    """Square metres that are known, and those of class 1, of rows given from the top; by region where there are any.

    Each region has all cells whose centre is in it, whether or not they are in another as well.
    """

    def __init__(self, image: Readable, k: int, regions: Regions | None = None) -> None:
        self._image, self._k, self._regions = image, k, regions
        self._grid = grid.subdivided(image.geobox, k)
        self._row = 0
        count = 1 if regions is None else 1 + len(regions.names)  # first: all
        self.known_m2, self.impervious_m2 = np.zeros(count), np.zeros(count)

    def add(self, classes: NDArray[np.float32]) -> None:
        """The next rows (y, x): 1, 0 or NaN."""
        rows = slice(self._row, self._row + classes.shape[0])
        self._row = rows.stop
        coarse = slice(rows.start // self._k, -(-rows.stop // self._k))
        sizes = self._image.pixel_size_m(coarse).prod(axis=0) / self._k**2
        first = rows.start - coarse.start * self._k
        cell = np.repeat(sizes, self._k)[first : first + classes.shape[0]]
        known, impervious = ~np.isnan(classes), classes == 1
        self.known_m2[0] += known.sum(axis=1) @ cell
        self.impervious_m2[0] += impervious.sum(axis=1) @ cell
        if self._regions is None:
            return
        step = max(1, _CELLS // classes.shape[1])
        for top in range(0, len(classes), step):
            part = slice(top, min(top + step, len(classes)))
            for burned in self._regions.burn(self._grid[rows.start + part.start : rows.start + part.stop, :]):
                region = burned + 1
                for total, which in ((self.known_m2, known[part]), (self.impervious_m2, impervious[part])):
                    inside = which & (region > 0)
                    weight = np.broadcast_to(cell[part, None], inside.shape)[inside]
                    np.add(total, np.bincount(region[inside], weight, minlength=len(total)), out=total)

    def tags(self) -> dict[str, str]:
        """Known and impervious area of all that was given, and the share."""
        known, impervious = self.known_m2[0], self.impervious_m2[0]
        return {
            "AREA_KM2": f"{known / _KM2:.6g}",
            "IMPERVIOUS_KM2": f"{impervious / _KM2:.6g}",
            "IMPERVIOUS_SHARE": f"{impervious / known if known else 0:.4f}",
        }

    def sentence(self) -> str:
        """`impervious: 3.21 of 26.1 km² (12.3 %)`."""
        tags = self.tags()
        share = 100 * float(tags["IMPERVIOUS_SHARE"])
        return f"impervious: {float(tags['IMPERVIOUS_KM2']):.4g} of {float(tags['AREA_KM2']):.4g} km² ({share:.1f} %)"

    def write(self, path: Path, publish: Publish = publish) -> None:
        """A CSV, one region a line, published whole; raises OutputError."""
        try:
            with written(path, publish) as part, open(part, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(self._lines())
        except OSError as error:
            raise OutputError(f"{path}: the areas cannot be written ({error.strerror}); check the folder") from error

    def _lines(self) -> Sequence[Sequence[object]]:
        names = () if self._regions is None else self._regions.names
        rows = [
            (name, f"{known / _KM2:.6g}", f"{impervious / _KM2:.6g}", f"{impervious / known:.4f}" if known else "")
            for name, known, impervious in zip(names, self.known_m2[1:], self.impervious_m2[1:], strict=True)
        ]
        return [("region", "known_km2", "impervious_km2", "impervious_share"), *rows]
