"""The published schema of the model spec is the one that the class has, and every shipped weights file fits it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from safetensors import safe_open
from tests.support.paths import ROOT
from tools.site import model_spec

from terrafine.errors import WeightsError
from terrafine.nn.spec import ModelSpec
from terrafine.schema.json_schema import schema_of

SCHEMA = json.loads((ROOT / model_spec.FILE).read_text(encoding="utf-8"))
WEIGHTS = sorted((ROOT / "src").rglob("*.safetensors"))
GOOD = json.loads(ModelSpec("srcnn", "srcnn", "1.0", ("elevation",), ("elevation",), scale=4, halo=6).to_json())


def record(path: Path) -> dict[str, Any]:
    with safe_open(path, "np") as file:
        return json.loads(file.metadata()["terrafine"])


def test_the_published_file_is_what_the_class_gives() -> None:
    """Where it differs: python -c 'from tools.site import model_spec as m; open(m.FILE, "w").write(m.text())'."""
    assert (ROOT / model_spec.FILE).read_text(encoding="utf-8") == model_spec.text()
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda p: p.stem)
def test_shipped_weights_fit_the_schema(path: Path) -> None:
    jsonschema.validate(record(path), SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0},
        {"scale": "4"},
        {"scale": 4.5},
        {"inputs": []},
        {"inputs": ["Elevation"]},
        {"tiling": "overlap"},
        {"tolerance_m": -1},
        {"calibration": {"sigma": -0.5}},
        {"calibration": [1]},
        {"name": "../x"},
        {"relative": 1},
        {"halo": 5000},
        {"wheels": 4},
        {"format": 2},
    ],
    ids=str,
)
def test_what_the_class_refuses_the_schema_refuses(change: dict[str, Any]) -> None:
    jsonschema.validate(GOOD, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(GOOD | change, SCHEMA)
    with pytest.raises(WeightsError):
        ModelSpec.from_json(json.dumps(GOOD | change))


@pytest.mark.parametrize("name", [k for k in GOOD if k in SCHEMA["required"]])
def test_a_spec_without_a_required_field_is_refused(name: str) -> None:
    poorer = {k: v for k, v in GOOD.items() if k != name}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(poorer, SCHEMA)
    with pytest.raises(WeightsError):
        ModelSpec.from_json(json.dumps(poorer))


def test_every_field_has_a_meaning_and_its_default() -> None:
    assert [n for n, field in SCHEMA["properties"].items() if not field["description"]] == []
    optional = set(SCHEMA["properties"]) - set(SCHEMA["required"])
    assert optional == {n for n, field in SCHEMA["properties"].items() if "default" in field}
    page = model_spec.reference()
    assert all(f"| `{name}` |" in page for name in SCHEMA["properties"])
    assert "| `scale` | whole number, 1 to 64 | required |" in page


def test_an_annotation_without_a_schema_is_an_error() -> None:
    import dataclasses

    odd = dataclasses.make_dataclass("Odd", [("when", complex)])
    with pytest.raises(TypeError, match="complex"):
        schema_of(odd)
