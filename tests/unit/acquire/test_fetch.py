"""`fetch` from a real STAC API on loopback, over real Sentinel-2 of Pisa, and everything that goes wrong on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.rasters import read_bands
from tests.support.scenes import PISA, add_scene, preset, real_numbers
from tests.support.stac_server import Server

import terrafine
from terrafine.errors import DiskError, EmptyError, JobError, NetworkError, ResourceError, UsageError
from terrafine.raster.read.images.reflectance import open_image

AOI = (10.381, 43.7222, 10.396, 43.731)
BOX = (slice(58, 159), slice(28, 152))  # rows and columns of the crop that the area's grid covers
SOON: dict[str, Any] = {"timeout_s": 120.0, "attempts": 3, "backoff_s": 0.0}
CLOUD = (slice(60, 100), slice(30, 90))
MODERN = {"s2:processing_baseline": "05.09"}
OLD = {"s2:processing_baseline": "02.04"}


@pytest.fixture(scope="module")
def numbers() -> list[np.ndarray]:
    return [real_numbers("pisa", date, PISA)[0] for date in (1, 2)]


def two_dates(server: Server, numbers: list[np.ndarray], **second: Any) -> None:
    """The city before the offset, and a cloudy date after it."""
    georeference = real_numbers("pisa", 1, PISA)[1]
    add_scene(server, "early", numbers[0], georeference, "2023-05-01T10:10:00Z", properties=OLD)
    more = {"offset": 1000, "properties": MODERN, "cloud": CLOUD} | second
    add_scene(server, "late", numbers[1], georeference, "2023-06-01T10:10:00Z", **more)


def run(server: Server, out: Path, tmp_path: Path, **more: Any) -> Any:
    given: dict[str, Any] = {"aoi": AOI, "dates": "2023-04/2023-10", **SOON, **more}
    if "service" not in given:
        given["service"] = preset(server, tmp_path)
    out.parent.mkdir(exist_ok=True)
    return terrafine.fetch("sentinel-2", out, **given)[0]


def reflectance(numbers: np.ndarray) -> np.ndarray:
    return numbers[:, BOX[0], BOX[1]] * np.float32(1e-4)


def test_two_dates_one_with_the_offset_become_one_median(
    server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path
) -> None:
    two_dates(server, numbers)
    done = run(server, out, tmp_path)
    bands, tags = read_bands(out)
    early, late = (reflectance(n) for n in numbers)
    cloud = np.zeros(numbers[0].shape[1:], bool)
    cloud[CLOUD] = True
    expected = np.where(cloud[BOX[0], BOX[1]], early, (early + late) / 2)
    for i, name in enumerate(("red", "green", "blue", "nir")):
        np.testing.assert_allclose(bands[name], expected[i], atol=1e-6)
    np.testing.assert_array_equal(bands["clear_count"], np.where(cloud[BOX[0], BOX[1]], 1, 2))
    assert done.scenes == 2
    assert tags["OFFSET_SUBTRACTED"] == "0 by baseline: 1; 1000 by baseline: 1"
    lineage = json.loads(done.lineage.read_text())
    assert [item["id"] for item in lineage["items"]] == ["early", "late"]
    assert lineage["licence"] == "Copernicus Sentinel data, free and open"
    assert all(len(item["pixels_sha256"]) == 64 for item in lineage["items"])
    assert {p.name for p in out.parent.iterdir()} == {"composite.tif", "composite.lineage.json"}
    with open_image(out, want=("red", "green", "blue", "nir")) as image:
        assert image.sensor.name == "reflectance"


def test_a_wrong_flag_is_overruled_by_dark_ground_and_stated(
    server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path
) -> None:
    two_dates(server, numbers)
    run(server, out, tmp_path)
    expected = read_bands(out)[0]
    server.clear()
    wrong = MODERN | {"earthsearch:boa_offset_applied": False}
    two_dates(server, numbers, offset=0, properties=wrong, declared=-0.1)
    done = run(server, out.with_name("flagged.tif"), tmp_path)
    bands, tags = read_bands(done.path)
    np.testing.assert_array_equal(bands["red"], expected["red"])
    assert tags["OFFSET_CONTRADICTED"] == "late"
    assert any("the offset is not in them" in note for note in done.notes)


@pytest.mark.long
def test_an_undisturbed_and_a_disturbed_run_give_the_same_file(
    server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path
) -> None:
    two_dates(server, numbers)
    whole = run(server, out, tmp_path)
    server.fault("search", status=503, times=1)
    server.fault("early/red.tif", status=500, times=1)
    server.fault("late/nir.tif", status=429, times=1)
    server.fault("late/scl.tif", wait_s=0.3, times=1)
    again = run(server, tmp_path / "composite.tif", tmp_path)
    assert again.sha256 == whole.sha256
    assert not again.failed


def test_an_unfinished_run_is_resumed_and_gives_the_same_file(
    server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path
) -> None:
    two_dates(server, numbers)
    whole = run(server, out, tmp_path)
    calls: list[int] = []

    class Stop:
        def start(self, what: str, pixels: int, done: int) -> None:
            calls.append(done)

        def advance(self, pixels: int) -> None:
            raise KeyboardInterrupt

        def stop(self) -> None:
            pass

    target = tmp_path / "composite.tif"
    with pytest.raises(KeyboardInterrupt):
        run(server, target, tmp_path, progress=Stop())
    assert not target.exists()
    with pytest.raises(JobError, match="restart=True"):
        run(server, target, tmp_path, composite="best-clear")
    server.fault("search", status=500)  # a resumed run asks the catalogue nothing, and reads nothing again
    before = server.requests()
    assert run(server, target, tmp_path).sha256 == whole.sha256
    assert server.requests() == before


def test_an_expired_signature_is_renewed(server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path) -> None:
    two_dates(server, numbers)
    signed = f'signing = "sas"\ntoken_url = "{server.url}/token/{{collection}}"'
    server.sign(life_s=3600)
    service = preset(server, tmp_path, signed)
    whole = run(server, out, tmp_path, service=service)

    def expire(_: object) -> None:
        server.expire()

    again = run(server, tmp_path / "composite.tif", tmp_path, service=service, announce=expire)
    assert again.sha256 == whole.sha256
    assert server.requests("/token/") == 3
    assert "sig=" not in again.lineage.read_text()


@pytest.mark.parametrize(
    "how",
    [
        "missing asset",
        "damaged",
        pytest.param("missing file", marks=pytest.mark.long),
        pytest.param("another zone", marks=pytest.mark.long),
    ],
)
def test_an_item_that_the_archive_cannot_give_is_left_out_and_named(
    server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path, how: str
) -> None:
    two_dates(server, numbers)
    name = f"broken-{how.replace(' ', '-')}"
    item = add_scene(server, name, numbers[1], real_numbers("pisa", 1, PISA)[1], "2023-07-01T10:10:00Z", properties=OLD)
    path = server.folder / server.places[name] / "red.tif"
    if how == "missing file":
        path.unlink()
    elif how == "missing asset":
        del item["assets"]["red"]
    elif how == "damaged":
        path.write_bytes(path.read_bytes()[:3000])
    else:
        item["properties"]["proj:epsg"] = 32631
    server.add(item)
    done = run(server, out, tmp_path)
    assert done.scenes == 2
    assert list(done.failed) == [name]
    assert read_bands(out)[1]["ITEMS_LEFT_OUT"] == name
    assert any(name in note for note in done.notes)


def test_a_server_that_never_answers_ends_the_run_and_says_how_to_go_on(
    server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path
) -> None:
    two_dates(server, numbers)
    server.fault("late/red.tif", status=500)
    with pytest.raises(NetworkError, match=r"could not be read in 3 attempts.*resumes"):
        run(server, out, tmp_path)
    assert not out.exists()


def test_all_cloud_no_items_and_unknown_ground_are_refused_before_pixels_are_read(
    server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path
) -> None:
    everywhere = (slice(0, 200), slice(0, 200))
    georeference = real_numbers("pisa", 1, PISA)[1]
    add_scene(server, "cloudy", numbers[0], georeference, "2023-05-01T10:10:00Z", cloud=everywhere, properties=OLD)
    with pytest.raises(EmptyError, match="all cloud"):
        run(server, out, tmp_path)
    with pytest.raises(EmptyError, match="no scene"):
        run(server, out, tmp_path, dates="2020")
    with pytest.raises(EmptyError, match="no scene"):
        run(server, out, tmp_path, aoi=(20, 43, 20.01, 43.01))
    item = add_scene(
        server, "hazy", numbers[0], georeference, "2023-05-01T10:10:00Z", properties={"eo:cloud_cover": 95}
    )
    assert item["properties"]["eo:cloud_cover"] == 95
    with pytest.raises(EmptyError, match="all cloud"):
        run(server, out, tmp_path)
    assert not list(out.parent.glob("*.tif"))


def test_what_cannot_be_fetched_is_refused_without_a_connection(server: Server, out: Path, tmp_path: Path) -> None:
    for given, part in (
        ({"dates": "2023-13"}, "not a date"),
        ({"dates": "2023-10/2023-04"}, "before they begin"),
        ({"dates": None}, "needs dates"),
        ({"aoi": None}, "aoi or by grid"),
        ({"bands": ("swir",)}, "swir"),
        ({"composite": "mean"}, "expected median"),
        ({"service": "nowhere"}, "no service"),
        ({"max_cloud": 101}, "max_cloud"),
    ):
        with pytest.raises(UsageError, match=part):
            run(server, out, tmp_path, **given)
    with pytest.raises(UsageError, match="no collection"):
        terrafine.fetch("modis", out, aoi=AOI, dates="2023", service=preset(server, tmp_path))
    assert server.requests("/") == 0


def test_an_area_too_large_for_the_disk_is_refused_before_the_first_request(
    server: Server, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DiskError, match="needs"):
        run(server, out, tmp_path)
    assert server.requests("/") == 0


def test_more_scenes_than_allowed_are_refused(
    server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path
) -> None:
    two_dates(server, numbers)
    with pytest.raises(ResourceError, match="more than 1 scenes"):
        run(server, out, tmp_path, max_scenes=1)


def test_an_address_elsewhere_is_not_opened(
    server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path
) -> None:
    two_dates(server, numbers)
    item = add_scene(server, "late", numbers[1], real_numbers("pisa", 1, PISA)[1], "2023-06-01T10:10:00Z")
    item["assets"]["red"]["href"] = "http://example.org/red.tif"
    server.add(item)
    with pytest.raises(NetworkError, match="is not an address on"):
        run(server, out, tmp_path)
    item["assets"]["red"]["href"] = "file:///etc/passwd"
    server.add(item)
    with pytest.raises(NetworkError, match="is not an address on"):
        run(server, out, tmp_path)


@pytest.mark.long
def test_blocks_of_any_size_give_the_same_pixels(
    server: Server, numbers: list[np.ndarray], out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_dates(server, numbers)
    run(server, out, tmp_path)
    monkeypatch.setattr("terrafine.acquire.blocks._STEP", 48)
    monkeypatch.setattr("terrafine.acquire.blocks._LARGEST", 48)
    run(server, out.with_name("blocks.tif"), tmp_path)
    whole, parts = read_bands(out)[0], read_bands(out.with_name("blocks.tif"))[0]
    for name, values in whole.items():
        np.testing.assert_array_equal(values, parts[name])
