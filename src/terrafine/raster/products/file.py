"""Product files: TOML with what a product is and its sensor model, shipped or made by `terrafine measure`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from terrafine.errors import SourceError
from terrafine.raster.products.model import Product, SensorModel, SensorUncertainty
from terrafine.raster.vertical import DATUMS
from terrafine.schema.files import read_toml
from terrafine.schema.types import CONTROL, shown

__all__ = ["product_text", "read_product"]

_REQUIRED = ("key", "name", "sensor", "origin")
_TEXTS = ("key", "name", "pattern", "datum", "surface", "url", "posting_unit", "origin")
_KNOWN = {field.name for field in fields(Product)}
# The largest value of each number of a sensor model: beyond it a unit must be wrong.
_LIMITS = {
    "psf_cells": 20.0,
    "noise_flat_m": 1000.0,
    "noise_slope_m": 10000.0,
    "correlation_cells": 20.0,
    "rounding_m": 100.0,
}


def read_product(path: str | os.PathLike[str]) -> Product:
    """The product that a file describes.

    Parameters
    ----------
    path
        A TOML file with `key`, `name`, `origin` and the table `[sensor]`; the other fields of `Product` are optional.

    Returns
    -------
    Product

    Raises
    ------
    SourceError
        For a file that is missing, no TOML, or has a field that is unknown, absent or out of its range.
    """
    name = os.fspath(path)
    try:
        found = read_toml(name, SourceError, "a product file")
    except SourceError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise SourceError(f"{name}: there is no such product file") from None
        raise
    return _product(name, found)


def _product(path: str, found: Mapping[str, Any]) -> Product:
    if missing := [key for key in _REQUIRED if key not in found]:
        raise SourceError(f"{path}: {', '.join(missing)} missing; expected a product file with {', '.join(_REQUIRED)}")
    if unknown := sorted(set(found) - _KNOWN):
        named = ", ".join(shown(key, 40)[1:-1] for key in unknown)
        raise SourceError(f"{path}: unknown field {named}; expected {', '.join(sorted(_KNOWN))}")
    texts = {key: found.get(key, "m" if key == "posting_unit" else "") for key in _TEXTS}
    for key, value in texts.items():
        if not isinstance(value, str) or CONTROL.search(value):
            raise SourceError(f"{path}: {key} is {shown(value, 80)}; expected text of one line")
    _one_of(path, "datum", texts["datum"], ("", *DATUMS))
    _one_of(path, "surface", texts["surface"], ("", "DSM", "DTM"))
    _one_of(path, "posting_unit", texts["posting_unit"], ("arcsec", "m"))
    posting = _number(path, "posting", found["posting"], 1e7) if "posting" in found else None
    return Product(
        **{**texts, "surface": texts["surface"] or None},
        posting=posting,
        sensor=SensorModel(**_sensor(path, found["sensor"])),
        uncertainty=None if "uncertainty" not in found else _uncertainty(path, found["uncertainty"]),
    )


def _one_of(path: str, key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise SourceError(f"{path}: {key} is {shown(value, 80)}; expected one of {', '.join(k for k in known if k)}")


def _number(path: str, key: str, value: Any, limit: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= limit:
        raise SourceError(f"{path}: {key} is {shown(value, 80)}; expected a number from 0 to {limit:g}")
    return float(value)


def _table(path: str, name: str, found: Any, kind: type) -> Mapping[str, Any]:
    names = [field.name for field in fields(kind)]
    if not isinstance(found, dict) or set(found) != set(names):
        held = ", ".join(shown(key, 40)[1:-1] for key in sorted(found)) if isinstance(found, dict) else shown(found, 80)
        raise SourceError(f"{path}: [{name}] holds {held}; expected {', '.join(names)}")
    return found


def _sensor(path: str, found: Any) -> dict[str, Any]:
    table = _table(path, "sensor", found, SensorModel)
    if not isinstance(table["exact"], bool):
        raise SourceError(f"{path}: exact is {shown(table['exact'], 80)}; expected true or false")
    return {**{key: _number(path, key, table[key], limit) for key, limit in _LIMITS.items()}, "exact": table["exact"]}


def _uncertainty(path: str, found: Any) -> SensorUncertainty:
    table = _table(path, "uncertainty", found, SensorUncertainty)
    return SensorUncertainty(**{key: _number(path, key, value, _LIMITS[key]) for key, value in table.items()})


def product_text(product: Product, comment: str = "") -> str:
    """The text of a product file that `read_product` reads as the same product; each line of `comment` after a `#`."""
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    for key in ("key", "name", "pattern", "datum", "surface", "url", "posting", "posting_unit", "origin"):
        value = getattr(product, key)
        if value not in (None, ""):
            lines.append(f"{key} = {_literal(value)}")
    for name in ("sensor", "uncertainty"):
        table = getattr(product, name)
        if table is not None:
            lines += ["", f"[{name}]", *(f"{f.name} = {_literal(getattr(table, f.name))}" for f in fields(table))]
    return "\n".join(lines) + "\n"


def _literal(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value.replace("\n", " "), ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML escapes it
    return repr(float(value))
