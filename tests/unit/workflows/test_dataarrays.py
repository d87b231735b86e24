"""DataArrays: values, units, packing, directions and names; what cannot be read is refused in Python's words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import terrafine
from terrafine.errors import BandError, GridError, TerrafineError, UsageError

pytest.importorskip("rioxarray")
xr = pytest.importorskip("xarray")

Y, X = np.mgrid[0:40, 0:36]
HEIGHTS = (500 + 40 * np.sin(Y / 6) * np.cos(X / 5)).astype(np.float32)


def array(
    values: Any = HEIGHTS, dims: tuple[str, str] = ("y", "x"), crs: str | None = "EPSG:32633", **more: Any
) -> Any:
    coords = {dims[0]: 5_200_000 - 30.0 * np.arange(len(values)), dims[1]: 500_000 + 30.0 * np.arange(values.shape[1])}
    made = xr.DataArray(values, coords=coords, dims=dims, **more)
    made = made.rio.set_spatial_dims(dims[1], dims[0])
    return made if crs is None else made.rio.write_crs(crs)


def finer(source: Any, **options: Any) -> Any:
    return terrafine.sharpen_dem(source, model="bicubic", scale=2, threads=1, **options)


@pytest.fixture(scope="module")
def plain() -> Any:
    return finer(array())


def means(fine: Any) -> Any:
    return fine.values.reshape(40, 2, 36, 2).mean(axis=(1, 3))


@pytest.mark.parametrize(("scale", "offset"), [(0.1, 1000.0), (2.0, 0.0), (1.0, -300.0)])
@pytest.mark.parametrize("where", ["attrs", "encoding"])
def test_packing_is_applied_once_and_is_not_on_the_result(scale: float, offset: float, where: str) -> None:
    packed = np.round((HEIGHTS - offset) / scale)
    given = array(packed if where == "attrs" else (packed * scale + offset).astype(np.float32))
    getattr(given, where).update(scale_factor=scale, add_offset=offset)
    fine = finer(given)
    np.testing.assert_allclose(means(fine), packed * scale + offset, atol=0.01)
    assert not {"scale_factor", "add_offset", "_FillValue"} & {*fine.attrs, *fine.encoding}
    assert fine.attrs["units"] == "m"


def test_a_saved_result_reads_as_it_is(tmp_path: Path) -> None:
    given = array(np.round((HEIGHTS - 1000) * 10).astype(np.int16), attrs={"scale_factor": 0.1, "add_offset": 1000.0})
    given.attrs["_FillValue"] = -32768
    given.values[3:5, 4:9] = -32768
    fine = finer(given)
    fine.rio.to_raster(tmp_path / "saved.tif")
    again = terrafine.sharpen_dem(tmp_path / "saved.tif", tmp_path / "o.tif", model="bicubic", scale=2)
    import rasterio

    with rasterio.open(tmp_path / "saved.tif") as saved, rasterio.open(again) as file:
        assert (saved.scales, saved.offsets) == ((1.0,), (0.0,))
        np.testing.assert_allclose(np.nanmean(saved.read(1)), np.nanmean(fine.values), atol=0.01)
        assert file.count == 1
    assert np.isnan(fine.values[6:10, 8:18]).all()
    assert np.isfinite(fine.values).sum() == 4 * (40 * 36 - 10)


@pytest.mark.parametrize(
    ("units", "metres"),
    [("ft", 0.3048), ("us-ft", 1200 / 3937), ("Feet", 0.3048), ("m", 1.0), ("metres", 1.0), ("cm", 0.01), ("", 1.0)],
)
def test_the_attribute_units_is_honoured(units: str, metres: float, plain: Any) -> None:
    fine = finer(array(HEIGHTS / np.float32(metres), attrs={"units": units}))
    np.testing.assert_allclose(fine.values, plain.values, atol=0.02)
    assert fine.attrs["units"] == "m"


def test_an_argument_overrides_the_attribute_units(plain: Any) -> None:
    given = array(HEIGHTS / np.float32(0.3048), attrs={"units": "fathom"})
    with pytest.raises(GridError, match=r"the DataArray: heights are in 'fathom'.*elevation_unit="):
        finer(given)
    np.testing.assert_allclose(finer(given, elevation_unit="ft").values, plain.values, atol=0.02)


def test_a_dataset_of_one_variable_is_its_variable(plain: Any) -> None:
    given = array().drop_vars("spatial_ref").to_dataset(name="z")
    given = given.assign(crs=array()["spatial_ref"])
    given["z"].attrs["grid_mapping"] = "crs"
    fine = finer(given)
    np.testing.assert_array_equal(fine.values, plain.values)
    assert fine.name == "z"
    np.testing.assert_array_equal(finer(array().to_dataset(name="z")).values, plain.values)


@pytest.mark.parametrize("other", [{"b": array() + 1}, {"b": array() + 1, "c": array() + 2}])
def test_a_dataset_of_several_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"a Dataset with the variables 'a', 'b'.*dataset\[NAME\]"):
        finer(xr.Dataset({"a": array(), **other}))
    with pytest.raises(UsageError, match="variables none"):
        finer(xr.Dataset())


@pytest.mark.parametrize("directions", [("y",), ("x",), ("y", "x")])
def test_directions_are_those_of_the_source(directions: tuple[str, ...], plain: Any) -> None:
    turn = {d: slice(None, None, -1) for d in directions}
    fine = finer(array().isel(turn))
    for axis in ("y", "x"):
        steps = np.sign(np.diff(fine[axis].values))
        assert (steps == steps[0]).all()
        assert (steps[0] < 0) == ((axis == "x") == (axis in directions))
    np.testing.assert_allclose(fine.isel(turn).values, plain.values, atol=1e-3)


@pytest.mark.parametrize(
    "dims", [("lat", "lon"), ("latitude", "longitude"), ("northing", "easting"), ("row", "col"), ("Y", "X")]
)
def test_dimensions_have_any_names(dims: tuple[str, str], plain: Any) -> None:
    fine = finer(array(dims=dims))
    assert fine.dims == dims
    np.testing.assert_array_equal(fine.values, plain.values)


def test_an_array_that_lies_across_is_put_right(plain: Any) -> None:
    np.testing.assert_array_equal(finer(array(dims=("lat", "lon")).transpose("lon", "lat")).values, plain.values)


@pytest.mark.parametrize("dim", ["time", "band", "z"])
def test_a_dimension_of_size_one_is_dropped_and_of_three_refused(dim: str, plain: Any) -> None:
    np.testing.assert_array_equal(finer(array().expand_dims({dim: [1]})).values, plain.values)
    with pytest.raises(UsageError, match=rf"expected one band of heights.*array\.isel\({dim}=0\)"):
        finer(array().expand_dims({dim: [1, 2, 3]}))


def test_dask_backed_and_integer_arrays_are_read(plain: Any) -> None:
    pytest.importorskip("dask.array")
    np.testing.assert_array_equal(finer(array().chunk({"y": 16})).values, plain.values)
    whole = finer(array(np.round(HEIGHTS).astype(np.int32)))
    np.testing.assert_allclose(means(whole), np.round(HEIGHTS), atol=0.01)


@pytest.mark.parametrize("where", ["attrs", "encoding"])
@pytest.mark.parametrize("fill", [-32768, -9999, 0, 255])
def test_the_nodata_value_of_integers_is_missing_and_no_height_becomes_it(fill: int, where: str) -> None:
    values = np.round(HEIGHTS).astype(np.int16)
    values[5:9, 6:10] = fill
    given = array(values)
    getattr(given, where)["_FillValue"] = fill
    fine = finer(given)
    assert np.isnan(fine.values[10:18, 12:20]).all()
    assert np.isfinite(fine.values).sum() == 4 * (40 * 36 - 16)
    kept = fine.encoding.get("_FillValue")
    assert kept is None or abs(kept) > 9000


def test_a_stated_nodata_value_is_missing() -> None:
    values = HEIGHTS.copy()
    values[0:4, 0:4] = 7
    fine = finer(array(values), nodata=7)
    assert np.isnan(fine.values[:8, :8]).all()
    assert np.isfinite(fine.values).sum() == 4 * (40 * 36 - 16)


def test_single_precision_coordinates_are_even() -> None:
    lat, lon = (47 - np.arange(40) / 3600).astype(np.float32), (120.5 + np.arange(36) / 3600).astype(np.float32)
    given = xr.DataArray(HEIGHTS, coords={"lat": lat, "lon": lon}, dims=("lat", "lon")).rio.write_crs("EPSG:4326")
    assert finer(given).shape == (80, 72)


def uneven(axis: str, change: Callable[[Any], Any]) -> Any:
    return array().assign_coords({axis: change(array()[axis].values.copy())})


def moved(coordinates: Any) -> Any:
    coordinates[7] += 4.0
    return coordinates


@pytest.mark.parametrize("axis", ["y", "x"])
@pytest.mark.parametrize(
    "change",
    [
        moved,
        lambda c: c + ((c - c[0]) / 300) ** 2,
        lambda c: np.full_like(c, c[0]),
        lambda c: np.where(c == c[3], np.nan, c),
    ],
)
def test_uneven_coordinates_are_refused(axis: str, change: Callable[[Any], Any]) -> None:
    with pytest.raises(GridError, match=f"coordinates along {axis} that are not evenly spaced"):
        finer(uneven(axis, change))


BAD: list[tuple[str, Any, dict[str, Any], type[TerrafineError], str]] = [
    ("no CRS", array(crs=None), {}, GridError, r"has no CRS; state it with assume_crs=.*rio\.write_crs"),
    (
        "no coordinates",
        array().drop_vars(["y", "x", "spatial_ref"]),
        {"assume_crs": "EPSG:32633"},
        GridError,
        "no coord",
    ),
    ("text", array(HEIGHTS.astype(str)), {}, BandError, "holds values of type"),
    ("complex", array(HEIGHTS.astype(complex)), {}, BandError, "holds values of type"),
    ("one dimension", array()[0], {}, UsageError, r"expected heights as \(y, x\)"),
    ("two bands", array().expand_dims({"band": [1, 2]}), {}, UsageError, "band=0"),
    ("bands", array(), {"bands": {"elevation": 1}}, UsageError, "bands is for a DEM in a file"),
    ("out of range", array(HEIGHTS * 1000), {}, BandError, "values from"),
    ("nothing but NaN", array(HEIGHTS * np.nan), {}, TerrafineError, "no valid cell"),
    ("infinite", array(np.where(HEIGHTS > 530, np.inf, HEIGHTS)), {}, BandError, "infinite"),
    ("in degrees far off", array(crs="EPSG:4326"), {}, GridError, "expected"),
]


@pytest.mark.parametrize(("given", "options", "error", "words"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_what_cannot_be_read_is_refused_in_the_words_of_python(
    given: Any, options: dict[str, Any], error: type[TerrafineError], words: str
) -> None:
    with pytest.raises(error, match=words) as found:
        finer(given.rename("z"), **options)
    text = str(found.value)
    assert not [w for w in ("/tmp", "coarse.tif", "fine.tif", "--", "needs a destination") if w in text], text


def test_a_crs_or_a_cell_size_may_be_stated(plain: Any) -> None:
    np.testing.assert_array_equal(finer(array(crs=None), assume_crs="EPSG:32633").values, plain.values)
    assert finer(array(crs=None), pixel_size_m=30.0).shape == (80, 72)


@pytest.mark.parametrize("source", [HEIGHTS.tolist(), (1, 2), [], {"z": HEIGHTS}, 3.0, None, iter(["a.tif"])])
def test_what_is_no_dem_is_refused(source: Any) -> None:
    with pytest.raises(UsageError, match=r"a DEM cannot be a \w+; expected a path, a DataArray or a numpy array"):
        finer(source)


def test_the_result_names_no_temporary_file() -> None:
    fine = finer(array())
    assert "source" not in fine.encoding
    assert not any("terrafine-" in str(v) for v in {**fine.attrs, **fine.encoding}.values())


def test_masked_arrays_are_nan_where_masked() -> None:
    values = np.ma.MaskedArray(np.round(HEIGHTS).astype(np.int16), HEIGHTS > 535)
    out = terrafine.sharpen_dem(values, model="bicubic", scale=2, pixel_size_m=30.0)
    np.testing.assert_array_equal(np.isnan(out[::2, ::2]), HEIGHTS > 535)
