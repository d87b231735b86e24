"""DataArrays with the attributes of a stranger's file: read, or refused by our error; nothing is fetched or opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.support.asked_host import Host

import terrafine
from terrafine.errors import BandError, GridError, TerrafineError

xr = pytest.importorskip("xarray")
pytest.importorskip("rioxarray")

UTM = "EPSG:32633"
BANDS = ("red", "green", "blue")


@pytest.fixture
def host() -> Iterator[Host]:
    asked = Host()
    yield asked
    asked.close()


def coordinates(mapping: dict[str, Any]) -> dict[str, Any]:
    grid = {"x": 5e5 + 10.0 * np.arange(24), "y": 5e6 - 10.0 * np.arange(24)}
    return grid | {"spatial_ref": ((), 0, {"crs_wkt": UTM} | mapping)}


def heights(mapping: dict[str, Any], attrs: dict[str, Any] | None = None, name: Any = "elevation") -> Any:
    values = np.random.default_rng(0).normal(400, 5, (24, 24)).astype(np.float32)
    return xr.DataArray(values, coordinates(mapping), ("y", "x"), name, {"units": "m", **(attrs or {})})


def image(mapping: dict[str, Any], attrs: dict[str, Any] | None = None, name: Any = None) -> Any:
    values = np.full((3, 24, 24), 0.1, np.float32)
    return xr.DataArray(values, coordinates(mapping) | {"band": list(BANDS)}, ("band", "y", "x"), name, attrs)


def read(array: Any) -> Any:
    if array.ndim == 3:
        return terrafine.estimate_height(array, sensor="reflectance")
    return terrafine.sharpen_dem(array, scale=2, model="nearest")


@pytest.mark.parametrize("make", [heights, image])
@pytest.mark.parametrize("key", ["crs_wkt", "spatial_ref", "crs"])
@pytest.mark.parametrize("text", ["URL/crs", "/vsicurl/URL/crs", "/vsicurl_streaming/URL/crs", "/etc/hostname"])
def test_a_crs_that_is_an_address_or_a_file_is_not_followed(make: Any, key: str, text: str, host: Host) -> None:
    stated = text.replace("URL", host.url)
    array = make({}, {"crs": stated}) if key == "crs" else make({key: stated})
    with pytest.raises(GridError, match="cannot be read"):
        read(array)
    assert host.asked == []


def test_a_dask_array_and_a_dataset_follow_no_address_either(host: Host) -> None:
    pytest.importorskip("dask.array")
    stated = {"crs_wkt": f"{host.url}/crs"}
    bands = {name: image(stated).sel(band=name).drop_vars("band") for name in BANDS}
    with pytest.raises(GridError, match="cannot be read"):
        terrafine.sharpen_dem(heights(stated).chunk(12), scale=2)
    with pytest.raises(GridError, match="cannot be read"):
        terrafine.estimate_height(xr.Dataset(bands), sensor="reflectance")
    for band in bands.values():
        band.attrs["crs"] = f"{host.url}/crs"
    with pytest.raises(GridError, match="cannot be read"):
        terrafine.estimate_height(xr.Dataset(bands).drop_vars("spatial_ref"), sensor="reflectance")
    assert host.asked == []


@pytest.mark.parametrize("make", [heights, image])
@pytest.mark.parametrize(
    "value", ["a b c", "1 2", "nan 10 0 nan 0 -10", "1 " * 100_000, [1, 2, 3, 4, 5, 6], 7, "1e999 " * 6]
)
def test_a_geotransform_that_is_none_is_refused(make: Any, value: Any) -> None:
    with pytest.raises(GridError, match="expected six numbers"):
        read(make({"GeoTransform": value}))


@pytest.mark.parametrize("make", [heights, image])
@pytest.mark.parametrize(
    "value", [None, 7, "PROJCRS[" * 1000, "EPSG:4326\0", "a" * 10**6, "\ud800", ["EPSG:32633"], {}]
)
def test_a_crs_that_is_none_is_refused(make: Any, value: Any) -> None:
    with pytest.raises(GridError):
        read(make({"crs_wkt": value}))


@pytest.mark.parametrize("make", [heights, image])
@pytest.mark.parametrize("key", ["scale_factor", "add_offset", "_FillValue", "missing_value"])
@pytest.mark.parametrize("value", ["x", {}, object(), []])
def test_a_number_of_storage_that_is_none_is_refused(make: Any, key: str, value: Any) -> None:
    with pytest.raises(BandError, match=f"{key} = .*expected a number"):
        read(make({}, {key: value}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, 2.0]])
def test_a_scale_that_is_not_one_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(BandError, match="expected a number"):
        read(heights({}, {"scale_factor": value}))


@pytest.mark.parametrize("name", [7, ("a", "b"), "\ud800", "a\0b", None])
def test_a_name_that_no_file_takes_is_kept(name: Any) -> None:
    assert read(heights({}, name=name)).name == name


@pytest.mark.parametrize("value", [["a"], {"b": 1}, 7])
def test_a_mapping_that_is_no_name_is_refused(value: Any) -> None:
    with pytest.raises(GridError, match="grid_mapping"):
        read(heights({}, {"grid_mapping": value}))


def test_odd_attributes_of_the_projection_are_ignored_or_refused() -> None:
    for odd in ({"grid_mapping_name": "transverse_mercator", "standard_parallel": "x"}, {"grid_mapping_name": 7}, {}):
        array = heights({})
        array.coords["spatial_ref"].attrs = dict(odd)
        try:
            read(array)
        except TerrafineError:
            continue


def test_bands_of_two_systems_are_refused() -> None:
    bands = {name: image({}).sel(band=name).drop_vars(["band", "spatial_ref"]) for name in BANDS}
    for band, code in zip(bands.values(), (32633, 32632, 32633), strict=True):
        band.attrs["crs"] = f"EPSG:{code}"
    with pytest.raises(GridError, match="differ"):
        terrafine.estimate_height(xr.Dataset(bands), sensor="reflectance")
