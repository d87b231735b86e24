"""Options of `build_dataset` are one object or single keywords."""

from __future__ import annotations

import dataclasses

import pytest

from terrafine.datasets.impervious.options import DatasetFields, DatasetOptions, merged
from terrafine.errors import UsageError


def test_every_field_is_a_keyword() -> None:
    assert set(DatasetFields.__annotations__) - {"sealed"} == {f.name for f in dataclasses.fields(DatasetOptions)}


def test_single_fields_take_precedence() -> None:
    base = DatasetOptions(side=100, seed=3)
    found = merged(base, {"side": 200})
    assert (found.side, found.seed) == (200, 3)


def test_the_earlier_name_of_a_field_is_accepted() -> None:
    assert merged(None, {"sealed": ["2"]}).impervious == ["2"]
    assert merged(None, {"sealed": ["2"], "impervious": ["3"]}).impervious == ["3"]


def test_an_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown option sides; expected one of .*side"):
        merged(None, {"sides": 3})  # type: ignore[typeddict-unknown-key]
