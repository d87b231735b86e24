"""Schemas of the STAC extensions that a product declares, and pystac and stac-validator reading them without a network.

They are written here from the published field tables of the extensions, with all that these require of the records that
declare them: fields with the extension's prefix that it does not define are refused, as in the published schemas.
The published schemas themselves lie on the network, and no package of a registry holds them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

__all__ = ["CORE", "SCHEMAS", "record_problem", "stac_validator_message", "write_schemas"]

_URL = "https://stac-extensions.github.io/{}/schema.json"
CORE = "https://schemas.stacspec.org/v1.1.0/{}"
Schema = dict[str, Any]
_NUMBER, _INTEGER, _TEXT = {"type": "number"}, {"type": "integer"}, {"type": "string", "minLength": 1}


def _fields(prefix: str, **fields: Schema) -> Schema:
    """An object whose fields of a prefix are those alone."""
    own = {f"{prefix}:{name}": schema for name, schema in fields.items()}
    return {
        "type": "object",
        "properties": own,
        "patternProperties": {f"^(?!{prefix}:)": {}},
        "additionalProperties": False,
    }


def _with_bands(fields: Schema) -> Schema:
    """The fields in an object, or in its bands (STAC 1.1)."""
    return {"allOf": [fields, {"properties": {"bands": {"type": "array", "items": fields}}}]}


def _any_field(fields: Schema) -> list[Schema]:
    return [{"required": [name]} for name in fields["properties"]]


def _somewhere(fields: Schema, *, bands: bool) -> Schema:
    """An object that holds at least one of the fields."""
    there = _any_field(fields)
    if bands:
        there.append(
            {
                "required": ["bands"],
                "properties": {"bands": {"type": "array", "contains": {"anyOf": _any_field(fields)}}},
            }
        )
    return {"anyOf": there}


def _extension(key: str, fields: Schema, *, bands: bool, collection: Schema | None = None) -> Schema:
    """A schema: declared, fields valid wherever they stand, and at least one of them used."""
    address = _URL.format(key)
    valid = _with_bands(fields) if bands else fields
    some = _somewhere(fields, bands=bands)
    held = {"type": "object", "minProperties": 1, "not": {"additionalProperties": {"not": some}}}
    assets = {"type": "object", "additionalProperties": valid}
    item = {
        "properties": {"properties": valid, "assets": assets},
        "anyOf": [{"properties": {"properties": some}}, {"properties": {"assets": held}}],
    }
    whole = {
        "properties": {"assets": assets, "item_assets": assets},
        "anyOf": [
            {"required": ["item_assets"], "properties": {"item_assets": held}},
            {"required": ["summaries"], "properties": {"summaries": some}},
        ],
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": address,
        "type": "object",
        "required": ["type", "stac_extensions"],
        "properties": {"stac_extensions": {"type": "array", "contains": {"const": address}}},
        "if": {"properties": {"type": {"const": "Feature"}}},
        "then": item,
        "else": collection or whole,
    }


def _numbers(*lengths: int, kind: Schema = _NUMBER) -> Schema:
    sizes = [{"minItems": n, "maxItems": n} for n in lengths]
    return {"type": "array", "items": kind, "oneOf": sizes}


# https://github.com/stac-extensions/projection, version 2.0.0: proj:epsg is removed
_PROJECTION = _fields(
    "proj",
    code={"type": ["string", "null"], "pattern": "^[A-Za-z0-9_.]+:[A-Za-z0-9_.]+$"},
    wkt2={"type": ["string", "null"]},
    projjson={"type": ["object", "null"]},
    geometry={"type": "object", "required": ["type", "coordinates"]},
    bbox=_numbers(4, 6),
    centroid={"type": "object", "required": ["lat", "lon"]},
    shape=_numbers(2, kind=_INTEGER),
    transform=_numbers(6, 9),
)
# https://github.com/stac-extensions/raster, version 2.0.0: in `bands`, `raster:bands` is removed
_RASTER = _fields(
    "raster",
    bits_per_sample=_INTEGER,
    sampling={"enum": ["area", "point"]},
    scale=_NUMBER,
    offset=_NUMBER,
    spatial_resolution=_NUMBER,
    histogram={"type": "object", "required": ["count", "min", "max", "buckets"]},
)
_CLASS = {
    "type": "object",
    "required": ["value", "name"],
    "properties": {
        "value": _INTEGER,
        "name": {"type": "string", "pattern": "^[0-9A-Za-z-_]+$"},
        "title": _TEXT,
        "description": _TEXT,
        "color_hint": {"type": "string", "pattern": "^[0-9A-F]{6}$"},
        "nodata": {"type": "boolean"},
        "percentage": {"type": "number", "minimum": 0, "maximum": 100},
        "count": {"type": "integer", "minimum": 0},
    },
}
# https://github.com/stac-extensions/classification, version 2.0.0
_CLASSES = _fields(
    "classification",
    classes={"type": "array", "minItems": 1, "uniqueItems": True, "items": _CLASS},
    bitfields={"type": "array", "minItems": 1},
)
# https://github.com/stac-extensions/processing, version 1.2.0
_PROCESSING = _fields(
    "processing",
    expression={"type": "object", "required": ["format", "expression"]},
    lineage=_TEXT,
    level=_TEXT,
    facility=_TEXT,
    version=_TEXT,
    datetime=_TEXT,
    software={"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
)
# https://github.com/stac-extensions/file, version 2.1.0
_FILE = _fields(
    "file",
    byte_order={"enum": ["big-endian", "little-endian"]},
    checksum={"type": "string", "pattern": "^[a-f0-9]+$"},
    header_size={"type": "integer", "minimum": 0},
    size={"type": "integer", "minimum": 0},
    values={"type": "array", "minItems": 1},
    local_path=_TEXT,
)
# https://github.com/stac-extensions/scientific, version 1.0.0
_SCIENTIFIC = _fields(
    "sci",
    doi={"type": "string", "pattern": "^10\\.[0-9a-zA-Z]{4,}/[^\\s]+$"},
    citation=_TEXT,
    publications={"type": "array", "items": {"type": "object"}},
)
SCHEMAS: Mapping[str, Schema] = {
    schema["$id"]: schema
    for schema in (
        _extension("projection/v2.0.0", _PROJECTION, bands=False),
        _extension("raster/v2.0.0", _RASTER, bands=True),
        _extension("classification/v2.0.0", _CLASSES, bands=True),
        _extension("processing/v1.2.0", _PROCESSING, bands=False),
        _extension("file/v2.1.0", _FILE, bands=False),
        _extension(
            "scientific/v1.0.0",
            _SCIENTIFIC,
            bands=False,
            collection={"allOf": [_SCIENTIFIC, {"anyOf": _any_field(_SCIENTIFIC)}]},
        ),
    )
}


def record_problem(record: Mapping[str, Any]) -> str:
    """What pystac finds wrong with a record and the extensions that it declares; empty for nothing.

    A schema that is not here is an error of `pystac`, since none is fetched.
    """
    from pystac import STACObjectType
    from pystac.errors import STACValidationError
    from pystac.validation.stac_validator import JsonSchemaSTACValidator

    validator = JsonSchemaSTACValidator()
    validator.schema_cache = {**validator.schema_cache, **SCHEMAS}
    kind = STACObjectType.ITEM if record["type"] == "Feature" else STACObjectType.COLLECTION
    try:
        validator.validate(dict(record), kind, "1.1.0", list(record["stac_extensions"]))
    except STACValidationError as error:
        return str(error)
    return ""


def _absolute(schema: Any, base: str) -> Any:
    """A schema whose references to other files are whole addresses, for a reader that takes them from a file."""
    if isinstance(schema, list):
        return [_absolute(part, base) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: urljoin(base, value) if key == "$ref" and not value.startswith("#") else _absolute(value, base)
        for key, value in schema.items()
    }


def write_schemas(folder: Path) -> dict[str, str]:
    """Write the schemas, and those of STAC and GeoJSON that pystac holds, as files; return address to file."""
    from pystac.validation.local_validator import get_local_schema_cache

    core = {address.rstrip("#"): schema for address, schema in get_local_schema_cache().items()}
    whole = {key: {**_absolute(schema, key), "$id": key} for key, schema in core.items()} | SCHEMAS
    found = {}
    for number, (address, schema) in enumerate(whole.items()):
        path = folder / f"{number}.json"
        path.write_text(json.dumps(schema), encoding="utf-8")
        found[address] = str(path)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def stac_validator_message(path: Path, schemas: Mapping[str, str], only: Sequence[str] = ()) -> dict[str, Any]:
    """What stac-validator says of a file, the core schema and each declared extension taken from files."""
    with _quiet():
        from stac_validator.stac_validator import StacValidate

        run = StacValidate(str(path), schema_map=dict(schemas))
        run.run()
    (message,) = run.message
    return dict(message)
