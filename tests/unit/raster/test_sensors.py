"""Optical numbers become reflectance as the product says, or are refused with what fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from terrafine.errors import BandError, EmptyError, UsageError
from terrafine.raster.sensors import SENSORS, open_image

NAMES = ("red", "green", "blue")


def ground(seed: int = 0, haze: float = 0.0) -> np.ndarray:
    """Surface reflectance (3, 120, 130): dark water to bright soil; haze brightens blue."""
    rng = np.random.default_rng(seed)
    soil = rng.uniform(0.02, 0.35, (1, 120, 130)) * np.array([1.2, 1.0, 0.8])[:, None, None]
    return soil + haze * np.array([0.0, 0.4, 1.0])[:, None, None]


def write(
    path: Path, numbers: np.ndarray, names: tuple[str, ...] = NAMES, dtype: str = "uint16", **more: float
) -> Path:
    profile = {"driver": "GTiff", "dtype": dtype, "count": len(numbers), "crs": "EPSG:32612", **more}
    shape = {"height": numbers.shape[1], "width": numbers.shape[2], "transform": from_origin(4e5, 4e6, 30, 30)}
    with rasterio.open(path, "w", **profile, **shape) as f:
        f.write(numbers.astype(dtype))
        f.descriptions = names
    return path


def numbers(sensor: str, reflectance: np.ndarray) -> np.ndarray:
    s = SENSORS[sensor]
    values = (reflectance - s.offset) / s.factor
    return values if sensor == "reflectance" else np.round(values)


HAZY = {"landsat-l1": 0.05}


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("stated", [True, False])
def test_each_sensors_numbers_are_found_and_become_reflectance(sensor: str, stated: bool, tmp_path: Path) -> None:
    true = ground(haze=HAZY.get(sensor, 0.0))
    path = write(tmp_path / "a.tif", numbers(sensor, true), dtype="float32" if sensor == "reflectance" else "uint16")
    image = open_image(path, sensor=sensor if stated else None)
    assert image.sensor.name == sensor
    values, valid = image.read("blue", slice(0, 120), slice(0, 130))
    assert valid.all()
    np.testing.assert_allclose(values, true[2], atol=1e-4)


@pytest.mark.parametrize(
    ("names", "sensor"), [(("SR_B4", "SR_B3", "SR_B2"), "landsat-l2"), (("B04", "B03", "B02"), "sentinel2")]
)
def test_bands_called_as_the_product_calls_them_are_found(names: tuple[str, ...], sensor: str, tmp_path: Path) -> None:
    image = open_image(write(tmp_path / "a.tif", numbers(sensor, ground()), names))
    assert (image.sensor.name, image.bands) == (sensor, {"red": 1, "green": 2, "blue": 3})


def test_fill_in_one_band_and_undeclared_lowest_float_are_missing_in_all(tmp_path: Path) -> None:
    n = numbers("landsat-l1", ground(haze=0.05))
    n[0, 3, 4], n[1, 5, 6] = 0, np.finfo(np.float32).min
    image = open_image(write(tmp_path / "a.tif", n, dtype="float32"))
    values, valid = image.read("blue", slice(0, 120), slice(0, 130))
    assert np.argwhere(~valid).tolist() == [[3, 4], [5, 6]]
    assert not values[~valid].any()


REFUSED = [
    (numbers("sentinel2", ground())[:1], ("red",), "uint16", None, "holds 1 band; expected red, green and blue"),
    (ground() * 500, NAMES, "uint8", None, "8-bit picture"),
    (numbers("sentinel2", ground()), NAMES, "uint16", "landsat-l1", "does not read as landsat-l1.*reads as sentinel2"),
    (
        numbers("landsat-l1", ground(haze=0.05)),
        NAMES,
        "uint16",
        "sentinel2-offset",
        "does not read as sentinel2-offset",
    ),
    (ground() * 255 / 0.5, NAMES, "float32", None, "reads as no sensor that is known"),
    (numbers("sentinel2", ground()), ("a", "b", "c"), "uint16", None, "no band is called 'red'"),
]


@pytest.mark.parametrize(("values", "names", "dtype", "sensor", "says"), REFUSED)
def test_what_does_not_fit_is_refused(
    values: np.ndarray, names: tuple[str, ...], dtype: str, sensor: str | None, says: str, tmp_path: Path
) -> None:
    with pytest.raises(BandError, match=says):
        open_image(write(tmp_path / "a.tif", values, names, dtype), sensor=sensor)


def test_an_unknown_sensor_is_refused_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'spot'; known are sentinel2, "):
        open_image(tmp_path / "a.tif", sensor="spot")


def test_nothing_but_fill_is_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.zeros((3, 40, 40)))
    with pytest.raises(EmptyError, match="no cell has red"):
        open_image(path)
    with pytest.raises(EmptyError, match="no cell has red"):
        open_image(path, sensor="sentinel2").require_valid()


def test_cloud_is_bright_without_colour_and_ground_is_not(tmp_path: Path) -> None:
    clear = ground()
    cloudy = clear.copy()
    cloudy[:, :, :65] = 0.6
    shares = [
        open_image(write(tmp_path / f"{i}.tif", numbers("sentinel2", r)), sensor="sentinel2").bright_share()
        for i, r in enumerate((clear, cloudy))
    ]
    assert shares[0] < 0.05
    assert 0.45 < shares[1] < 0.55
