"""What `terrafine info` shows of a raster, from headers alone."""

from __future__ import annotations

from typing import Any

from pyproj import CRS

from terrafine.raster.protocol import RasterSource
from terrafine.raster.read.file import RasterFile

__all__ = ["describe_source"]


def describe_source(source: RasterSource, first: RasterFile, crs: CRS | None) -> dict[str, Any]:
    """Return what a source states; JSON-safe, reads only headers.

    Parameters
    ----------
    source
        The open source.
    first
        Its first file, whose driver, bands, unit and tags are shown.
    crs
        Its horizontal CRS.

    Returns
    -------
    dict
        Name to text, number, list or dict.
    """
    middle = source.shape[0] // 2
    size = source.pixel_size_m(slice(middle, middle + 1))[:, 0]
    box = source.geobox.boundingbox
    return {
        "paths": list(source.paths),
        "driver": first.driver,
        "shape": list(source.shape),
        "bands": {n: {"index": f.index, "dtype": f.dtype} for n, f in first.facts.items()},
        "crs": None if crs is None else (f"EPSG:{c}" if (c := crs.to_epsg()) else crs.name),
        "bounds": [float(box.left), float(box.bottom), float(box.right), float(box.top)],
        "pixel": [float(source.geobox.affine.a), float(source.geobox.affine.e)],
        "pixel_size_m": {"y": float(size[0]), "x": float(size[1])},
        "nodata": source.nodata,
        "unit": first.unit,
        "vertical": None if source.vertical is None else str(source.vertical),
        "surface": source.surface,
        "area_or_point": source.area_or_point,
        "south_up": first.south_up,
        "tags": dict(sorted(first.tags.items())),
    }
