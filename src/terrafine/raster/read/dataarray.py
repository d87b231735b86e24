"""An xarray.DataArray of heights as a GeoTIFF and back, so that it means exactly what its GeoTIFF means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrafine.errors import MissingExtraError, UsageError

__all__ = ["through_files"]


def through_files(source: Any, folder: Path, work: Callable[[Path, Path], object], *, one_band: bool) -> Any:
    """`work(coarse, fine)` between the array as a GeoTIFF and its result as an array.

    source  heights (y, x) under any names, north-up or south-up, georeferenced through `rio` or `odc`; NaN is missing
    Returns (y, x) float32 where `one_band`, else (band, y, x), with the source's orientation, names and attributes.
    Raises MissingExtraError without rioxarray, UsageError for more than one band.
    """
    try:
        import rioxarray
    except ImportError as e:
        raise MissingExtraError("DataArrays need the extra `xarray`; install terrafine[xarray]") from e
    coarse, fine = folder / "coarse.tif", folder / "fine.tif"
    form = _write(source, coarse)
    work(coarse, fine)
    opened: Any = rioxarray.open_rasterio(fine, masked=True)
    with opened:
        out = opened.load()
    out = out.squeeze("band", drop=True) if one_band else out
    out = out.rename(source.name)
    out.attrs = dict(source.attrs)
    if form.nodata is not None:
        out = out.rio.write_nodata(form.nodata, encoded=True)
    return (out.isel(y=slice(None, None, -1)) if form.south_up else out).rename({"y": form.y, "x": form.x})


@dataclass(frozen=True, slots=True)
class _Form:
    """What of an array a GeoTIFF does not carry."""

    y: Any
    x: Any
    south_up: bool
    nodata: float | None


def _write(source: Any, path: Path) -> _Form:
    flat = source.squeeze(drop=True)
    if flat.ndim != 2:
        raise UsageError(f"a DataArray with dimensions {dict(source.sizes)}; expected one band of heights as (y, x)")
    y, x = _spatial_dims(flat)
    flat = flat.rename({y: "y", x: "x"}).transpose("y", "x").rio.set_spatial_dims("x", "y")
    south_up = flat.sizes["y"] > 1 and float(flat["y"][0]) < float(flat["y"][-1])
    north_up = flat.isel(y=slice(None, None, -1)) if south_up else flat
    nodata = flat.rio.encoded_nodata if flat.rio.encoded_nodata is not None else flat.rio.nodata
    as_float = north_up.astype("float32")
    as_float.rio.write_nodata(nodata, encoded=flat.rio.encoded_nodata is not None).rio.to_raster(path)
    return _Form(y, x, south_up, nodata)


def _spatial_dims(array: Any) -> tuple[Any, Any]:
    """Names of the dimensions along y and x: as `rio` knows them, else in the array's order."""
    from rioxarray.exceptions import MissingSpatialDimensionError

    try:
        return array.rio.y_dim, array.rio.x_dim
    except MissingSpatialDimensionError:
        first, second = array.dims
        backwards = str(first).lower() in ("lon", "long", "longitude", "easting")
        return (second, first) if backwards else (first, second)
