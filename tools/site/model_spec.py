"""The reference of the model spec, from the one class that declares it: each field with its kind, default, meaning."""

from __future__ import annotations

import json
from typing import Any

from terrafine.nn.spec import ModelSpec

FILE = "src/terrafine/nn/model_spec.schema.json"
HEAD = """# Model spec

Every weights file (.safetensors) and every exported ONNX file says what a program must know to run it: JSON under the
metadata key `terrafine`. The fields below, and the [JSON Schema](model_spec.schema.json), are generated from the class
that Terrafine itself reads it with. The schema is in the package too: `terrafine/nn/model_spec.schema.json`. A spec is
also refused where `tile` is not a multiple of `multiple`, which the schema does not state.

```python
import json

import jsonschema
from safetensors import safe_open

with safe_open("model.safetensors", "np") as file:
    spec = json.loads(file.metadata()["terrafine"])
with open("model_spec.schema.json", encoding="utf-8") as file:
    jsonschema.validate(spec, json.load(file))
```

"""


def reference() -> str:
    """The page, in Markdown."""
    schema = ModelSpec.json_schema()
    lines = ["| field | value | default | meaning |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        default = f"`{json.dumps(field['default'])}`" if "default" in field else "required"
        lines.append(f"| `{name}` | {_kind(field)} | {default} | {field['description']} |")
    return HEAD + "\n".join(lines) + "\n"


def text() -> str:
    """The schema as a file."""
    return json.dumps(ModelSpec.json_schema(), indent=2, ensure_ascii=False) + "\n"


def _kind(field: dict[str, Any]) -> str:
    """A field's kind in words."""
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{v}`" for v in field["enum"])
    if field["type"] == "array":
        return f"list of {field['minItems']} to {field['maxItems']}, each {_kind(field['items'])}"
    if field["type"] == "object":
        inner = field["additionalProperties"]
        return f"table, each {_kind(inner)}" if inner else "table"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    bounds = f", {field['minimum']:g} to {field['maximum']:g}" if "minimum" in field else ""
    return words[field["type"]] + bounds
