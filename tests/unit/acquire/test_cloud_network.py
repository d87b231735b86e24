"""Clouds by OmniCloudMask, held against its interface: a module of the same signature stands in for the package.

Its weights need timm and torchvision and are fetched from the network at first use, so no accuracy is tested here.
"""

from __future__ import annotations

import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.rasters import read_bands
from tests.support.scenes import PISA, add_scene, preset, real_numbers
from tests.support.stac_server import Server

import terrafine
from terrafine.acquire.omnicloudmask import cloud_finder
from terrafine.acquire.options import FetchOptions
from terrafine.errors import DataError, MissingExtraError, UsageError

AOI = (10.381, 43.7222, 10.396, 43.731)
BOX = (slice(58, 159), slice(28, 152))  # rows and columns of the crop that the area's grid covers
SOON: dict[str, Any] = {"timeout_s": 120.0, "attempts": 3, "backoff_s": 0.0}
OLD = {"s2:processing_baseline": "02.04"}
BANDS = ("red", "green", "blue", "nir")


class Stand:
    """Stands in for the package: cells with bright red are thick cloud, with bright green thin, with bright nir shadow.

    The signature is that of omnicloudmask 1.8.1.
    """

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []
        self.inside = threading.Lock()

    def predict_from_array(
        self,
        input_array: np.ndarray,
        patch_size: int = 1000,
        patch_overlap: int = 300,
        batch_size: int = 1,
        inference_device: Any = None,
        mosaic_device: Any = None,
        inference_dtype: Any = "float32",
        export_confidence: bool = False,
        softmax_output: bool = True,
        no_data_value: float = 0,
        apply_no_data_mask: bool = True,
        **models: Any,
    ) -> np.ndarray:
        assert input_array.dtype == np.float32 and input_array.shape[0] == 3 and min(input_array.shape[1:]) >= 32
        assert 32 <= patch_size <= min(input_array.shape[1:]) and patch_overlap < patch_size
        assert self.inside.acquire(blocking=False), "two images at a time"
        time.sleep(0.001)
        self.seen.append(input_array)
        classes = np.zeros((1, *input_array.shape[1:]), np.uint8)
        for number, band in enumerate(input_array, 1):
            classes[0, band > 0.9] = number
        self.inside.release()
        return classes


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Stand:
    stand = Stand()
    module = types.ModuleType("omnicloudmask")
    module.predict_from_array = stand.predict_from_array  # type: ignore[attr-defined]
    module.__version__ = "1.8.1"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "omnicloudmask", module)
    return stand


def image(height: int = 80, width: int = 90) -> np.ndarray:
    return np.full((4, height, width), 0.2, np.float32)


def test_only_cells_of_class_0_that_have_a_value_are_clear(network: Stand) -> None:
    clear, name = cloud_finder(BANDS)
    values = image()
    values[0, 1, 1] = values[1, 2, 2] = values[3, 3, 3] = 0.95  # thick, thin, shadow
    values[2, 4, 4] = 0.95  # blue, which the network does not see
    values[1, 5, 5] = np.nan
    values[:, 6, 6] = 0.0  # dark, but measured
    expected = np.ones((80, 90), bool)
    expected[[1, 2, 3, 5], [1, 2, 3, 5]] = False
    np.testing.assert_array_equal(clear(values), expected)
    assert name == "omnicloudmask 1.8.1"
    (seen,) = network.seen
    np.testing.assert_array_equal(seen[:, 5, 5], 0)  # nodata in every band
    assert (seen[:, 6, 6] > 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (20, 300), (64, 64), (1200, 40)])
def test_images_of_any_size_are_given_with_nodata_around_them(shape: tuple[int, int], network: Stand) -> None:
    clear, _ = cloud_finder(BANDS)
    assert clear(image(*shape)).shape == shape
    assert clear(image(*shape)).all()
    assert (network.seen[0][:, shape[0] :] == 0).all()


def test_threads_take_turns(network: Stand) -> None:
    clear, _ = cloud_finder(BANDS)
    threads = [threading.Thread(target=clear, args=(image(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(network.seen) == 6


def test_another_interface_is_refused(network: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["omnicloudmask"]
    monkeypatch.setattr(module, "predict_from_array", lambda image, **_: np.zeros(image.shape[1:], np.uint8))
    clear, _ = cloud_finder(BANDS)
    with pytest.raises(DataError, match=r"shape \(80, 90\); expected \(1, 80, 90\)"):
        clear(image())


def test_without_the_package_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "omnicloudmask", None)
    given: dict[str, Any] = {"aoi": AOI, "dates": "2023", "mask": "omnicloudmask"}
    with pytest.raises(MissingExtraError, match=r"pip install 'terrafine\[clouds\]'"):
        terrafine.fetch("sentinel-2", tmp_path / "a.tif", **given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("collection", "given", "message"),
    [
        ("sentinel-2", {"bands": ("red", "green", "blue")}, "nir is not among red, green, blue"),
        ("sentinel-2", {"cell_m": 5.0}, "cells of 10 to 50 m; these have 5 m"),
        ("sentinel-2", {"cell_m": 60.0}, "these have 60 m"),
        ("sentinel-1", {}, "is of reflectance; sentinel-1-rtc holds other values"),
        ("copernicus-dem", {"dates": None}, "is of reflectance; cop-dem-glo-30 holds other values"),
    ],
)
def test_what_it_cannot_look_at_is_refused_without_a_connection(
    collection: str, given: dict[str, Any], message: str, network: Stand, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        terrafine.fetch(collection, tmp_path, **{"aoi": AOI, "dates": "2023", "mask": "omnicloudmask"} | given)
    with pytest.raises(UsageError, match="expected one of classes, omnicloudmask, none"):
        FetchOptions(mask="fmask")


def test_a_fetch_leaves_out_what_the_network_calls_cloud_and_not_what_the_classes_call_so(
    server: Server, network: Stand, out: Path, tmp_path: Path
) -> None:
    numbers, georeference = real_numbers("pisa", 1, PISA)
    bright = numbers.copy()
    cloud = np.zeros(numbers.shape[1:], bool)
    cloud[BOX[0].start + 5 : BOX[0].start + 25, BOX[1].start + 10 : BOX[1].start + 40] = True
    bright[0, cloud] = 9500
    add_scene(server, "early", numbers, georeference, "2023-05-01T10:10:00Z", properties=OLD)
    add_scene(server, "late", bright, georeference, "2023-06-01T10:10:00Z", properties=OLD)
    out.parent.mkdir(exist_ok=True)
    given: dict[str, Any] = {"aoi": AOI, "dates": "2023-04/2023-10", **SOON, "service": preset(server, tmp_path)}
    terrafine.fetch("sentinel-2", out, **given, mask="omnicloudmask")
    bands, tags = read_bands(out)
    dark = (numbers[:, BOX[0], BOX[1]] < 9000).all(axis=0)
    expected = np.where(cloud[BOX[0], BOX[1]], 1, 2)
    np.testing.assert_array_equal(bands["clear_count"][dark], expected[dark])
    assert tags["CLOUDS"] == "omnicloudmask 1.8.1"
    assert '"clouds": "omnicloudmask 1.8.1"' in out.with_name(f"{out.stem}.lineage.json").read_text()
