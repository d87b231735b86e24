"""A record that does not fit its table is refused with file, table, key, the value found and what was expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrafine.errors import RecipeError
from terrafine.schema.check import build, conform, filled
from terrafine.schema.files import parse_json, parse_toml
from terrafine.schema.types import CONTROL, DataPath, Interval, Items, Name, Table, Within, shown


@dataclass(frozen=True)
class Inner:
    low: Annotated[int, Within(0, 9)]


@dataclass(frozen=True)
class Outer:
    name: Name
    rate: Annotated[float, Within(0, 1, above=True)]
    way: Literal["north", "south", "east"] = "north"
    paths: Mapping[DataPath, float] | None = None
    rows: Annotated[Sequence[float], Interval(0, 1)] = (0.0, 1.0)
    sizes: Annotated[tuple[int, ...], Items(0, 3)] = ()
    inner: Annotated[Mapping[str, int] | None, Table(Inner)] = None
    free: Any = None


GOOD: dict[str, Any] = {"name": "a", "rate": 0.5, "paths": {"x/*.tif": 1}, "inner": {"low": 3}, "sizes": [1, 2]}


def test_a_record_that_fits_becomes_the_dataclass_with_tuples_for_lists() -> None:
    found = build(Outer, GOOD, "r.toml: [outer]", RecipeError)
    assert found.sizes == (1, 2)
    assert found.paths == {"x/*.tif": 1}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rate": 0}, r"r\.toml: \[outer\] rate = 0: expected above 0, up to 1"),
        ({"rate": math.nan}, r"rate = nan: expected a number, above 0, up to 1"),
        ({"rate": math.inf}, "rate = inf"),
        ({"rate": True}, "rate = True: expected a number"),
        ({"rate": 10**400}, "rate = a number of about 400 digits"),
        ({"way": "west"}, "way = 'west': expected one of north, south, east"),
        ({"name": "../x"}, "expected a name of letters"),
        ({"paths": {"../x": 1.0}}, "paths: the name = '../x': expected a path inside the data folder"),
        ({"paths": {"/etc/passwd": 1.0}}, "expected a path inside the data folder"),
        ({"paths": {"x": "much"}}, r"paths\.x = 'much': expected a number"),
        ({"rows": [0.6, 0.4]}, r"rows = \[0\.6, 0\.4\]: expected \[from, to\]"),
        ({"sizes": [1, 2, 3, 4]}, "expected 0 to 3 entries"),
        ({"sizes": [1, 2.5]}, r"sizes\[1\] = 2\.5: expected a number without decimals"),
        ({"inner": {"low": 10}}, r"inner\.low = 10: expected 0 to 9"),
        ({"inner": {"hight": 1}}, "unknown keys"),
        ({"unknown": 1}, r"unknown keys \['unknown'\]"),
        ({"free": {"a": [math.nan]}}, r"free\.a\[0\] = nan"),
        ({"free": "\x1b[31m"}, "without control characters"),
        ({"free": "x" * 5000}, "up to 4000 characters"),
        ({"free": [[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]}, "nested more than"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=says) as error:
        build(Outer, GOOD | change, "r.toml: [outer]", RecipeError)
    assert str(error.value).startswith("r.toml: [outer]")
    assert len(str(error.value)) < 400


def test_missing_keys_are_named() -> None:
    with pytest.raises(RecipeError, match=r"missing keys \['name', 'rate'\]"):
        filled(Outer, {}, "r.toml", RecipeError)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_anything_is_taken_or_refused_with_a_message_that_steers_no_terminal(value: Any) -> None:
    for kind in (Outer, Any, Mapping[str, float], Sequence[int], Annotated[float, Within(0, 1)]):
        try:
            conform(kind, value, "f.toml: [t]", RecipeError)
        except RecipeError as e:
            assert not CONTROL.search(str(e))
            assert "\n" not in str(e)


@given(st.binary(max_size=200))
def test_any_bytes_are_json_and_toml_or_refused(data: bytes) -> None:
    for parse in (lambda: parse_json(data, "f", RecipeError, "a record"), lambda: parse_toml(data, "f", RecipeError)):
        try:
            parse()
        except RecipeError as e:
            assert not CONTROL.search(str(e))


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', '{"a": -Infinity}', '{"a": 1, "a": 2}', "[" * 100_000, "9" * 5_000, "[" * 40 + "]" * 40],
)
def test_json_that_is_not_strict_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(RecipeError):
        parse_json(text, "f.json", RecipeError, "a record")


@pytest.mark.parametrize("text", ['"\\ud800"', '{"a\\uDfff": 1}', '["\\udc00\\ud800"]', '"\ud800"'])
def test_half_a_character_is_refused_because_no_file_takes_it(text: str) -> None:
    with pytest.raises(RecipeError, match="is half of a character"):
        parse_json(text, "f.json", RecipeError, "a record")


def test_a_whole_pair_of_surrogates_is_one_character() -> None:
    assert parse_json(b'"\\ud83d\\ude00"', "f.json", RecipeError, "a record") == "\U0001f600"


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5_000, "a." * 50_000 + "a = 1", "a = " + "9" * 5_000, "a = " + "[" * 40 + "]" * 40, "a = 1\na = 2"],
)
def test_toml_that_takes_long_or_is_too_deep_is_refused(text: str) -> None:
    with pytest.raises(RecipeError):
        parse_toml(text.encode(), "f.toml", RecipeError)


def test_a_value_is_shown_on_one_short_line() -> None:
    assert "\x1b" not in shown("\x1b[2J" * 10)
    assert len(shown("x" * 10_000)) <= 80
    assert len(shown({"a" * 1000: ["b" * 1000] * 1000})) <= 80
    assert shown(10**5000).startswith("a number of about 50")
