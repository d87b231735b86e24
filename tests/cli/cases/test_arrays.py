"""DataArrays: the result is plain metres on the grid of the input, and messages use Python's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
from tests.support.cases import FOOT, SURVEY_FOOT, ground
from tests.support.rasters import write_raster

import terrafine
from terrafine.errors import TerrafineError

FORBIDDEN = ("/tmp/", "coarse.tif", "--", "gdalwarp", "needs a destination")


def array(folder: Path, values: np.ndarray | None = None, *, masked: bool = True, **more: Any) -> xr.DataArray:
    """A DataArray of a file's heights, as rioxarray opens it."""
    values = ground().astype(np.float32) if values is None else values
    path = write_raster(folder / "a.tif", values, **more)
    return rioxarray.open_rasterio(path, masked=masked).squeeze(drop=True)


def sharpen(given: Any, **more: Any) -> xr.DataArray:
    return terrafine.sharpen_dem(given, model="nearest", scale=2, **more)


def stored(fine: xr.DataArray, folder: Path) -> tuple[float, float]:
    """The mean as GDAL and as xarray read it from a saved result."""
    fine.rio.to_raster(folder / "saved.tif")
    fine.rename("z").to_dataset().to_netcdf(folder / "saved.nc")
    with rasterio.open(folder / "saved.tif") as file:
        gdal = file.read(1, masked=True).mean() * file.scales[0] + file.offsets[0]
    with xr.open_dataset(folder / "saved.nc") as data:
        return float(gdal), float(data["z"].mean())


PACKED = [
    ("int16", 0.1, 1000.0, -32768),
    ("uint16", 0.01, 0.0, 65535),
    ("int32", 0.001, -100.0, -(2**31)),
    ("uint16", 0.05, 300.0, 0),
    ("float32", 2.0, 0.0, -9999),
    ("float32", 1.0, 250.0, -9999),
    ("uint8", 3.0, 200.0, 255),
]


@pytest.mark.parametrize(("dtype", "scale", "offset", "nodata"), PACKED)
@pytest.mark.parametrize("masked", [True, False])
def test_packing_does_not_reach_the_result(
    dtype: str, scale: float, offset: float, nodata: float, masked: bool, tmp_path: Path
) -> None:
    packed = np.round((ground() - offset) / scale).astype(dtype)
    truth = packed.astype(np.float64) * scale + offset
    given = array(tmp_path, packed, masked=masked, scale=scale, offset=offset, nodata=nodata)
    try:
        fine = sharpen(given)
    except TerrafineError as error:
        assert not masked, error  # stored numbers may be refused, never taken as heights
        return
    assert abs(float(fine.mean()) - truth.mean()) < 0.02
    assert not {"scale_factor", "add_offset"} & (set(fine.attrs) | set(fine.encoding))
    np.testing.assert_allclose(stored(fine, tmp_path), truth.mean(), atol=0.02)


UNITS = [("ft", FOOT), ("feet", FOOT), ("US survey foot", SURVEY_FOOT), ("m", 1.0), ("metres", 1.0), ("cm", 0.01)]


@pytest.mark.parametrize(("unit", "factor"), UNITS)
def test_units_of_the_array_are_converted_and_the_result_is_in_metres(unit: str, factor: float, tmp_path: Path) -> None:
    given = array(tmp_path, (ground() / factor).astype(np.float64))
    given.attrs["units"] = unit
    fine = sharpen(given)
    assert abs(float(fine.mean()) - ground().mean()) < 0.02
    assert fine.attrs.get("units") in ("m", "metre", "metres", "meter", "meters")


def test_a_unit_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    given = array(tmp_path)
    given.attrs["units"] = "fathom"
    with pytest.raises(TerrafineError, match="fathom") as error:
        sharpen(given)
    assert not any(w in str(error.value) for w in FORBIDDEN), error.value


def irregular(a: xr.DataArray) -> xr.DataArray:
    y = a.y.values.copy()
    y[20:] -= 17.0
    return a.assign_coords(y=y)


def uneven_x(a: xr.DataArray) -> xr.DataArray:
    return a.isel(x=[i for i in range(a.sizes["x"]) if i != 11])


def no_crs(a: xr.DataArray) -> xr.DataArray:
    return a.drop_vars("spatial_ref")


GIVEN: dict[str, Any] = {
    "dataset": lambda a: a.to_dataset(name="z"),
    "dataset-of-two": lambda a: a.to_dataset(name="z").assign(other=a + 1),
    "x-descending": lambda a: a.sortby("x", ascending=False),
    "y-ascending": lambda a: a.sortby("y"),
    "no-crs": no_crs,
    "list": lambda a: a.values.tolist(),
    "irregular-y": irregular,
    "uneven-x": uneven_x,
    "transposed": lambda a: a.transpose("x", "y"),
    "other-names": lambda a: a.rename(x="lon", y="lat"),
    "strange-names": lambda a: a.rename(x="i", y="j"),
    "three-bands": lambda a: xr.concat([a, a, a], "band"),
    "one-band": lambda a: a.expand_dims("band"),
    "time": lambda a: xr.concat([a, a + 1], "time"),
    "strings": lambda a: a.astype(str),
    "complex": lambda a: a.astype(complex),
    "empty": lambda a: a.isel(x=slice(0, 0)),
    "one-cell": lambda a: a.isel(x=slice(0, 1), y=slice(0, 1)),
    "all-nan": lambda a: a * np.nan,
    "none": lambda a: None,
    "int": lambda a: 7,
    "dask": lambda a: a.chunk({"x": 16, "y": 16}),
    "bool": lambda a: a > 500,
}
TAKEN = {"y-ascending", "one-band", "dask"}
REFUSED = {"irregular-y", "uneven-x", "three-bands", "time", "strings", "complex", "empty", "all-nan", "none", "int"}
REFUSED |= {"no-crs", "dataset-of-two", "list"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", GIVEN)
def test_what_python_is_given_is_taken_or_refused_in_its_words(name: str, tmp_path: Path) -> None:
    given = GIVEN[name](array(tmp_path))
    try:
        fine = sharpen(given)
    except TerrafineError as error:
        assert name not in TAKEN, error
        assert not any(w in str(error) for w in FORBIDDEN), error
        return
    assert name not in REFUSED
    truth = ground()[:1, :1] if name == "one-cell" else ground()
    assert abs(float(fine.mean()) - truth.mean()) < 0.05


def test_the_result_lies_where_the_array_lies_whatever_the_order_of_rows(tmp_path: Path) -> None:
    given = array(tmp_path)
    plain, flipped = sharpen(given), sharpen(given.sortby("y"))
    np.testing.assert_allclose(plain.sel(x=given.x[5] - 7, y=given.y[7] + 7, method="nearest"), given[7, 5], atol=0.01)
    np.testing.assert_allclose(
        flipped.sel(x=given.x[5] - 7, y=given.y[7] + 7, method="nearest"), given[7, 5], atol=0.01
    )


def test_numpy_heights_need_their_cell_size_and_say_so_in_python() -> None:
    with pytest.raises(TerrafineError) as error:
        terrafine.sharpen_dem(ground(), model="nearest", scale=2)
    assert "pixel_size_m" in str(error.value) and "--" not in str(error.value)
    fine = terrafine.sharpen_dem(ground(), model="nearest", scale=2, pixel_size_m=30.0)
    assert fine.shape == (96, 96)


@pytest.mark.parametrize(
    "more",
    [
        {"progress": True},
        {"memory": "4GB"},
        {"memory": 4e9},
        {"scale": "2"},
        {"scale": 2.0},
        {"tile": "16"},
        {"device": "gpu9"},
        {"threads": 0},
        {"nodata": "x"},
        {"bands": [1]},
        {"bands": {"elevation": 9}},
        {"t_srs": 32633},
        {"model": 5},
    ],
)
def test_options_of_a_wrong_type_are_taken_or_refused_and_no_bare_type_error(
    more: dict[str, Any], tmp_path: Path
) -> None:
    given = array(tmp_path)
    try:
        terrafine.sharpen_dem(given, **({"model": "nearest", "scale": 2} | more))
    except TerrafineError as error:
        assert not any(w in str(error) for w in FORBIDDEN), error


@pytest.mark.parametrize(
    "states", [{"name": "slope"}, {"name": "vv"}, {"long_name": "Slope angle"}, {"standard_name": "geoid_undulation"}]
)
def test_an_array_that_states_another_quantity_is_refused(states: dict[str, str], tmp_path: Path) -> None:
    heights = array(tmp_path)
    given = heights.rename(states["name"]) if "name" in states else heights.assign_attrs(states)
    with pytest.raises(TerrafineError, match="elevation") as caught:
        sharpen(given)
    assert not any(word in str(caught.value) for word in FORBIDDEN)
    assert sharpen(heights.rename("elevation").assign_attrs(long_name="height above sea level")).shape
