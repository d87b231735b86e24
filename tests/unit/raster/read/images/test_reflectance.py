"""Optical numbers become reflectance as the product says, or are refused with what fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from tests.support.paths import DATA
from tests.support.rasters import write_raster

from terrafine.errors import BandError, EmptyError, GridError, UsageError
from terrafine.raster.read.images.reflectance import open_image
from terrafine.raster.read.images.sensors import SENSORS

NAMES = ("red", "green", "blue")


def ground(seed: int = 0, haze: float = 0.0) -> np.ndarray:
    """Surface reflectance (3, 120, 130): dark water to bright soil; haze brightens blue."""
    rng = np.random.default_rng(seed)
    soil = rng.uniform(0.02, 0.35, (1, 120, 130)) * np.array([1.2, 1.0, 0.8])[:, None, None]
    return soil + haze * np.array([0.0, 0.4, 1.0])[:, None, None]


def write(
    path: Path, numbers: np.ndarray, names: tuple[str, ...] = NAMES, dtype: str = "uint16", **more: float
) -> Path:
    where = {"crs": "EPSG:32612", "origin": (4e5, 4e6), "nodata": None}
    return write_raster(path, numbers.astype(dtype), names=names, **(where | more))


def numbers(sensor: str, reflectance: np.ndarray) -> np.ndarray:
    s = SENSORS[sensor]
    values = (reflectance - s.offset) / s.factor
    return values if sensor == "reflectance" else np.round(values)


HAZY = {"landsat-l1": 0.05}


@pytest.mark.parametrize(
    ("sensor", "stated"),
    [(s.name, stated) for s in SENSORS.values() for stated in (True, False) if stated or s.detected],
)
def test_each_sensors_numbers_are_found_and_become_reflectance(sensor: str, stated: bool, tmp_path: Path) -> None:
    true = ground(haze=HAZY.get(sensor, 0.0))
    path = write(tmp_path / "a.tif", numbers(sensor, true), dtype="float32" if sensor == "reflectance" else "uint16")
    image = open_image(path, sensor=sensor if stated else None)
    assert image.sensor.name == sensor
    values, valid = image.read("blue", slice(0, 120), slice(0, 130))
    assert valid.all()
    np.testing.assert_allclose(values, true[2], atol=1e-4)


@pytest.mark.parametrize("detected", [True, False])
def test_a_sensor_with_the_numbers_of_another_is_read_where_it_is_stated(
    detected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SENSORS, "twin", replace(SENSORS["sentinel2"], name="twin", detected=detected))
    path = write(tmp_path / "a.tif", numbers("sentinel2", ground()))
    assert open_image(path, sensor="twin", allowed=("sentinel2", "twin")).sensor.name == "twin"
    if detected:
        with pytest.raises(BandError, match="reads as sentinel2 and as twin"):
            open_image(path, allowed=("sentinel2", "twin"))
    else:
        assert open_image(path, allowed=("sentinel2", "twin")).sensor.name == "sentinel2"


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
    (ground() * 500, NAMES, "uint8", None, "8-bit image"),
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


def test_sensors_that_are_not_allowed_are_not_offered(tmp_path: Path) -> None:
    allowed = ("sentinel2", "reflectance")
    path = write(tmp_path / "a.tif", numbers("landsat-l2", ground()), ("SR_B4", "SR_B3", "SR_B2"))
    with pytest.raises(BandError, match=r"Landsat 8 or 9 .*, which is not read here.*sensor=\"sentinel2\" \| \"refl"):
        open_image(path, allowed=allowed)
    with pytest.raises(UsageError, match="'landsat-l2'; known are sentinel2, reflectance"):
        open_image(path, allowed=allowed, sensor="landsat-l2")
    assert open_image(path, allowed=(*allowed, "landsat-l2")).sensor.name == "landsat-l2"
    bright = ground()
    bright[0, 50, 50] = 5.0
    image = open_image(write(tmp_path / "b.tif", numbers("sentinel2", bright)), allowed=allowed)
    with pytest.raises(BandError, match=r"sensor=\"sentinel2\" \| \"reflectance\"$"):
        image.read("red", slice(0, 120), slice(0, 130))


def test_nothing_but_fill_is_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.zeros((3, 40, 40)))
    with pytest.raises(EmptyError, match="no cell has red"):
        open_image(path)
    with pytest.raises(EmptyError, match="no cell has red"):
        open_image(path, sensor="sentinel2").require_valid()
    with pytest.raises(EmptyError, match="no cell has red"):
        open_image(path, sensor="sentinel2-offset").require_valid()


@pytest.mark.parametrize("declared", [{}, {"nodata": 0}])
@pytest.mark.parametrize("sensor", [None, "sentinel2"])
def test_a_little_ground_in_much_that_is_missing_is_found(
    sensor: str | None, declared: dict[str, float], tmp_path: Path
) -> None:
    wide = np.zeros((3, 900, 900))
    wide[:, 194:234, 194:234] = numbers("sentinel2", city())[:3, :40, :40]
    image = open_image(write(tmp_path / "a.tif", wide, **declared), sensor=sensor, unless="sentinel2")
    image.require_valid()
    assert image.sensor.name == "sentinel2"
    wide[:, 198:234, 194:234] = 8000
    cloudy = open_image(write(tmp_path / "b.tif", wide, **declared), sensor="sentinel2")
    assert cloudy.bright_share() == pytest.approx(0.9, abs=0.02)


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


def city(seed: int = 0) -> np.ndarray:
    """Reflectance (4, 120, 130) of dark roofs, plants and water, with near infrared."""
    true = ground(seed)
    true[:, :20] = 0.03
    return np.concatenate((true, np.clip(true[:1] * 1.8, 0.01, 0.6)))


@pytest.mark.parametrize(
    "names",
    [
        ("red", "green", "blue", "nir"),
        ("B4", "B3", "B2", "B8"),
        ("Red", "Green", "Blue", "Near Infrared"),
        ("red", "green", "blue", "NIR (842 nm)"),
        ("B04 (665 nm)", "B03", "B02", "near_infrared"),
        tuple(
            f"{band}, central wavelength {nm} nm" for band, nm in (("B4", 665), ("B3", 560), ("B2", 490), ("B8", 842))
        ),
        ("a", "b", "c", "d"),
    ],
)
def test_near_infrared_is_found_or_numbered_as_the_colours_are(names: tuple[str, ...], tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", numbers("sentinel2", city()), names)
    bands = dict(zip((*NAMES, "nir"), (1, 2, 3, 4), strict=True)) if names[0] == "a" else None
    image = open_image(path, want=(*NAMES, "nir"), bands=bands, unless="sentinel2")
    values, _ = image.read("nir", slice(0, 120), slice(0, 130))
    np.testing.assert_allclose(values, city()[3], atol=1e-4)


def test_near_infrared_that_is_not_there_is_named_as_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", numbers("sentinel2", ground()))
    with pytest.raises(BandError, match=r"no band is called 'nir'.*bands=\{\"nir\": N\}"):
        open_image(path, want=(*NAMES, "nir"))


@pytest.mark.parametrize("bands", [{"red": 1, "nir": 4}, {"red": 2}])
def test_bands_that_are_not_asked_for_and_bands_taken_twice_are_refused(bands: dict[str, int], tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", numbers("sentinel2", ground()))
    with pytest.raises(UsageError, match=r"expected only red|another band of the file for each"):
        open_image(path, bands=bands)


def test_an_offset_that_is_still_there_is_noticed_and_must_be_stated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", numbers("sentinel2-offset", city()), (*NAMES, "nir"))
    with pytest.raises(
        BandError, match=r"reads as sentinel2-offset.*1,000 were still added.*sensor=\"sentinel2-offset\""
    ):
        open_image(path, unless="sentinel2")
    image = open_image(path, unless="sentinel2", sensor="sentinel2-offset")
    np.testing.assert_allclose(image.read("red", slice(0, 120), slice(0, 130))[0], city()[0], atol=1e-4)


def test_an_offset_that_is_gone_is_not_taken_off_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", numbers("sentinel2", city()), (*NAMES, "nir"))
    assert open_image(path, unless="sentinel2").sensor.name == "sentinel2"
    with pytest.raises(BandError, match='The offset is gone: sensor="sentinel2"'):
        open_image(path, sensor="sentinel2-offset")


def test_one_dark_band_is_enough_to_see_that_there_is_no_offset(tmp_path: Path) -> None:
    desert = np.clip(ground() + 0.12, 0.12, 0.6)  # as bright as an offset would make it, but for blue
    desert[2] -= 0.1
    path = write(tmp_path / "a.tif", numbers("sentinel2", desert))
    assert open_image(path, unless="sentinel2").sensor.name == "sentinel2"


def test_a_file_that_states_its_scale_needs_no_sensor(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", numbers("sentinel2", city()), (*NAMES, "nir"))
    with rasterio.open(path, "r+") as file:
        file.scales = (1e-4,) * 4
    image = open_image(path, unless="sentinel2")
    assert image.sensor.name == "reflectance"
    np.testing.assert_allclose(image.read("red", slice(0, 120), slice(0, 130))[0], city()[0], atol=1e-4)


WARP = r"gdalwarp -r cubic -t_srs EPSG:{} -tr 10 10"


@pytest.mark.parametrize(
    ("crs", "at", "says"),
    [
        ("EPSG:4326", (2.36, 48.87, 1.1635e-4, 1.1635e-4), "cells of 12.9 × 8.54 m.*" + WARP.format(32631)),
        ("EPSG:4326", (18.4, -33.9, 9e-5, 9e-5), "cells of 9.98 × 8.32 m.*" + WARP.format(32734)),
        ("EPSG:32612", (4e5, 4e6, 20, 20), "cells of 20 × 20 m.*" + WARP.format(32612)),
        ("EPSG:32612", (4e5, 4e6, 12, 9), "cells of 9 × 12 m.*9 to 11 m.*" + WARP.format(32612)),
        ("EPSG:2263", (985000, 210000, 65.6, 65.6), "cells of 20 × 20 m.*" + WARP.format(32618)),
        ("EPSG:3857", (262719, 6254060, 10, 10), "cells of 6.*" + WARP.format(32631)),
    ],
)
def test_cells_of_another_size_or_shape_are_refused_with_the_warp_that_mends_them(
    crs: str, at: tuple[float, ...], says: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.tif", numbers("sentinel2", city()), (*NAMES, "nir"))
    with rasterio.open(path, "r+") as file:
        file.crs, file.transform = crs, from_origin(*at)
    with pytest.raises(GridError, match=says):
        open_image(path).require_cells(10, 9, 11, "jointseg")


def test_cells_that_are_not_square_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", numbers("sentinel2", city()), (*NAMES, "nir"))
    with rasterio.open(path, "r+") as file:
        file.transform = from_origin(4e5, 4e6, 30, 20)
    with pytest.raises(GridError, match=r"cells of 20 × 30 m; relief expects about square ones"):
        open_image(path).require_cells(30, 9, 90, "relief")


def test_cells_of_about_the_right_size_pass(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", numbers("sentinel2", city()), (*NAMES, "nir"))
    with rasterio.open(path, "r+") as file:
        file.transform = from_origin(4e5, 4e6, 9.5, 10)
    open_image(path).require_cells(10, 9, 11, "jointseg")


FOLDER = DATA / "s2_cities"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the Sentinel-2 cities are not there: set TERRAFINE_DATA")
@pytest.mark.parametrize("city", ["bercy_1", "bercy_2", "nantes_1", "nantes_2", "rennes_1", "rennes_2"])
@pytest.mark.parametrize("side", [64, 1000])
def test_on_real_cities_and_pieces_of_them_an_offset_is_told_from_none(city: str, side: int, tmp_path: Path) -> None:
    with rasterio.open(FOLDER / f"{city}.tif") as file:
        values = file.read()[:, -side:, -side:]
    names = (*NAMES, "nir")
    assert open_image(write(tmp_path / "a.tif", values, names), unless="sentinel2").sensor.name == "sentinel2"
    with pytest.raises(BandError, match=r"1,000 were still added"):
        open_image(write(tmp_path / "b.tif", np.where(values, values + 1000, 0), names), unless="sentinel2")


def test_a_file_in_unit_1_states_that_its_numbers_are_reflectance(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(0.02, 0.4, (3, 40, 50)).astype(np.float32)
    for unit in ("1", ""):
        write_raster(tmp_path / f"{unit}.tif", values, names=NAMES, unit=unit, nodata=-9999.0, cell=10.0)
    assert open_image(tmp_path / "1.tif", unless="sentinel2").sensor.name == "reflectance"
    with pytest.raises(BandError, match='state sensor="reflectance"'):
        open_image(tmp_path / ".tif", unless="sentinel2")
    numbers = (values * 1e4 + 1000).round().astype(np.uint16)
    write_raster(tmp_path / "offset.tif", numbers, names=NAMES, unit="1", nodata=0, cell=10.0)
    with pytest.raises(BandError, match='state sensor="sentinel2-offset"'):  # the unit says nothing of other numbers
        open_image(tmp_path / "offset.tif", unless="sentinel2")
