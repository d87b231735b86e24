"""Images in memory give what files give: numpy, DataArrays, Datasets and the accessor; wrong ones are refused."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

import terrafine
from terrafine.errors import BandError, GridError, TerrafineError, UsageError

pytest.importorskip("rioxarray")
xr = pytest.importorskip("xarray")
import terrafine.xarray  # noqa: E402

NAMES = ("red", "green", "blue", "nir")
BANDS = {n: i for i, n in enumerate(NAMES, start=1)}
SIDE = (24, 20)
GRID = Affine(10, 0, 500_000, 0, -10, 5_000_000)
HOW: dict[str, Any] = {"sensor": "sentinel2", "max_bright": 1.0, "threads": 1}


def image() -> np.ndarray:
    """Fields and roofs as Sentinel-2 counts, uint16 (band, y, x), with a void of 0."""
    rng = np.random.default_rng(5)
    field, roof = np.array([[500, 800, 450, 3200], [2600, 2300, 2100, 2800]])
    scene = np.broadcast_to(field[:, None, None], (4, *SIDE)).astype(np.float64).copy()
    scene[:, 6:12, 8:15] = roof[:, None, None]
    scene += rng.normal(0, 30, scene.shape)
    scene[:, 18:20, 2:4] = 0
    return scene.round().astype(np.uint16)


def filed(path: Path, values: np.ndarray) -> Path:
    made = {"driver": "GTiff", "dtype": values.dtype, "count": len(values), "crs": "EPSG:32633", "transform": GRID}
    with rasterio.open(path, "w", height=values.shape[1], width=values.shape[2], nodata=0, **made) as out:
        out.write(values)
        out.descriptions = NAMES
    return path


def array(values: np.ndarray | None = None, **more: Any) -> Any:
    values = image() if values is None else values
    y = 5_000_000 - 10 * (np.arange(SIDE[0]) + 0.5)
    x = 500_000 + 10 * (np.arange(SIDE[1]) + 0.5)
    coords = {"band": list(NAMES), "y": y, "x": x}
    made = xr.DataArray(values, coords=coords, dims=("band", "y", "x"), name="city", **more)
    return made.rio.write_nodata(0).rio.write_crs("EPSG:32633")


def as_float(values: np.ndarray) -> np.ndarray:
    return np.where(values == 0, np.nan, values).astype(np.float32)


VERBS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "map": (terrafine.map_impervious, {}),
    "image": (terrafine.sharpen_image, {}),
    "height": (terrafine.estimate_height, {}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What each verb writes for the same image in a file."""
    folder = tmp_path_factory.mktemp("files")
    source, found = filed(folder / "in.tif", image()), {}
    for name, (verb, options) in VERBS.items():
        with rasterio.open(verb(source, folder / f"{name}.tif", **HOW, **options)) as out:
            values = out.read(masked=True).astype(np.float32) * np.float32(out.scales[0])
            found[name] = values.filled(255 if name == "map" else np.nan)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_a_dataarray_gives_what_a_file_gives(files: dict[str, np.ndarray], verb: str) -> None:
    made = VERBS[verb][0](array(), **HOW)
    expected = files[verb] if verb == "image" else files[verb][0]
    np.testing.assert_array_equal(made.values, expected)
    k = 1 if verb == "height" else 10
    assert made.dims[-2:] == ("y", "x")
    assert made.rio.crs == "EPSG:32633"
    assert made.rio.transform().almost_equals(GRID * Affine.scale(1 / k))
    assert made.name == "city"
    assert (made.values.dtype == np.uint8) == (verb == "map")


@pytest.mark.parametrize("verb", VERBS)
def test_numpy_gives_what_a_file_gives(files: dict[str, np.ndarray], verb: str) -> None:
    read = BANDS if verb == "map" else {n: i for n, i in BANDS.items() if n != "nir"}
    made = VERBS[verb][0](image(), bands=read, pixel_size_m=10.0, nodata=0, **HOW)
    expected = files[verb] if verb == "image" else files[verb][0]
    assert made.dtype == (np.uint8 if verb == "map" else np.float32)
    if verb == "height":  # cells of UTM are 0.04 % shorter than 10 m on the ground there
        np.testing.assert_allclose(made, expected, atol=0.05 * np.nanstd(expected))
    else:
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("verb", ["sharpen_dem", "sharpen_image", "map_impervious", "estimate_height"])
@pytest.mark.parametrize("kind", ["DataArray", "Dataset"])
def test_the_accessor_hands_array_and_keywords_to_the_function(
    verb: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = array() if kind == "DataArray" else array().to_dataset("band")
    home = importlib.import_module(terrafine._HOME[verb])
    monkeypatch.setattr(home, verb, lambda source, **options: (source, options))
    source, options = getattr(given.terrafine, verb)(model="x", threads=1)
    assert source is given
    assert options == {"model": "x", "threads": 1}
    assert not (set(dir(terrafine.xarray.TerrafineAccessor)) ^ {*dir(object), "__dict__", "__weakref__"}) - {
        *("__module__", "_array"),
        *("sharpen_dem", "sharpen_image", "map_impervious", "estimate_height"),
    }


def test_a_dataset_of_bands_and_floats_with_nan_read_alike(files: dict[str, np.ndarray]) -> None:
    values = as_float(image())
    bands = array(values).to_dataset("band").rio.write_crs("EPSG:32633")
    np.testing.assert_array_equal(bands.terrafine.map_impervious(**HOW).values, files["map"][0])


def test_names_may_stand_in_long_name_and_axes_in_any_order(files: dict[str, np.ndarray]) -> None:
    given = array().drop_vars("band").rename({"y": "lat", "x": "lon"})
    given = given.rio.set_spatial_dims("lon", "lat").transpose("lat", "lon", "band")
    given.attrs["long_name"] = NAMES
    turned = given.isel(lat=slice(None, None, -1))
    made = terrafine.map_impervious(turned, **HOW)
    assert made.dims == ("lat", "lon")
    np.testing.assert_array_equal(made.values[::-1], files["map"][0])
    assert float(made["lat"][0]) < float(made["lat"][-1])


def test_probabilities_are_further_bands() -> None:
    both = terrafine.map_impervious(array(), probability=True, **HOW)
    assert both["band"].values.tolist() == ["class", "impervious", "building"]
    classes, chance = both.values[0], both.values[1]
    plain = terrafine.map_impervious(array(), **HOW)
    np.testing.assert_array_equal(np.where(np.isnan(classes), 255, classes), plain.values)
    assert plain.rio.nodata == 255
    known = ~np.isnan(classes)
    assert 0 <= chance[known].min() < chance[known].max() <= 1
    as_numpy = terrafine.map_impervious(image(), bands=BANDS, pixel_size_m=10, nodata=0, probability=True, **HOW)
    np.testing.assert_array_equal(as_numpy, both.values)


def test_a_masked_array_is_nan_where_masked(files: dict[str, np.ndarray]) -> None:
    masked = np.ma.masked_equal(image(), 0)
    made = terrafine.map_impervious(masked, bands=BANDS, pixel_size_m=10.0, **HOW)
    np.testing.assert_array_equal(made, files["map"][0])


@pytest.mark.parametrize(
    ("source", "more", "error", "said"),
    [
        (image, {"pixel_size_m": 10.0}, UsageError, "bands="),
        (image, {"bands": BANDS}, UsageError, "pixel_size_m"),
        (image, {"bands": {"red": 9}, "pixel_size_m": 10.0}, BandError, "has 4 bands"),
        (image, {"bands": BANDS, "pixel_size_m": -10.0}, UsageError, "above 0"),
        (image, {"bands": BANDS, "pixel_size_m": 30.0}, GridError, "the array"),
        (lambda: image()[0], {"bands": BANDS, "pixel_size_m": 10.0}, UsageError, r"\(band, y, x\)"),
        (lambda: image().astype("U4"), {"bands": BANDS, "pixel_size_m": 10.0}, BandError, "numbers"),
        (lambda: array().drop_vars("spatial_ref"), {}, GridError, "assume_crs="),
        (lambda: array().isel(x=[0, 1, 3, 9]), {}, GridError, "evenly spaced"),
        (array, {"pixel_size_m": 10.0}, UsageError, "numpy"),
        (array, {"preview": "p.png"}, UsageError, "preview is for an image in a file"),
        (array, {"creation_options": {"COMPRESS": "LZW"}}, UsageError, "creation_options"),
        (lambda: array().expand_dims(time=2), {}, UsageError, "isel"),
        (lambda: array().assign_coords(band=list("abcd")), {}, TerrafineError, "the DataArray 'city'"),
    ],
)
def test_what_cannot_be_read_is_refused_in_the_words_of_arrays(
    source: Callable[[], Any], more: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        terrafine.map_impervious(source(), **(HOW | more))
    assert "image.tif" not in str(caught.value)


def test_a_file_needs_a_destination_and_no_cell_size(tmp_path: Path) -> None:
    source = filed(tmp_path / "in.tif", image())
    for verb, _ in VERBS.values():
        with pytest.raises(UsageError, match="needs a destination"):
            verb(source)
        with pytest.raises(UsageError, match="numpy images"):
            verb(source, tmp_path / "o.tif", pixel_size_m=10.0)
    assert [p.name for p in tmp_path.iterdir()] == ["in.tif"]


def test_a_numpy_image_has_no_anchor() -> None:
    with pytest.raises(UsageError, match="DataArray"):
        terrafine.estimate_height(image(), bands=BANDS, pixel_size_m=10.0, anchor="dem.tif", **HOW)
