"""Write an image in memory as a GeoTIFF for the readers of images, and read the results back as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from terrafine.errors import BandError, UsageError
from terrafine.raster.grid import plausible_cell
from terrafine.raster.read.image_form import ImageForm, like_source, prepared, stored_as

__all__ = ["array_of", "classes_of", "flat", "stacked", "write_image"]

_LOCAL = "+proj=tmerc +lat_0=0 +lon_0=0 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
"""Of numpy images, which have no place: metres on the ground are metres on this grid, near its origin."""


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
    image = prepared(source, located)
    north_up = image.north_up.copy(data=stored_as(np.asarray(image.north_up.values), image.form.name))
    if image.nodata is not None:
        north_up = north_up.rio.write_nodata(image.nodata)
    north_up.rio.to_raster(path)
    _describe(path, image.names)
    return image.form


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
    return like_source(out, form)


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
    values = stored_as(source, "the array")
    grid = Affine(x, 0, -x * values.shape[2] / 2, 0, -y, y * values.shape[1] / 2)
    made = {"driver": "GTiff", "dtype": values.dtype, "count": len(values), "crs": _LOCAL, "transform": grid}
    more = {"nodata": np.nan} if values.dtype.kind == "f" else {}
    with rasterio.open(path, "w", height=values.shape[1], width=values.shape[2], **made, **more) as file:
        file.write(values)
    return ImageForm("the array")


def _describe(path: Path, names: Sequence[str]) -> None:
    if names:
        with rasterio.open(path, "r+") as file:
            file.descriptions = tuple(names)
