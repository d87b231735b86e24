"""Sum the area of a class while its rows stream by: in all, and by the polygons of a vector file."""

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
from terrafine.raster.read.checks import integrity
from terrafine.raster.read.vectors.rasterize import read_features
from terrafine.schema.types import CONTROL

__all__ = ["Areas", "Regions", "read_regions"]

PathLike = str | os.PathLike[str]
_KM2 = 1e6
_NAME = 200  # characters of a region's name
_CELLS = 1_000_000  # cells whose regions are looked up together: about 30 MB


@dataclass(frozen=True)
class Regions:
    """Polygons in the CRS of a map, grouped by region name.

    Attributes
    ----------
    names
        Name of each region.
    layers
        Pairs of (polygon, number of its region). Regions in one layer do not overlap, so most files have one layer.
    key
        What identifies the vector file: digest and field.
    """

    names: tuple[str, ...]
    layers: tuple[tuple[tuple[Any, int], ...], ...]
    key: dict[str, str]

    def burn(self, geobox: GeoBox) -> Iterator[NDArray[np.int32]]:
        """Yield, for each layer that overlaps a grid, the region at the centre of each cell.

        Parameters
        ----------
        geobox
            A grid in the CRS of the polygons.

        Yields
        ------
        ndarray of int32, (y, x)
            Number of the region, -1 where there is none.
        """
        shape = (int(geobox.shape[0]), int(geobox.shape[1]))
        here = box(*tuple(geobox.boundingbox))
        for layer in self.layers:
            found = [pair for pair in layer if pair[0].intersects(here)]
            if found:
                yield np.asarray(rasterize(found, out_shape=shape, transform=geobox.affine, fill=-1, dtype="int32"))


def read_regions(path: PathLike, geobox: GeoBox, name: str | None = None) -> Regions:
    """Read the polygons of a vector file in the CRS of a grid; polygons of the same name are one region.

    Parameters
    ----------
    path
        The vector file.
    geobox
        The grid of the image.
    name
        Field that names the regions; None for the first field.

    Returns
    -------
    Regions
        The polygons that overlap the grid.

    Raises
    ------
    UsageError
        If a polygon lacks the field.
    GridError
        If the grid has no CRS, or no polygon overlaps it.
    SourceError, MissingExtraError
        As `read_features`.
    """
    text = os.fspath(path)
    features, source = read_features(text)
    if geobox.crs is None:
        raise GridError(
            f"{text}: the image has no CRS, so regions cannot be placed in it; state it with assume_crs=CRS"
        )
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
                "State the field that names the regions with region_name=FIELD"
            )
        near = shapely.make_valid(shapely.force_2d(geometry))
        if around is not None:
            near = shapely.intersection(near, around)
        moved = shapely.transform(near, lambda xy: np.stack(into.transform(*xy.T), axis=1))
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(moved)))
        found = [p for p in parts if p.geom_type == "Polygon" and p.intersects(here)]
        if found:
            number = names.setdefault(CONTROL.sub("", str(fields[field]))[:_NAME], len(names))
            polygons += [(p, number) for p in found]
    if not polygons:
        raise GridError(f"{text}: no polygon overlaps the image; expected regions inside its extent")
    key = {"sha256": integrity.content_digest(text), "field": str(name)}
    return Regions(tuple(names), _layers(polygons), key)


def _layers(polygons: Sequence[tuple[Any, int]]) -> tuple[tuple[tuple[Any, int], ...], ...]:
    """Put each region in the first layer whose regions it does not overlap; a common border is not an overlap."""
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
    """Return a box in a vector's CRS: the extent of a grid plus half of it on each side.

    Distant features may not be transformable to the CRS of the grid. None if the extent is not a simple box, for
    example across the 180th meridian.
    """
    b = geobox.boundingbox
    west, south, east, north = back.transform_bounds(b.left, b.bottom, b.right, b.top, densify_pts=21)
    if not (np.isfinite((west, south, east, north)).all() and west < east and south < north):
        return None
    wide, high = (east - west) / 2, (north - south) / 2
    return box(west - wide, south - high, east + wide, north + high)


class Areas:
    """Known and impervious area of rows added from the top, in all and by region.

    A region counts every cell whose centre it contains, including cells that are in another region as well.

    Parameters
    ----------
    image
        The source whose grid the classes subdivide.
    k
        Cells of the class map per image cell and side.
    regions
        The regions to count separately.
    buildings
        Whether class 2, buildings, is counted too.

    Attributes
    ----------
    known_m2, impervious_m2, building_m2
        Square metres of cells that are not nodata, of impervious ones (class 1 and above), and of buildings (class 2)
        among these: in all, then by region.
    expected_m2
        Sums of the probabilities of impervious ground and of buildings times the cells, (2, region): the area that is
        expected if the probabilities are calibrated for the ground.
    """

    def __init__(self, image: Readable, k: int, regions: Regions | None = None, *, buildings: bool = False) -> None:
        self._image, self._k, self._regions, self._buildings = image, k, regions, buildings
        self._grid = grid.subdivided(image.geobox, k)
        self._row = 0
        count = 1 if regions is None else 1 + len(regions.names)  # first: all
        self.known_m2, self.impervious_m2, self.building_m2 = (np.zeros(count) for _ in range(3))
        self.expected_m2, self._expected = np.zeros((2, count)), False

    def add(self, classes: NDArray[np.float32], chances: NDArray[np.float32] | None = None) -> None:
        """Add the next rows.

        Parameters
        ----------
        classes
            Classes (y, x) of full width: 0 other, 1 impervious, 2 impervious and a building, NaN nodata.
        chances
            Probability of impervious ground, and of buildings where these are counted, (1 or 2, y, x), NaN nodata; None
            for no expected area.
        """
        likely = () if chances is None else tuple(chances)
        self._expected = self._expected or bool(likely)
        rows = slice(self._row, self._row + classes.shape[0])
        self._row = rows.stop
        coarse = slice(rows.start // self._k, -(-rows.stop // self._k))
        sizes = self._image.pixel_size_m(coarse).prod(axis=0) / self._k**2
        first = rows.start - coarse.start * self._k
        cell = np.repeat(sizes, self._k)[first : first + classes.shape[0]]
        sums: list[tuple[NDArray[np.float64], NDArray[Any]]] = [
            (self.known_m2, ~np.isnan(classes)),
            (self.impervious_m2, classes >= 1),
            *(((self.building_m2, classes == 2),) if self._buildings else ()),
            *((total, np.nan_to_num(chance)) for total, chance in zip(self.expected_m2, likely, strict=False)),
        ]
        for total, share in sums:
            total[0] += share.sum(axis=1, dtype=np.float64) @ cell
        if self._regions is None:
            return
        step = max(1, _CELLS // classes.shape[1])
        for top in range(0, len(classes), step):
            part = slice(top, min(top + step, len(classes)))
            for burned in self._regions.burn(self._grid[rows.start + part.start : rows.start + part.stop, :]):
                region, inside = burned + 1, burned >= 0
                for total, share in sums:
                    weight = (share[part] * cell[part, None])[inside]
                    np.add(total, np.bincount(region[inside], weight, minlength=len(total)), out=total)

    def tags(self) -> dict[str, str]:
        """Return the known and impervious area in km² and the impervious share, as tags for a file."""
        known, impervious = self.known_m2[0], self.impervious_m2[0]
        tags = {
            "AREA_KM2": f"{known / _KM2:.6g}",
            "IMPERVIOUS_KM2": f"{impervious / _KM2:.6g}",
            "IMPERVIOUS_SHARE": f"{impervious / known if known else 0:.4f}",
        }
        tags |= {"BUILDING_KM2": f"{self.building_m2[0] / _KM2:.6g}"} if self._buildings else {}
        for name, total in zip(self._named, self.expected_m2, strict=False):
            tags[f"{name.upper()}_EXPECTED_KM2"] = f"{total[0] / _KM2:.6g}"
        return tags

    @property
    def _named(self) -> tuple[str, ...]:
        """Classes whose expected area was summed."""
        return ("impervious", "building")[: 1 + self._buildings] if self._expected else ()

    def sentence(self) -> str:
        """Return the result as one line, such as `impervious: 3.21 of 26.1 km² (12.3 %)`."""
        tags = self.tags()
        share = 100 * float(tags["IMPERVIOUS_SHARE"])
        built = f", of which buildings: {float(tags['BUILDING_KM2']):.4g} km²" if self._buildings else ""
        area = float(tags["AREA_KM2"])
        return f"impervious: {float(tags['IMPERVIOUS_KM2']):.4g} of {area:.4g} km² ({share:.1f} %){built}"

    def write(self, path: Path, publish: Publish = publish) -> None:
        """Write a CSV file with one region per line.

        Parameters
        ----------
        path
            The CSV file.
        publish
            Brings the finished file under its final name.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        try:
            with written(path, publish) as part, open(part, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(self._lines())
        except OSError as error:
            raise OutputError(f"{path}: the areas cannot be written ({error.strerror}); check the folder") from error

    def _lines(self) -> Sequence[Sequence[object]]:
        names = () if self._regions is None else self._regions.names
        columns: dict[str, Sequence[object]] = {
            "region": names,
            "known_km2": _km2(self.known_m2),
            "impervious_km2": _km2(self.impervious_m2),
            "impervious_share": [
                f"{part / known:.4f}" if known else ""
                for part, known in zip(self.impervious_m2[1:], self.known_m2[1:], strict=True)
            ],
        }
        columns |= {"building_km2": _km2(self.building_m2)} if self._buildings else {}
        columns |= {f"{name}_expected_km2": _km2(self.expected_m2[i]) for i, name in enumerate(self._named)}
        return [tuple(columns), *zip(*columns.values(), strict=True)]


def _km2(total: NDArray[np.float64]) -> list[str]:
    """Square kilometres of each region, without the first, which is all of them."""
    return [f"{area / _KM2:.6g}" for area in total[1:]]
