"""A spec says all that the engine must know, survives its file, and refuses what cannot be meant."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrafine.errors import WeightsError
from terrafine.nn.spec import SPEC_FORMAT, ModelSpec

GOOD = ModelSpec("srcnn", "srcnn", "1.0", ("elevation",), ("elevation",), scale=4, halo=6)

text = st.from_regex(r"\A[a-z][a-z0-9_]{0,7}\Z")
numbers = st.floats(0, 1e6)
specs = st.builds(
    ModelSpec,
    system=text,
    name=text,
    version=text,
    inputs=st.lists(text, min_size=1, max_size=3).map(tuple),
    outputs=st.lists(text, min_size=1, max_size=3).map(tuple),
    scale=st.integers(1, 12),
    halo=st.integers(0, 100),
    multiple=st.just(8),
    tiling=st.sampled_from(["exact", "blend"]),
    tile=st.integers(1, 40).map(lambda n: 8 * n),
    network=st.dictionaries(text, st.integers() | text | numbers | st.booleans(), max_size=4),
    tolerance_m=numbers,
    calibration=st.dictionaries(text, numbers, max_size=2),
    provenance=st.dictionaries(text, text | st.lists(text, max_size=2), max_size=3),
)


@given(specs)
def test_a_spec_survives_json(spec: ModelSpec) -> None:
    assert ModelSpec.from_json(spec.to_json()) == spec


@given(specs)
def test_equal_specs_give_equal_text_whatever_the_order_of_their_keys(spec: ModelSpec) -> None:
    turned = dataclasses.replace(spec, network=dict(reversed(list(spec.network.items()))))
    assert turned.to_json() == spec.to_json()


def test_a_changed_field_changes_the_text() -> None:
    assert dataclasses.replace(GOOD, halo=7).to_json() != GOOD.to_json()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("inputs", (), "inputs is empty"),
        ("outputs", (), "outputs is empty"),
        ("scale", 0, "scale is 0"),
        ("halo", -1, "halo is -1"),
        ("multiple", 0, "multiple is 0"),
        ("multiple", 7, "not a multiple of 7"),
        ("tile", 0, "below multiple"),
        ("tiling", "whole", "tiling is 'whole'"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused_with_the_reason(field: str, value: Any, said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        dataclasses.replace(GOOD, **{field: value})


def test_nan_is_no_json() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        dataclasses.replace(GOOD, tolerance_m=float("nan")).to_json()


def record(**changes: object) -> str:
    return json.dumps({**json.loads(GOOD.to_json()), **changes})


def without(key: str) -> str:
    return json.dumps({k: v for k, v in json.loads(GOOD.to_json()).items() if k != key})


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "expected a spec of format"),
        ("null", "expected a spec of format"),
        ("{}", "expected a spec of format"),
        (record(format=SPEC_FORMAT + 1), "expected a spec of format"),
        (record(colour="red"), r"unknown spec fields \['colour'\]"),
        (without("halo"), r"missing keys \['halo'\]"),
        (without("inputs"), r"missing keys \['inputs'\]"),
        (record(inputs=3), "inputs = 3: expected a list"),
        (record(inputs=[]), "expected 1 to 16 entries"),
        (record(inputs=["\x1b[2J"]), "expected the name of a band"),
        (record(scale="four"), "scale = 'four': expected a number without decimals"),
        (record(scale=0), "scale = 0: expected 1 to 64"),
        (record(scale=10**9), "expected 1 to 64"),
        (record(halo=10**9), "halo = 1000000000: expected 0 to 4096"),
        (record(tile=7, multiple=2), "tile 7 is not a multiple of 2"),
        (record(calibration={"sigma": -1}), "expected 0 to 1000000"),
        (record(provenance={"licence": "\x1b]0;evil\x07"}), "without control characters"),
        (record(relative=1), "relative = 1: expected true or false"),
    ],
)
def test_a_document_that_is_no_spec_is_refused_and_the_file_named(document: str, said: str) -> None:
    with pytest.raises(WeightsError, match=said) as caught:
        ModelSpec.from_json(document, where="some.safetensors")
    assert str(caught.value).startswith("some.safetensors")
