"""Saturated and flagged cells are nodata, counted and reported; a guess about a scene warns who states the sensor."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from tests.support.rasters import write_raster

from terrafine.errors import BandError, EmptyError, SourceError
from terrafine.raster.read.images.image import ImageSource
from terrafine.raster.read.images.reflectance import open_image
from terrafine.raster.read.images.sensors import SENSORS

NAMES = ("red", "green", "blue")
SHAPE = (120, 130)
WHOLE = slice(0, SHAPE[0]), slice(0, SHAPE[1])


def ground(low: float = 0.02, high: float = 0.35, haze: float = 0.05) -> np.ndarray:
    """Surface reflectance (3, y, x), red brightest, a little haze in blue."""
    soil = np.random.default_rng(0).uniform(low, high, (1, *SHAPE)) * np.array([1.2, 1.0, 0.8])[:, None, None]
    return np.asarray(soil + haze * np.array([0.0, 0.4, 1.0])[:, None, None])


def numbers(sensor: str) -> np.ndarray:
    s = SENSORS[sensor]
    return np.round((ground() - s.offset) / s.factor) if sensor != "reflectance" else ground()


def write(
    path: Path, values: np.ndarray, dtype: str = "uint16", names: tuple[str, ...] = NAMES, **more: object
) -> Path:
    where = {"crs": "EPSG:32612", "origin": (4e5, 4e6), "nodata": None}
    return write_raster(path, values.astype(dtype), names=names, **(where | more))


def invalid(image: ImageSource) -> list[tuple[int, int]]:
    """Cells that are not valid: the same in every band, where values are 0 and all others possible."""
    masks = []
    for band in image.bands:
        values, valid = image.read(band, *WHOLE)
        assert not values[~valid].any()
        assert values.max() < 1.6
        masks.append(valid)
    assert all((m == masks[0]).all() for m in masks)
    return [(int(y), int(x)) for y, x in np.argwhere(~masks[0])]


@pytest.mark.parametrize("sensor", ["sentinel2", "sentinel2-offset", "landsat-l1", "landsat-l2"])
@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("bands", [[0], [2], [0, 1, 2]])
def test_a_saturated_cell_is_nodata_in_every_band(sensor: str, stated: bool, bands: list[int], tmp_path: Path) -> None:
    values = numbers(sensor)
    values[bands, 40, 41] = 65535
    image = open_image(write(tmp_path / "a.tif", values), sensor=sensor if stated else None)
    assert image.sensor.name == sensor or not stated
    image.require_valid()
    assert invalid(image) == [(40, 41)]
    listed = ", ".join(f"{NAMES[b]} 1" for b in bands)
    assert [n for n in image.notes if f"1 of 15,600 cells (6.4e-05) are saturated ({listed})" in n]


def test_saturated_blocks_are_counted_and_the_scene_is_still_recognised(tmp_path: Path) -> None:
    values = numbers("sentinel2")
    values[:, 10:60, 10:60] = 65535
    values[0, 80:82, 80:85] = 65535
    image = open_image(write(tmp_path / "a.tif", values), unless="sentinel2")
    image.require_valid()
    assert image.sensor.name == "sentinel2"
    assert len(invalid(image)) == 2510
    assert "2,510 of 15,600 cells (0.16) are saturated (red 2,510, green 2,500, blue 2,500)" in image.notes[0]


def test_an_integer_of_16_bits_with_sign_saturates_at_its_limit(tmp_path: Path) -> None:
    values = numbers("sentinel2")
    values[1, 3, 4] = 32767
    image = open_image(write(tmp_path / "a.tif", values, "int16"), sensor="sentinel2")
    image.require_valid()
    assert invalid(image) == [(3, 4)]
    assert "saturated (green 1)" in image.notes[0]


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint32"])
def test_numbers_of_16_bits_that_were_stored_in_a_wider_type_saturate_too(dtype: str, tmp_path: Path) -> None:
    values = numbers("sentinel2")
    values[:, 7, 8] = 65535
    image = open_image(write(tmp_path / "a.tif", values, dtype), sensor="sentinel2")
    image.require_valid()
    assert invalid(image) == [(7, 8)]


def test_a_file_that_states_its_scale_saturates_at_the_scaled_number(tmp_path: Path) -> None:
    values = numbers("sentinel2-offset")
    values[2, 9, 9] = 65535
    path = write(tmp_path / "a.tif", values)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1e-4,) * 3, (-0.1,) * 3
    image = open_image(path, unless="sentinel2")
    image.require_valid()
    assert image.sensor.name == "reflectance"
    assert invalid(image) == [(9, 9)]


def test_a_saturated_number_that_is_declared_nodata_is_nodata_and_not_reported_as_saturated(tmp_path: Path) -> None:
    values = numbers("sentinel2")
    values[:, :4] = 65535
    image = open_image(write(tmp_path / "a.tif", values, nodata=65535), sensor="sentinel2")
    image.require_valid()
    assert len(invalid(image)) == 4 * SHAPE[1]
    assert not image.notes


@pytest.mark.parametrize("sensor", [None, "sentinel2", "landsat-l2"])
def test_a_file_whose_every_cell_is_saturated_is_refused_in_those_words(sensor: str | None, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.full((3, *SHAPE), 65535))
    with pytest.raises(EmptyError, match=r"15,600 of 15,600 are saturated.*Take another scene"):
        open_image(path, sensor=sensor).require_valid()


@pytest.mark.parametrize("sensor", [None, "reflectance"])
def test_reflectance_that_is_infinite_or_no_number_is_nodata(sensor: str | None, tmp_path: Path) -> None:
    values = ground()
    values[0, 1, 1], values[1, 2, 2], values[2, 3, 3] = np.inf, -np.inf, np.nan
    image = open_image(write(tmp_path / "a.tif", values, "float32"), sensor=sensor)
    image.require_valid()
    assert invalid(image) == [(1, 1), (2, 2), (3, 3)]


def test_a_few_impossible_cells_are_nodata_and_many_are_an_error(tmp_path: Path) -> None:
    values = numbers("sentinel2")
    values[0, 50, 50] = 48_000  # as resampling leaves beside a saturated cell
    image = open_image(write(tmp_path / "a.tif", values), sensor="sentinel2")
    image.require_valid()
    assert invalid(image) == [(50, 50)]
    assert "1 of 15,600 cells (6.4e-05) are out of the range of reflectance" in image.notes[0]
    assert invalid(pickle.loads(pickle.dumps(image))) == [(50, 50)]
    values[0, :1, :40] = 48_000
    image = open_image(write(tmp_path / "b.tif", values), sensor="sentinel2")
    image.require_valid()
    with pytest.raises(BandError, match=r"expected -0\.2 to 3"):
        image.read("red", *WHOLE)


FILLS = [
    ("int16", -9999, False), ("int16", -32768, True), ("int16", -32768, False), ("int32", -(2**31), False),
    ("int32", -(2**31), True), ("uint32", 2**32 - 1, False), ("uint32", 2**32 - 1, True), ("int32", 2**31 - 1, False),
    ("int64", 2**63 - 1, False), ("uint64", 2**64 - 1, False), ("float32", -9999, False), ("float64", 2**32 - 1, False),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "value", "declared"), FILLS)
def test_a_limit_of_an_integer_type_is_nodata(dtype: str, value: int, declared: bool, tmp_path: Path) -> None:
    sensor = "sentinel2" if dtype != "int32" else "landsat-l2"
    whole = np.round(numbers(sensor)).astype(dtype)
    whole[:, 20:60] = np.array(value).astype(dtype)
    whole[1, 2, 3] = np.array(value).astype(dtype)
    path = write(tmp_path / "a.tif", whole, dtype, nodata=value if declared else None)
    image = open_image(path, sensor=sensor)
    image.require_valid()
    assert len(invalid(image)) == 40 * SHAPE[1] + 1
    if not declared:
        assert "5,201 of 15,600 cells (0.33) are -9999 or a limit of an integer type" in image.notes[0]
        assert image.unmeasured == {"FILL_CELLS": "5201"}


def test_a_scene_with_undeclared_nodata_is_still_recognised(tmp_path: Path) -> None:
    values = numbers("sentinel2")
    values[:, :60] = 2**32 - 1
    image = open_image(write(tmp_path / "a.tif", values, "uint32"), unless="sentinel2")
    image.require_valid()
    assert image.sensor.name == "sentinel2"
    assert len(invalid(image)) == 60 * SHAPE[1]


def test_a_limit_that_is_reflectance_by_the_scale_of_the_file_is_a_measurement(tmp_path: Path) -> None:
    values = ground()
    values[:, 4, 5] = 1.0
    path = write(tmp_path / "a.tif", values * (2**31 - 1), "int32")
    with rasterio.open(path, "r+") as file:
        file.scales = (1 / (2**31 - 1),) * 3
    image = open_image(path, sensor="reflectance")
    image.require_valid()
    assert invalid(image) == []


def test_numbers_that_the_stated_sensor_does_not_give_are_named_and_the_sensor_is_not_asked_for(tmp_path: Path) -> None:
    values = numbers("sentinel2")
    values[0, :1, :40] = 48_000
    image = open_image(write(tmp_path / "a.tif", values), sensor="sentinel2")
    image.require_valid()
    with pytest.raises(BandError) as error:
        image.read("red", *WHOLE)
    assert "nodata=48000" in str(error.value)
    assert "State which sensor" not in str(error.value)


FLAGGED = [
    ("SCL", "sentinel2", 4, {0: True, 1: True, 2: False, 3: False, 8: False, 9: False, 11: False}),
    ("QA_PIXEL", "landsat-l2", 21824, {1: True, 21824: False, 22280: False, 21825: True}),
    ("QA_RADSAT", "landsat-l1", 0, {0b10: True, 0b100: True, 0b1000: True, 0b1: False, 0b10000: False, 1 << 11: False}),
]


@pytest.mark.parametrize(("name", "sensor", "clear", "codes"), FLAGGED)
@pytest.mark.parametrize("nodata", [None, 0])
def test_what_a_quality_band_flags_is_nodata(
    name: str, sensor: str, clear: int, codes: dict[int, bool], nodata: float | None, tmp_path: Path
) -> None:
    quality = np.full((1, *SHAPE), clear)
    for i, code in enumerate(codes):
        quality[0, 20, i] = code
    path = write(tmp_path / "a.tif", np.concatenate((numbers(sensor), quality)), names=(*NAMES, name), nodata=nodata)
    image = open_image(path, sensor=sensor)
    image.require_valid()
    bad = [(20, i) for i, flagged in enumerate(codes.values()) if flagged]
    assert invalid(image) == bad
    assert list(image.bands) == list(NAMES)
    assert f"{len(bad)} of 15,600 cells" in image.notes[0]
    assert image.identity()["quality"] == [name.lower()]
    assert invalid(pickle.loads(pickle.dumps(image))) == bad


def test_saturation_of_near_infrared_counts_only_where_it_is_read(tmp_path: Path) -> None:
    quality = np.zeros((1, *SHAPE))
    quality[0, 5, 5] = 1 << 4
    values = np.concatenate((numbers("landsat-l1"), numbers("landsat-l1")[:1], quality))
    path = write(tmp_path / "a.tif", values, names=(*NAMES, "nir", "QA_RADSAT"))
    for want, bad in ((NAMES, []), ((*NAMES, "nir"), [(5, 5)])):
        image = open_image(path, want=want, sensor="landsat-l1")
        assert invalid(image) == bad


def test_a_band_that_is_only_called_scl_is_not_used(tmp_path: Path) -> None:
    values = np.concatenate((numbers("sentinel2"), numbers("sentinel2")[:1]))
    image = open_image(write(tmp_path / "a.tif", values, names=(*NAMES, "SCL")), sensor="sentinel2")
    assert invalid(image) == []
    assert "not scene classes; it was not used" in image.notes[0]


def test_a_quality_band_of_a_mosaic_is_read_where_each_file_lies(tmp_path: Path) -> None:
    quality = np.full((1, *SHAPE), 4)
    values = np.concatenate((numbers("sentinel2"), quality))
    names = (*NAMES, "SCL")
    first = write(tmp_path / "a.tif", values, names=names)
    values[3, 0, 0] = 1
    second = write(tmp_path / "b.tif", values, names=names, origin=(4e5 + 30 * SHAPE[1], 4e6))
    image = open_image([first, second], sensor="sentinel2")
    image.require_valid()
    assert image.shape == (SHAPE[0], 2 * SHAPE[1])
    _, valid = image.read("red", slice(0, SHAPE[0]), slice(0, 2 * SHAPE[1]))
    assert np.argwhere(~valid).tolist() == [[0, SHAPE[1]]]
    plain = write(tmp_path / "c.tif", values[:3], origin=(4e5 + 30 * SHAPE[1], 4e6))
    image = open_image([first, plain], sensor="sentinel2")
    assert "not in every file of the mosaic" in image.notes[0]


def test_a_clean_scene_has_no_notes(tmp_path: Path) -> None:
    image = open_image(write(tmp_path / "a.tif", numbers("sentinel2")), sensor="sentinel2")
    image.require_valid()
    image.require_clear(0.3, warn=True)
    assert image.notes == ()


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.8), (0.30, 0.55)])
def test_a_bright_desert_is_noted_and_read_where_the_sensor_is_stated(low: float, high: float, tmp_path: Path) -> None:
    desert = np.random.default_rng(0).uniform(low, high, (1, *SHAPE)) * np.array([1.0, 0.98, 0.96])[:, None, None]
    path = write(tmp_path / "a.tif", np.round(1e4 * desert))
    image = open_image(path, sensor="sentinel2")
    image.require_valid()
    image.require_clear(0.3, warn=True)
    assert "cloud or snow; bright ground looks the same, so it was read as stated" in image.notes[-1]
    assert low < 0.45 or "unusually bright throughout" in image.notes[0]
    assert invalid(image) == []
    with pytest.raises(SourceError, match="expected at most 30 %"):
        image.require_clear(0.3)


def test_a_bright_scene_whose_sensor_is_not_stated_is_refused_with_the_way(tmp_path: Path) -> None:
    desert = np.random.default_rng(0).uniform(0.2, 0.4, (1, *SHAPE)) * np.array([1.2, 1.0, 0.8])[:, None, None]
    path = write(tmp_path / "a.tif", np.round(1e4 * desert))
    with pytest.raises(BandError, match=r'for such a scene state sensor="sentinel2"'):
        open_image(path, unless="sentinel2")
    image = open_image(path, unless="sentinel2", sensor="sentinel2")
    np.testing.assert_allclose(image.read("red", *WHOLE)[0], desert[0], atol=1e-4)


def test_dark_water_is_noted_and_read_where_the_sensor_is_stated(tmp_path: Path) -> None:
    sea = np.random.default_rng(0).uniform(0.004, 0.012, (3, *SHAPE))
    image = open_image(write(tmp_path / "a.tif", np.round(1e4 * sea)), sensor="sentinel2")
    assert "unusually dark throughout" in image.notes[0]


def test_a_few_dark_numbers_do_not_take_back_a_stated_offset(tmp_path: Path) -> None:
    values = numbers("sentinel2-offset")
    values[:, :5] = 600
    image = open_image(write(tmp_path / "a.tif", values), sensor="sentinel2-offset")
    assert "reflectance below 0; it was read as stated" in image.notes[0]
