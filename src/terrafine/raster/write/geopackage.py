"""Vectors beside a raster: a labelled grid as polygons, and layers as one GeoPackage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes

from terrafine.atomic import Publish, publish, temporary_folder, written
from terrafine.errors import MissingExtraError, OutputError

__all__ = ["Layer", "polygons", "require_geopackage", "write_geopackage"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a GeoPackage.

    Attributes
    ----------
    name
        Its name.
    kind
        Type of its geometries, as `LineString` or `MultiPolygon`.
    geometries
        Shapely geometries in the CRS of the file.
    fields
        Name of each field to its values, one for each geometry.
    """

    name: str
    kind: str
    geometries: Sequence[Any]
    fields: Mapping[str, NDArray[Any]]


def polygons(labels: NDArray[np.int32], transform: Affine) -> dict[int, Any]:
    """Return the ground of each label as a polygon along the edges of its cells.

    Parameters
    ----------
    labels
        Numbers (y, x); 0 is no label.
    transform
        Of the grid: column and row to coordinates.

    Returns
    -------
    dict
        Label to its MultiPolygon, by label.
    """
    parts: dict[int, list[Any]] = {}
    for geometry, number in shapes(labels, mask=labels > 0, connectivity=4, transform=transform):
        parts.setdefault(int(number), []).append(shapely.geometry.shape(geometry))
    return {number: shapely.MultiPolygon(found) for number, found in sorted(parts.items())}


def require_geopackage() -> None:
    """Check that GeoPackages can be written.

    Raises
    ------
    MissingExtraError
        If pyogrio is not installed.
    """
    _raw()


def write_geopackage(target: Path, layers: Sequence[Layer], crs: str, publish: Publish = publish) -> None:
    """Publish layers as one GeoPackage; an empty layer keeps its fields.

    Parameters
    ----------
    target
        The file.
    layers
        Its layers.
    crs
        CRS of all, as WKT.
    publish
        Brings the finished file under its final name.

    Raises
    ------
    MissingExtraError
        If pyogrio is not installed.
    OutputError
        If it cannot be written.
    """
    raw = _raw()
    try:
        with temporary_folder() as folder:  # SQLite keeps a journal beside its file, and GDAL wants its suffix
            made = folder / "layers.gpkg"
            for number, layer in enumerate(layers):
                raw.write(
                    str(made),
                    np.asarray(shapely.to_wkb(np.asarray(layer.geometries, object)), object),
                    list(layer.fields.values()),
                    list(layer.fields),
                    layer=layer.name,
                    driver="GPKG",
                    geometry_type=layer.kind,
                    crs=crs,
                    append=number > 0,
                )
            with written(target, publish) as part:
                part.write_bytes(made.read_bytes())
    except (OSError, RuntimeError) as error:
        raise OutputError(f"{target}: the vectors cannot be written ({error}); check the folder") from error


def _raw() -> Any:
    try:
        import pyogrio.raw  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise MissingExtraError(
            "a GeoPackage needs pyogrio, which is not installed; install the extra with: pip install 'terrafine[hydro]'"
        ) from error
    return pyogrio.raw
