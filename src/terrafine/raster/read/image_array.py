"""Write an image in memory as a GeoTIFF for the readers of images, and read the results back as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from terrafine.errors import BandError, EmptyError, GridError, MissingExtraError, UsageError
from terrafine.raster.grid import plausible_cell
from terrafine.raster.read import dataarray
from terrafine.raster.read.array_attributes import crs_of, writable, writable_name
from terrafine.raster.read.array_values import name_of

__all__ = ["ImageForm", "array_of", "classes_of", "flat", "stacked", "write_image"]

_LOCAL = "+proj=tmerc +lat_0=0 +lon_0=0 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
"""Of numpy images, which have no place: metres on the ground are metres on this grid, near its origin."""
_NAMES = ("long_name", "band_names", "descriptions")  # attributes that may name the bands


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


def write_image(
    source: Any,
    path: Path,
    *,
    bands: Mapping[str, int] | None = None,
    pixel_size_m: Any = None,
    located: bool = False,
) -> ImageForm:
    """Write an image as a north-up GeoTIFF with the names of its bands.

    Parameters
    ----------
    source
        A DataArray (band, y, x) or a Dataset of bands (y, x), georeferenced through `rio` or `odc`, whose bands are
        named by the coordinate `band`, the attribute `long_name` or the variables; or a numpy array (band, y, x).
    path
        The file to write.
    bands
        Number of each band, from 1; needed for numpy.
    pixel_size_m
        Metres along a cell of numpy images: one number, or (y, x).
    located
        Whether a CRS is given elsewhere, so that a DataArray may lack one.

    Returns
    -------
    ImageForm
        What `array_of` needs to give results the form of the source.

    Raises
    ------
    MissingExtraError
        If rioxarray is not installed and a DataArray is given.
    UsageError, GridError, BandError, EmptyError
        If the array cannot be read as an image on a regular grid.
    """
    if isinstance(source, np.ndarray):
        return _write_numpy(source, path, bands, pixel_size_m)
    if pixel_size_m is not None:
        raise UsageError("pixel_size_m is for numpy images; the cells of a DataArray follow from its coordinates")
    try:
        import rioxarray  # noqa: F401
    except ImportError as e:
        raise MissingExtraError("DataArrays need the extra `xarray`; install terrafine[xarray]") from e
    array = _one_array(source)
    name = name_of(array)
    y, x = dataarray.spatial_dims(array, name)
    writable(array, name)
    flat, names = _banded(array, name, y, x)
    if crs_of(flat, name) is None and not located:
        raise GridError(
            f'{name} has no CRS; state it with assume_crs=CRS, or write it: array.rio.write_crs("EPSG:xxxx")'
        )
    form = dataarray.form_of(flat, name, y, x)
    values = _numbers(np.asarray(flat.values), name)
    north_up = dataarray.turned(flat.copy(data=values), form).rename(writable_name(flat))
    missing = flat.rio.encoded_nodata if flat.rio.encoded_nodata is not None else flat.rio.nodata
    missing = np.nan if values.dtype.kind == "f" and missing is None else missing
    north_up.attrs, north_up.encoding = {}, {}
    if missing is not None:
        north_up = north_up.rio.write_nodata(missing)
    north_up.rio.to_raster(path)
    _describe(path, names)
    return ImageForm(name, array, form)


def array_of(path: Path, form: ImageForm) -> Any:
    """Read a result as an array like the source: DataArray (band, y, x) with names, or numpy.

    Parameters
    ----------
    path
        The file that was written.
    form
        What `write_image` returned.

    Returns
    -------
    DataArray or ndarray
        float32, NaN where nodata.
    """
    with rasterio.open(path) as file:
        names = [d or str(i) for i, d in enumerate(file.descriptions, start=1)]
        if form.source is None:
            return _scaled(file)
    import rioxarray

    opened: Any = rioxarray.open_rasterio(path, masked=True, mask_and_scale=True)
    with opened:
        out = opened.load().astype(np.float32)
    out = out.assign_coords(band=names)
    out = dataarray.turned(out, form.form)
    kept = {k: v for k, v in form.source.attrs.items() if k not in dataarray.OF_STORAGE and k not in _NAMES}
    mapping = out.encoding.get("grid_mapping")
    out.attrs = {k: v for k, v in kept.items() if not str(k).startswith("STATISTICS_")}
    out.encoding = {} if mapping is None else {"grid_mapping": mapping}
    return out.rename(form.source.name).rename({"y": form.form.y, "x": form.form.x})


def classes_of(path: Path, form: ImageForm) -> Any:
    """Read a class map as an array like the source.

    Parameters
    ----------
    path
        The file that was written.
    form
        What `write_image` returned.

    Returns
    -------
    DataArray or ndarray
        (y, x) in the type of the file, with its nodata value.
    """
    with rasterio.open(path) as file:
        numbers, nodata = file.read(1), file.nodata
    if form.source is None:
        return numbers
    like = flat(array_of(path, form))
    turned = numbers[:: -1 if form.form.south_up else 1, :: -1 if form.form.westward else 1]
    out = like.copy(data=turned)
    return out.rio.write_nodata(nodata)


def flat(array: Any) -> Any:
    """Return an array of one band without its band axis.

    Parameters
    ----------
    array
        DataArray or numpy array (band, y, x).

    Returns
    -------
    DataArray or ndarray
        (y, x).
    """
    return array[0] if isinstance(array, np.ndarray) else array.squeeze("band", drop=True)


def stacked(first: Any, second: Any) -> Any:
    """Return the bands of two DataArrays of one grid as one.

    Parameters
    ----------
    first, second
        DataArrays (band, y, x).

    Returns
    -------
    DataArray
        Bands of the first, then of the second.
    """
    import xarray as xr

    out = xr.concat([first, second], dim="band", combine_attrs="override")
    return out.rio.write_crs(first.rio.crs)


def _scaled(file: Any) -> NDArray[np.float32]:
    """All bands in their unit, NaN where nodata."""
    values = file.read(masked=True)
    scale, offset = (np.array(v, np.float32)[:, None, None] for v in (file.scales, file.offsets))
    return np.asarray((values.astype(np.float32) * scale + offset).filled(np.nan), np.float32)


def _write_numpy(source: NDArray[Any], path: Path, bands: Mapping[str, int] | None, pixel_size_m: Any) -> ImageForm:
    if isinstance(source, np.ma.MaskedArray):
        source = np.where(np.ma.getmaskarray(source), np.nan, source.astype(np.float32).data)
    if source.ndim != 3 or 0 in source.shape:
        raise UsageError(f"an array of shape {source.shape}; expected an image as (band, y, x)")
    if not bands:
        raise UsageError('a numpy image needs the numbers of its bands: bands={"red": 1, "green": 2, "blue": 3}')
    if outside := [f"{n}={i}" for n, i in bands.items() if i > len(source)]:
        raise BandError(f"the array has {len(source)} bands, and {', '.join(outside)} is stated; expected 1 or more")
    if pixel_size_m is None:
        raise UsageError("a numpy image needs pixel_size_m, the size of a cell in metres: one number, or (y, x)")
    sizes = np.asarray(pixel_size_m, np.float64)
    if sizes.shape not in ((), (2,)) or not all(map(plausible_cell, sizes.ravel().tolist())):
        raise UsageError(f"pixel_size_m {pixel_size_m!r}; expected metres above 0: one number, or (y, x)")
    y, x = (float(n) for n in np.broadcast_to(sizes, 2))
    values = _numbers(source, "the array")
    grid = Affine(x, 0, -x * values.shape[2] / 2, 0, -y, y * values.shape[1] / 2)
    made = {"driver": "GTiff", "dtype": values.dtype, "count": len(values), "crs": _LOCAL, "transform": grid}
    more = {"nodata": np.nan} if values.dtype.kind == "f" else {}
    with rasterio.open(path, "w", height=values.shape[1], width=values.shape[2], **made, **more) as file:
        file.write(values)
    return ImageForm("the array")


def _numbers(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Numbers as a GeoTIFF stores them; float64 and float16 as float32."""
    if values.dtype.kind not in "iuf":
        raise BandError(f"{name} holds values of type {values.dtype}; expected numbers, an image")
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if values.dtype.itemsize <= 4:
        return values
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < np.iinfo(np.int32).min or high > np.iinfo(np.int32).max:
        raise BandError(f"{name} holds whole numbers from {low} to {high}; expected reflectance or what sensors count")
    return values.astype(np.int32)


def _one_array(source: Any) -> Any:
    """The DataArray, or the variables of a Dataset as its bands."""
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
    for key in _NAMES:
        given = array.attrs.get(key)
        given = (given,) if isinstance(given, str) else given
        if given is not None and len(given) == flat.sizes["band"]:
            return [str(v) for v in given]
    return ()


def _describe(path: Path, names: Sequence[str]) -> None:
    if names:
        with rasterio.open(path, "r+") as file:
            file.descriptions = tuple(names)
