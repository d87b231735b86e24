"""Every argument of every verb, with values that it cannot take: a Terrafine error, and nothing is written."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.cli import terrafine as terrafine_cli

import terrafine
from terrafine.arguments import check_kind, fits
from terrafine.datasets.impervious.options import DatasetFields, DatasetOptions
from terrafine.errors import TerrafineError, UsageError
from terrafine.physics.backscatter import Backscatter
from terrafine.physics.sensor_model import Sensor
from terrafine.workflows.export import export_model
from terrafine.workflows.fields import (
    DemFields,
    EvaluateFields,
    GeocodeFields,
    HeightFields,
    ImageFields,
    MeasureFields,
    RadarFields,
)
from terrafine.workflows.options import Guidance, ReadOptions, RunOptions

WRONG: dict[str, Any] = {
    "None": None,
    "''": "",
    "blank": "  ",
    "[]": [],
    "{}": {},
    "set()": set(),
    "object": object(),
    "nan": math.nan,
    "inf": 1e400,
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "True": True,
    "b''": b"",
    "b'a.tif'": b"a.tif",
    "Path('')": Path(),
    "nul": "a\0b",
    "surrogate": "a\ud800",
    "[None]": [None],
    "[True]": [True],
    "{1: None}": {1: None},
    "array": np.array([]),
    "type": dict,
}
FILES: dict[str, tuple[Callable[..., Any], Any, dict[str, Any]]] = {
    "sharpen_dem": (terrafine.sharpen_dem, DemFields, {"source": "no.tif", "destination": "out.tif"}),
    "estimate_height": (terrafine.estimate_height, HeightFields, {"source": "no.tif", "destination": "out.tif"}),
    "map_impervious": (terrafine.map_impervious, ImageFields, {"source": "no.tif", "destination": "out.tif"}),
    "sharpen_image": (terrafine.sharpen_image, ImageFields, {"source": "no.tif", "destination": "out.tif"}),
    "map_radar": (
        terrafine.map_radar,
        RadarFields,
        {"source": "no.tif", "destination": "out.tif", "orbit": "ascending"},
    ),
    "geocode_radar": (
        terrafine.geocode_radar,
        GeocodeFields,
        {"products": ["no.SAFE"], "destination": "out.tif", "dem": "no.tif"},
    ),
    "evaluate": (terrafine.evaluate, EvaluateFields, {"candidates": "no.tif", "reference": "nor.tif"}),
    "measure_product": (terrafine.measure_product, MeasureFields, {"coarse": "no.tif", "reference": "nor.tif"}),
    "train": (terrafine.train, None, {"recipe": "no.toml"}),
    "build_dataset": (terrafine.build_dataset, DatasetFields, {"images": ["no.tif"], "labels": ["n.tif"], "out": "o"}),
    "export_model": (export_model, None, {"model": "no-such-model", "destination": "out.onnx"}),
}
"""Each verb with the smallest call, on files that are not there: a value of a right kind ends at the first of them."""

NUMBERS = {"-1", "0", "1.5"}
OF_KIND: dict[str, set[str]] = {
    "destination preview model regions anchor coarse out gate classes recipe data_root start dem": {"Path('')"},
    "histogram_of reference product reference_product": {"Path('')"},
    "consistency orbit kind region_name name slope_method engine device assume_crs elevation_unit": set(),
    "vertical_datum sensor bands target_crs images target_resolution stages_m stream_areas_km2 class_names": set(),
    "band_numbers read run guidance target parameters options road_widths hold_out impervious": set(),
    "uncertainty self_ensemble reference_points probability sigma restart coregister hydrology": {"True"},
    "scale threads tile block bootstrap_side draws seed side count memory": {"-1", "0"},
    "tolerance_m threshold max_bright heading latitude geoid_m divide_by full_scale coarse_scale": NUMBERS,
    "spacing_m block_m": NUMBERS,
    "shares multipliers": {"{}"},
    "masks unknown": {"[]"},
    "nodata": {"nan", "inf", "-1", "0", "1.5"},
    "progress": {"True", "type"},
    "report": {"type"},
}
"""Of each argument, which of the wrong values are of its kind; `None` besides, where it is the default."""
KINDS = {name: right for names, right in OF_KIND.items() for name in names.split()}

CASES = [
    (verb, name)
    for verb, (function, fields, _) in FILES.items()
    for name in (
        *(p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD),
        *(() if fields is None else fields.__annotations__),
    )
]


def call(verb: str, **changed: Any) -> None:
    function, _, base = FILES[verb]
    function(**(base | changed))


@pytest.mark.parametrize(("verb", "name"), CASES)
def test_a_value_that_an_argument_cannot_take_is_refused_and_nothing_is_written(
    verb: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fields = FILES[verb][1]
    optional = name in getattr(fields, "__annotations__", {}) and "None" in str(fields.__annotations__[name])
    parameter = inspect.signature(FILES[verb][0]).parameters.get(name)
    optional = optional or (parameter is not None and parameter.default is None)
    for label, value in WRONG.items():
        right = label in KINDS.get(name, set()) or (label == "None" and optional)
        expected = UsageError if name in KINDS and not right else TerrafineError
        with pytest.raises(expected) as caught:
            call(verb, **{name: value})
        message = str(caught.value)
        assert "\n" not in message.strip(), message
        assert len(message) < 500, message
        if expected is UsageError:
            assert name in message, (label, message)
        assert list(tmp_path.iterdir()) == [], (label, message)


@pytest.mark.parametrize("verb", FILES)
def test_a_missing_and_an_unknown_argument_are_usage_errors(verb: str) -> None:
    function, _, base = FILES[verb]
    first = next(iter(base))
    with pytest.raises(UsageError, match=first):
        function(**{name: value for name, value in base.items() if name != first})
    with pytest.raises(UsageError, match="zzz"):
        call(verb, zzz=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda value: ReadOptions(assume_crs=value),
        lambda value: ReadOptions(pixel_size_m=value),
        lambda value: RunOptions(threads=value),
        lambda value: Guidance(files={"vv": value}),
        lambda value: Guidance(heading=value),
        lambda value: Guidance(unit=value),
        lambda value: check_fields_of(DatasetOptions(side=320, pixel_size_m=value)),
        lambda value: check_fields_of(DatasetOptions(sensor=value)),
        lambda value: check_fields_of(Backscatter(level_db=value)),
        lambda value: check_fields_of(Sensor(noise=value)),
    ],
)
@pytest.mark.parametrize("label", ["''", "[]", "{}", "object", "nan", "inf", "True", "b''", "array"])
def test_a_field_of_an_option_object_is_held_against_its_kind(make: Callable[[Any], object], label: str) -> None:
    with pytest.raises(UsageError):
        make(WRONG[label])


def check_fields_of(options: Any) -> None:
    """As an argument of a verb is."""
    if isinstance(options, Backscatter):
        terrafine.map_radar("no.tif", "out.tif", orbit="ascending", parameters=options)
    elif isinstance(options, Sensor):
        terrafine.build_dataset(["no.tif"], ["no.tif"], "o", sensor=options)
    else:
        terrafine.build_dataset(["no.tif"], ["no.tif"], "o", options)


@pytest.mark.parametrize(
    ("value", "annotation", "right"),
    [
        (np.float32(3), "float", True),
        (np.int64(3), "int", True),
        (np.bool_(True), "bool", True),
        (np.bool_(True), "float", False),
        (3, "float", True),
        (3.0, "int", False),
        ("a.tif", "Sequence[PathLike]", False),
        (("a.tif", Path("b.tif")), "PathLike | Sequence[PathLike]", True),
        ({"red": 1}, "Mapping[str, int] | None", True),
        ({"red": 1.0}, "Mapping[str, int] | None", False),
        ([1.0, 2], "tuple[float, float]", True),
        ([1.0], "tuple[float, float]", False),
        ([1.0, math.nan], "tuple[float, float]", False),
        (("a", "b", "c"), "tuple[str, ...]", True),
        ("abc", "tuple[str, ...]", False),
        (print, "Callable[[int], None] | bool", True),
        (object(), "Progress | int", True),  # a protocol is left to what it goes to
        (object(), "Sensor | None", False),
        (Sensor(), "Sensor | None", True),
        (object(), "Any", True),
    ],
)
def test_a_kind_is_read_from_the_annotation(value: Any, annotation: str, right: bool) -> None:
    assert fits(value, annotation) is right


def test_a_message_names_what_was_found_and_what_was_expected() -> None:
    with pytest.raises(UsageError, match=r"^anchor: found a object; expected a path$"):
        terrafine.estimate_height("a.tif", "b.tif", anchor=object())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^bands=\{'red': '1'\}; expected .* each key text and each value a whole"):
        terrafine.sharpen_image("a.tif", "b.tif", bands={"red": "1"})  # type: ignore[dict-item]
    with pytest.raises(UsageError, match=r"^masks='a.tif'; expected a list of which each is a path$"):
        terrafine.evaluate("a.tif", "b.tif", masks="a.tif")
    with pytest.raises(UsageError, match="expected at least one entry, or leave it out"):
        check_kind("bands", {}, "Mapping[str, int] | None")


def test_blank_text_reads_well_on_the_command_line() -> None:
    result = terrafine_cli("dem", "a.tif", "b.tif", "--vertical-datum", "")
    assert result.exit_code == 2
    assert "--vertical-datum ''; expected text" in result.output


@pytest.mark.parametrize("kind", [complex, bool, object, "M8[D]", str])
def test_an_array_of_heights_holds_real_numbers(kind: Any) -> None:
    with pytest.raises(UsageError, match="expected heights as"):
        terrafine.sharpen_dem(np.zeros((4, 4)).astype(kind), pixel_size_m=30.0, scale=2, model="nearest")


def test_kinds_cover_every_argument_but_those_that_verbs_read_themselves() -> None:
    def open_ended(annotation: Any) -> bool:
        return fits(object(), getattr(annotation, "__forward_arg__", annotation))

    unread = {
        name
        for function, fields, _ in FILES.values()
        for name, annotation in (
            *((p.name, p.annotation) for p in inspect.signature(function).parameters.values() if p.kind != 4),
            *(() if fields is None else fields.__annotations__.items()),
        )
        if open_ended(annotation)
    }
    assert unread <= {"source", "dask", "progress"}
