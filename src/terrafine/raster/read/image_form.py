"""Images in memory in the form of a GeoTIFF: their bands and names, north up; nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.errors import BandError, EmptyError, GridError, MissingExtraError, UsageError
from terrafine.raster.read import dataarray
from terrafine.raster.read.array_attributes import crs_of, writable, writable_name
from terrafine.raster.read.array_values import name_of
from terrafine.raster.read.dask_blocks import verified

__all__ = ["NAMES", "ImageForm", "Prepared", "like_source", "one_array", "prepared", "stored_as"]

NAMES = ("long_name", "band_names", "descriptions")
"""Attributes that may name the bands."""


@dataclass(frozen=True, slots=True)
class ImageForm:
    """What an array in memory has and a GeoTIFF does not.

    Attributes
    ----------
    name
        What messages call it.
    source
        The DataArray; None for numpy.
    form
        Names and directions of its axes; None for numpy.
    """

    name: str
    source: Any = None
    form: Any = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image as a GeoTIFF would store it, its numbers perhaps not computed.

    Attributes
    ----------
    north_up
        DataArray (band, y, x), north up, without attributes.
    names
        Names of the bands; empty where they have none.
    nodata
        Value of cells without data, or None.
    form
        What `array_of` needs.
    """

    north_up: Any
    names: Sequence[str]
    nodata: float | None
    form: ImageForm

    def finer(self, numbers: Any, grid: GeoBox, k: int, bands: Sequence[str] | None, nodata: float | None) -> Any:
        """Return the DataArray of a result that is not computed, with names, directions and attributes of the source.

        Parameters
        ----------
        numbers
            Dask array (band, y, x), or (y, x) without `bands`.
        grid
            Grid of the image.
        k
            Output cells along one side of an input cell.
        bands
            Names of the bands; None for a result of one.
        nodata
            Nodata value that the result states, or None.

        Returns
        -------
        DataArray
            What `array_of` and `classes_of` return of a file.
        """
        import xarray as xr
        from rioxarray.rioxarray import affine_to_coords

        transform = grid.affine * Affine.scale(1 / k)
        coords: dict[str, Any] = dict(affine_to_coords(transform, *numbers.shape[:-3:-1]))
        coords |= {} if bands is None else {"band": list(bands)}
        out = xr.DataArray(numbers, coords=coords, dims=("band", "y", "x")[-numbers.ndim :])
        crs = None if grid.crs is None else grid.crs.to_epsg() or grid.crs.to_wkt()
        out = out.rio.write_crs(crs).rio.write_transform(transform)
        out = like_source(out, self.form)
        return out if nodata is None else out.rio.write_nodata(nodata)


def prepared(source: Any, located: bool) -> Prepared:
    """Bring a DataArray or a Dataset of bands into the form of a GeoTIFF, without computing its numbers.

    Parameters
    ----------
    source
        As in `write_image`.
    located
        Whether a CRS is given elsewhere, so that it may lack one.

    Returns
    -------
    Prepared
        The north-up array and what it states.

    Raises
    ------
    MissingExtraError, UsageError, GridError, BandError, EmptyError
        As `write_image`.
    """
    try:
        import rioxarray  # noqa: F401
    except ImportError as e:
        raise MissingExtraError("DataArrays need the extra `xarray`; install terrafine[xarray]") from e
    array = one_array(source)
    name = name_of(array)
    y, x = dataarray.spatial_dims(array, name)
    writable(array, name)
    _require_numbers(array.dtype, name)
    flat, names = _banded(verified(array, name), name, y, x)
    if crs_of(flat, name) is None and not located:
        raise GridError(
            f'{name} has no CRS; state it with assume_crs=CRS, or write it: array.rio.write_crs("EPSG:xxxx")'
        )
    form = dataarray.form_of(flat, name, y, x)
    missing = _nodata_of(flat)
    missing = np.nan if flat.dtype.kind == "f" and missing is None else missing
    north_up = dataarray.turned(flat, form).rename(writable_name(flat)).copy(deep=False)
    north_up.attrs, north_up.encoding = {}, {}
    return Prepared(north_up, names, missing, ImageForm(name, array, form))


def stored_as(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return numbers as a GeoTIFF stores them; float64 and float16 as float32, 64-bit integers as int32.

    Parameters
    ----------
    values
        The numbers.
    name
        What messages call the array.

    Returns
    -------
    ndarray
        The numbers in a type that GeoTIFF has.

    Raises
    ------
    BandError
        If they are no numbers, or whole numbers that no sensor counts.
    """
    _require_numbers(values.dtype, name)
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if values.dtype.itemsize <= 4:
        return values
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < np.iinfo(np.int32).min or high > np.iinfo(np.int32).max:
        raise BandError(f"{name} holds whole numbers from {low} to {high}; expected reflectance or what sensors count")
    return values.astype(np.int32)


def _nodata_of(flat: Any) -> float | None:
    """The nodata value that an array states; None where no cell can have it, as in a file."""
    try:
        found = flat.rio.encoded_nodata if flat.rio.encoded_nodata is not None else flat.rio.nodata
    except (OverflowError, ValueError):  # -9999 or NaN in an array of unsigned integers
        return None
    limits = np.iinfo(np.int32)  # as 64-bit integers are stored
    wide = found is not None and flat.dtype.kind in "iu" and flat.dtype.itemsize > 4
    return None if wide and not limits.min <= found <= limits.max else found


def _require_numbers(dtype: np.dtype[Any], name: str) -> None:
    if dtype.kind not in "iuf":
        raise BandError(f"{name} holds values of type {dtype}; expected numbers, an image")


def like_source(out: Any, form: ImageForm) -> Any:
    """Return a result with the orientation, names and attributes of its source.

    Parameters
    ----------
    out
        The result, north up, with the axes y and x.
    form
        Form of the source, a DataArray.

    Returns
    -------
    DataArray
        The result.
    """
    out = dataarray.turned(out, form.form)
    kept = {k: v for k, v in form.source.attrs.items() if k not in dataarray.OF_STORAGE and k not in NAMES}
    mapping = out.encoding.get("grid_mapping")
    out.attrs = {k: v for k, v in kept.items() if not str(k).startswith("STATISTICS_")}
    out.encoding = {} if mapping is None else {"grid_mapping": mapping}
    return out.rename(form.source.name).rename({"y": form.form.y, "x": form.form.x})


def one_array(source: Any) -> Any:
    """Return a DataArray, or the variables of a Dataset as its bands.

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
        If a Dataset has no variable of two dimensions.
    """
    if not hasattr(source, "data_vars"):
        return source
    names = [n for n, v in source.data_vars.items() if v.ndim >= 2]
    if not names:
        raise UsageError("a Dataset without bands; expected variables such as red, green and blue as (y, x)")
    if len(names) == 1:
        return source[names[0]]
    array = source[names].to_array("band")
    crs = crs_of(source, "the Dataset")
    return array if crs is None else array.rio.write_crs(crs)


def _banded(array: Any, name: str, y: Any, x: Any) -> tuple[Any, Sequence[str]]:
    """The array as (band, y, x), and the names of its bands, empty where they have none."""
    others = [d for d in array.dims if d not in (y, x)]
    long = [d for d in others if array.sizes[d] != 1]
    if len(long) > 1:
        one = ", ".join(f"{d}=0" for d in long[:-1])
        raise UsageError(f"{name} has the dimensions {dict(array.sizes)}; expected (band, y, x): array.isel({one})")
    if not (array.sizes[y] and array.sizes[x]):
        raise EmptyError(f"{name} has no cells: its sizes are {dict(array.sizes)}")
    band = long[0] if long else (others[-1] if others else None)
    flat = array.squeeze([d for d in others if d != band], drop=True)
    flat = flat.expand_dims("band") if band is None else flat.rename({band: "band"}) if band != "band" else flat
    names = _names_of(flat, array)
    flat = flat.drop_vars("band", errors="ignore").rename({y: "y", x: "x"}).transpose("band", "y", "x")
    return flat.rio.set_spatial_dims("x", "y"), names


def _names_of(flat: Any, array: Any) -> Sequence[str]:
    """Names of the bands: text along the band coordinate, else an attribute with one for each."""
    if "band" in flat.coords:
        found = np.atleast_1d(flat["band"].values)
        if found.dtype.kind in "UO" and all(isinstance(v, str) for v in found.tolist()):
            return [str(v) for v in found.tolist()]
    for key in NAMES:
        given = array.attrs.get(key)
        given = (given,) if isinstance(given, str) else given
        if given is not None and len(given) == flat.sizes["band"]:
            return [str(v) for v in given]
    return ()
