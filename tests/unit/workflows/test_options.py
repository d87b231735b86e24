"""Options as objects and as keywords: merged, checked, and refused with the closest names."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import terrafine
from terrafine import ReadOptions, RunOptions, TargetGrid
from terrafine.errors import GridError, UsageError
from terrafine.inference.progress import Bar
from terrafine.workflows.fields import DemFields, ImageFields, merge_options
from terrafine.workflows.options import parse_size

TAKE_FIELDS = ("estimate_height", "evaluate", "map_impervious", "map_radar", "sharpen_dem", "sharpen_image")
VERBS = tuple(name for name in terrafine.__all__ if inspect.isfunction(getattr(terrafine, name)))
ARGUMENTS: dict[str, dict[str, Any]] = {"map_radar": {"orbit": "ascending"}}


def verb(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(terrafine, name)
    return found


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_has_at_most_13_parameters(name: str) -> None:
    assert 0 < len(inspect.signature(verb(name)).parameters) <= 13


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_verb_explains_every_parameter(name: str) -> None:
    text = inspect.getdoc(verb(name)) or ""
    assert all(f"\n{title}\n---" in text for title in ("Parameters", "Returns", "Raises"))
    for parameter in inspect.signature(verb(name)).parameters:
        assert parameter in text


@pytest.mark.parametrize("name", TAKE_FIELDS)
def test_an_unknown_keyword_is_refused_with_the_closest(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} has no argument 'assume_csr'; closest are assume_crs"):
        verb(name)("a.tif", "b.tif", assume_csr="EPSG:32633", **ARGUMENTS.get(name, {}))
    with pytest.raises(
        UsageError, match=r"has no argument 'zzz'; expected one of (source, destination|candidates, reference)"
    ):
        verb(name)("a.tif", "b.tif", zzz=1, **ARGUMENTS.get(name, {}))


def test_a_keyword_overrides_a_field_and_the_rest_stays() -> None:
    read, run = merge_options(
        terrafine.sharpen_dem,
        DemFields,
        ReadOptions(nodata=-1.0, assume_crs="EPSG:32633"),
        RunOptions(tile=64, memory="1GB"),
        {"nodata": 0.0, "memory": "2GB"},
    )
    assert read == ReadOptions(nodata=0.0, assume_crs="EPSG:32633")
    assert (run.tile, run.memory_bytes) == (64, 2_000_000_000)


def test_options_in_objects_and_keywords_give_the_same_output() -> None:
    values = np.random.default_rng(3).normal(100, 5, (16, 16)).astype(np.float32)
    one = terrafine.sharpen_dem(values, model="bicubic", scale=2, pixel_size_m=30.0, tile=16)
    two = terrafine.sharpen_dem(
        values, model="bicubic", scale=2, read=ReadOptions(pixel_size_m=30.0), run=RunOptions(tile=16)
    )
    np.testing.assert_array_equal(one, two)


def test_a_field_that_a_verb_does_not_use_is_refused() -> None:
    for options, name in (
        (ReadOptions(elevation_unit="ft"), "elevation_unit"),
        (ReadOptions(vertical_datum="EGM96"), "vert"),
    ):
        with pytest.raises(UsageError, match=rf"map_impervious does not use {name}.* of ReadOptions"):
            merge_options(terrafine.map_impervious, ImageFields, options, None, {})
    with pytest.raises(UsageError, match="pixel_size_m is for numpy images"):
        terrafine.map_impervious("a.tif", "b.tif", pixel_size_m=3.0)
    with pytest.raises(UsageError, match="does not use engine of RunOptions"):
        merge_options(terrafine.map_impervious, ImageFields, None, RunOptions(engine="onnx"), {})
    with pytest.raises(UsageError, match="found a dict; expected RunOptions"):
        terrafine.sharpen_dem("a.tif", "b.tif", run={"tile": 3})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RunOptions(memory=True), "not a size"),
        (lambda: RunOptions(memory="lots"), "'lots' is not a size; expected for example 4GB"),
        (lambda: RunOptions(memory=0), "not a size"),
        (lambda: RunOptions(memory=1.5), "not a size"),  # type: ignore[arg-type]
        (lambda: RunOptions(threads=0), "threads=0; expected a whole number"),
        (lambda: RunOptions(threads=True), "threads=True"),
        (lambda: RunOptions(tile=2.5), r"tile=2\.5"),  # type: ignore[arg-type]
        (lambda: RunOptions(restart="yes"), "restart='yes'"),  # type: ignore[arg-type]
        (lambda: RunOptions(engine="tensorflow"), "engine 'tensorflow': expected one of torch, openvino, onnx"),
        (lambda: RunOptions(device="gpu9"), "device 'gpu9': expected auto, cpu, cuda, cuda:N or mps"),
        (lambda: RunOptions(device="cuda", engine="onnx"), "the engine onnx runs on the CPU"),
        (lambda: RunOptions(device="mps", engine="openvino"), "the engine openvino runs on the CPU"),
        (lambda: RunOptions(precision="float16"), "precision 'float16': expected one of float32, bfloat16"),
        (lambda: RunOptions(precision="bfloat16", engine="onnx"), "the engine onnx has float32"),
        (lambda: RunOptions(progress=1), "progress 1: expected True, False"),  # type: ignore[arg-type]
        (lambda: RunOptions(report="print"), "report 'print': expected a function"),  # type: ignore[arg-type]
        (lambda: RunOptions(dask=8786), "dask=8786; expected an address"),
        (lambda: ReadOptions(bands=["red"]), "expected numbers by name"),  # type: ignore[arg-type]
        (lambda: ReadOptions(bands={"red": 0}), "band red is number 0; expected a whole number, counted from 1"),
        (lambda: ReadOptions(bands={"red": "1"}), "band red is number '1'"),  # type: ignore[dict-item]
        (lambda: ReadOptions(nodata="none"), "nodata='none'; expected a number"),  # type: ignore[arg-type]
        (lambda: ReadOptions(elevation_unit=1), "elevation_unit=1; expected text"),  # type: ignore[arg-type]
        (lambda: TargetGrid((0.0, 5.0)), "target_resolution"),
        (lambda: TargetGrid(5.0), "expected two sizes above 0"),  # type: ignore[arg-type]
        (lambda: TargetGrid((float("nan"), 5.0)), "target_resolution"),
    ],
)
def test_a_value_that_no_verb_can_use_is_a_usage_error(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_true_is_a_progress_bar_and_false_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert isinstance(RunOptions(progress=True).reporter, Bar)
    assert RunOptions(progress=False).reporter is None
    bar = Bar()
    assert RunOptions(progress=bar).reporter is bar


@pytest.mark.parametrize(("text", "size"), [("4GB", 4 * 10**9), ("512MiB", 2**29), ("1.5 g", 1_500_000_000), (77, 77)])
def test_a_size_is_bytes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("crs", ["EPSG:99999", "EPSG:32633+5773", "EPSG:5773", "EPSG:4978", "Atlantis"])
def test_a_target_crs_that_cannot_serve_is_refused_before_anything_is_read(crs: str) -> None:
    with pytest.raises(GridError, match="expected for example EPSG:32633"):
        terrafine.sharpen_dem("not-there.tif", "out.tif", target_crs=crs)
