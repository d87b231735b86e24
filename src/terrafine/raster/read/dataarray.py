"""Write an xarray.DataArray of heights as a GeoTIFF and read the result back, so that both mean the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from terrafine.errors import EmptyError, GridError, MissingExtraError, TerrafineError, UsageError
from terrafine.raster.read import array_values
from terrafine.raster.read.array_attributes import crs_of, writable, writable_name
from terrafine.raster.read.array_values import heights_of, is_unit, kept_nodata, name_of, stored_of, unit_of
from terrafine.raster.read.dask_blocks import verified
from terrafine.raster.vertical import TAG as DATUM

__all__ = [
    "OF_STORAGE",
    "ArrayForm",
    "as_the_source",
    "flattened",
    "form_of",
    "one_variable",
    "spatial_dims",
    "through_files",
    "turned",
]

_Y = ("y", "lat", "latitude", "northing", "projection_y_coordinate", "yc")
_X = ("x", "lon", "long", "longitude", "easting", "projection_x_coordinate", "xc")
OF_STORAGE = {
    *("scale_factor", "add_offset", "_FillValue", "missing_value", "units", "dtype", "grid_mapping", "_Unsigned"),
    *("valid_min", "valid_max", "valid_range", "actual_range"),
}
_UNEVEN = 0.01  # tolerance of coordinates, in cells


def through_files(
    source: Any,
    folder: Path,
    work: Callable[[Path, Path, str], object],
    *,
    one_band: bool,
    elevation_unit: str | None = None,
    nodata: float | None = None,
    located: bool = False,
) -> Any:
    """Write an array as a GeoTIFF, run `work(coarse, fine, unit)` on it, and return its result as an array.

    Parameters
    ----------
    source
        A DataArray of heights (y, x), or a Dataset with one, georeferenced through `rio` or `odc`. Its dimensions may
        have any names and directions; other dimensions must have size 1. NaN and its nodata value are nodata; a scale
        and an offset in its attributes that are not yet applied are applied.
    folder
        Folder for the two files.
    work
        Makes the fine file from the coarse one, whose heights have the given unit.
    one_band
        Return (y, x) instead of (band, y, x).
    elevation_unit
        Unit of the heights; by default the attribute `units`, else that of the CRS or metres.
    nodata
        A further nodata value.
    located
        Whether a CRS or a cell size is given elsewhere, so that the array may lack a CRS.

    Returns
    -------
    DataArray
        float32 metres with the orientation, names and attributes of the source, except those that describe how it was
        stored; `units` is "m".

    Raises
    ------
    MissingExtraError
        If rioxarray is not installed.
    UsageError, GridError, BandError, EmptyError
        If the array cannot be read as heights on a regular grid.
    """
    try:
        import rioxarray
    except ImportError as e:
        raise MissingExtraError("DataArrays need the extra `xarray`; install terrafine[xarray]") from e
    coarse, fine = folder / "coarse.tif", folder / "fine.tif"
    array = one_variable(source)
    name = name_of(array)
    form = _write(array, name, coarse, nodata, located)
    try:
        work(coarse, fine, unit_of(array, name, elevation_unit))
    except TerrafineError as error:  # the user knows the array, not the temporary files
        text = str(error).replace(str(coarse), name).replace(coarse.name, name)
        error.args = (text.replace(str(fine), "the temporary result").replace("the file", "it"),)
        raise
    opened: Any = rioxarray.open_rasterio(fine, masked=True)
    with opened:
        out = opened.load()
    out = out.squeeze("band", drop=True) if one_band else out
    with rasterio.open(fine) as file:
        datum = file.tags(ns="TERRAFINE").get(DATUM)
    return as_the_source(out, array, form, datum)


@dataclass(frozen=True, slots=True)
class ArrayForm:
    """Properties of an array that a GeoTIFF does not store.

    Attributes
    ----------
    y, x
        Names of the axes.
    south_up, westward
        Whether coordinates rise along y, and fall along x.
    nodata
        Nodata value that the result keeps, or None.
    """

    y: Any
    x: Any
    south_up: bool
    westward: bool
    nodata: float | None


def one_variable(source: Any) -> Any:
    """Return the array, or the only variable of a Dataset that has dimensions.

    Parameters
    ----------
    source
        A DataArray or a Dataset.

    Returns
    -------
    DataArray
        The array.

    Raises
    ------
    UsageError
        If a Dataset has another number of variables.
    """
    if not hasattr(source, "data_vars"):
        return source
    names = [name for name, variable in source.data_vars.items() if variable.ndim]
    if len(names) != 1:
        listed = ", ".join(map(repr, names)) or "none"
        raise UsageError(f"a Dataset with the variables {listed}; expected one, or a DataArray: dataset[NAME]")
    array = source[names[0]]
    mapping = array.encoding.get("grid_mapping", array.attrs.get("grid_mapping"))
    if mapping in source.data_vars:
        array = array.assign_coords({mapping: source[mapping]})
    return array


def _write(array: Any, name: str, path: Path, nodata: float | None, located: bool) -> ArrayForm:
    """Write the heights as a north-up GeoTIFF of float32, NaN where missing."""
    flat, form = flattened(array, name, located)
    values = heights_of(np.asarray(flat.values), stored_of(flat), name, nodata)
    north_up = turned(flat.copy(data=values), form).rename(writable_name(flat))
    north_up.attrs = {k: v for k, v in flat.attrs.items() if k == DATUM}
    north_up.encoding = {}
    north_up.rio.write_nodata(np.nan).rio.to_raster(path)
    return form


def flattened(array: Any, name: str, located: bool) -> tuple[Any, ArrayForm]:
    """Return an array of heights as (y, x), in its own directions, and its form.

    Parameters
    ----------
    array
        The DataArray.
    name
        What messages call it.
    located
        Whether a CRS or a cell size is given elsewhere.

    Returns
    -------
    flat : DataArray
        With the axes y and x.
    form : ArrayForm
        Names and directions of its axes.

    Raises
    ------
    UsageError, EmptyError, GridError, BandError
        If it is no single band of elevations on a regular grid with a CRS.
    """
    array_values.require_elevation(array, name)
    writable(array, name)
    y, x = spatial_dims(array, name)
    others = {d: n for d, n in array.sizes.items() if d not in (y, x)}
    if any(n != 1 for n in others.values()):
        raise UsageError(
            f"{name} has the dimensions {dict(array.sizes)}; expected one band of heights as (y, x). Select one: "
            f"array.isel({', '.join(f'{d}=0' for d, n in others.items() if n != 1)})"
        )
    if not (array.sizes[y] and array.sizes[x]):
        raise EmptyError(f"{name} has no cells: its sizes are {dict(array.sizes)}")
    flat = verified(array, name).squeeze(list(others), drop=True).rename({y: "y", x: "x"}).transpose("y", "x")
    flat = flat.rio.set_spatial_dims("x", "y")
    if crs_of(flat, name) is None and not located:
        raise GridError(
            f'{name} has no CRS; state it with assume_crs=CRS, or write it: array.rio.write_crs("EPSG:xxxx"), or give '
            "the size of a cell in metres with pixel_size_m=METRES"
        )
    return flat, form_of(flat, name, y, x)


def form_of(flat: Any, name: str, y: Any, x: Any) -> ArrayForm:
    """Return the names and directions of the axes of an array; uneven coordinates are refused.

    Parameters
    ----------
    flat
        The array, with axes renamed y and x.
    name
        What messages call it.
    y, x
        Names of the axes in the source.

    Returns
    -------
    ArrayForm
        The form.

    Raises
    ------
    GridError
        If coordinates are missing or not evenly spaced.
    """
    return ArrayForm(y, x, _runs(flat, "y", name) > 0, _runs(flat, "x", name) < 0, kept_nodata(flat))


def spatial_dims(array: Any, name: str) -> tuple[Any, Any]:
    """Return the dimensions along y and x: by their names, as `rio` identifies them, else the last two.

    Parameters
    ----------
    array
        A DataArray.
    name
        What messages call it.

    Returns
    -------
    tuple
        The two names.

    Raises
    ------
    UsageError
        If it has fewer than two.
    """
    from rioxarray.exceptions import MissingSpatialDimensionError

    if array.ndim < 2:
        raise UsageError(f"{name} has the dimensions {dict(array.sizes)}; expected heights as (y, x)")
    lower = {str(d).lower(): d for d in array.dims}
    y, x = (next((lower[n] for n in names if n in lower), None) for names in (_Y, _X))
    if y is not None and x is not None:
        return y, x
    try:
        return array.rio.y_dim, array.rio.x_dim
    except MissingSpatialDimensionError:
        return array.dims[-2], array.dims[-1]


def _runs(flat: Any, axis: str, name: str) -> float:
    """Return the step of the coordinates along an axis, 0 if a geotransform replaces them; refuse uneven ones."""
    size = flat.sizes[axis]
    if axis not in flat.coords:
        if flat.rio._cached_transform() is None:
            raise GridError(
                f"{name} has no coordinates along {axis}; expected evenly spaced ones, the centres of its cells"
            )
        return 0.0
    raw = flat[axis].values
    if raw.dtype.kind not in "iuf":
        raise GridError(f"{name} has coordinates of type {raw.dtype} along {axis}; expected numbers")
    if size == 1:
        if flat.rio._cached_transform() is None:
            raise GridError(f"{name} has one cell along {axis}, so its size is not known; expected at least two")
        return 0.0
    coordinates = raw.astype(np.float64)
    step = float(coordinates[-1] - coordinates[0]) / (size - 1)
    off = np.abs(coordinates - (coordinates[0] + step * np.arange(size)))
    rounding = 4 * float(np.spacing(np.abs(raw).max())) if raw.dtype.kind == "f" else 0.0
    if step == 0 or not (off <= _UNEVEN * abs(step) + rounding).all():
        raise GridError(
            f"{name} has coordinates along {axis} that are not evenly spaced; expected steps of {step:g}. Resample it "
            f"to a regular grid first: array.interp({axis}=...)"
        )
    return float(step)


def turned(array: Any, form: ArrayForm) -> Any:
    """Flip the axes between the source's directions and north-up.

    Parameters
    ----------
    array
        An array with the axes y and x.
    form
        Directions of the source.

    Returns
    -------
    DataArray
        The array, flipped where the source is.
    """
    array = array.isel(y=slice(None, None, -1)) if form.south_up else array
    return array.isel(x=slice(None, None, -1)) if form.westward else array


def as_the_source(out: Any, array: Any, form: ArrayForm, datum: str | None) -> Any:
    """Return a result with the orientation, names and attributes of its source.

    Parameters
    ----------
    out
        The result, north up, with the axes y and x.
    array, form
        The source and its form.
    datum
        Vertical datum of the result, or None.

    Returns
    -------
    DataArray
        The result.
    """
    out = turned(out, form).rename(array.name)
    left = {k for k in array.attrs if k in OF_STORAGE or is_unit(k) or k.startswith("STATISTICS_")}
    kept = {k: v for k, v in array.attrs.items() if k not in left}
    out.attrs = kept | {"units": "m"} | ({DATUM: datum} if datum else {})
    mapping = out.encoding.get("grid_mapping")
    out.encoding = {} if mapping is None else {"grid_mapping": mapping}
    if form.nodata is not None:
        out = out.rio.write_nodata(form.nodata, encoded=True)
    return out.rename({"y": form.y, "x": form.x})
