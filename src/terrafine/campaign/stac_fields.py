"""Which extensions of STAC a record uses: they are declared where one of their fields stands, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["extensions_of"]

_SCHEMA = "https://stac-extensions.github.io/{}/schema.json"
_EXTENSIONS = {
    "proj:": _SCHEMA.format("projection/v2.0.0"),
    "raster:": _SCHEMA.format("raster/v2.0.0"),
    "classification:": _SCHEMA.format("classification/v2.0.0"),
    "processing:": _SCHEMA.format("processing/v1.2.0"),
    "file:": _SCHEMA.format("file/v2.1.0"),
    "sci:": _SCHEMA.format("scientific/v1.0.0"),
}


def extensions_of(record: Mapping[str, Any]) -> list[str]:
    """The schemas of the extensions whose fields a record holds at any depth.

    Parameters
    ----------
    record
        An item or a collection.

    Returns
    -------
    list of str
    """
    names = set(_names(record))
    return [schema for prefix, schema in _EXTENSIONS.items() if any(name.startswith(prefix) for name in names)]


def _names(value: Any) -> Iterator[str]:
    """Names of fields at any depth."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)
