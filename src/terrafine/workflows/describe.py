"""`describe`: what a model, a weights file or a raster states about itself; `terrafine info` prints it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.errors import NoModelError, SourceError
from terrafine.workflows.options import ReadOptions

if TYPE_CHECKING:
    from terrafine.nn.spec import ModelSpec
    from terrafine.raster.products import Resolved
    from terrafine.raster.read.opened import OpenRaster
    from terrafine.systems import ModelRef

__all__ = ["RasterDescription", "WeightsDescription", "describe"]

_KINDS = {"relief": "relief", "vv": "radar", "vh": "radar", "incidence": "radar"}
_WEIGHTS = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl"}


@dataclass(frozen=True, slots=True)
class WeightsDescription:
    """A weights file.

    Attributes
    ----------
    spec
        The specification of its model.
    sha256
        Digest of the file.
    """

    spec: ModelSpec
    sha256: str


@dataclass(frozen=True, slots=True)
class RasterDescription:
    """A raster.

    Attributes
    ----------
    facts
        What its header states, by name; some facts are mappings in turn.
    product
        The product of an elevation model and how it was recognised; None for other rasters.
    """

    facts: Mapping[str, Any]
    product: Resolved | None


def describe(path: str, read: ReadOptions | None = None) -> Sequence[ModelRef] | WeightsDescription | RasterDescription:
    """Describe a shipped model, a weights file or a raster; code in a file is never run.

    Parameters
    ----------
    path
        Name of a shipped model, or path of a weights file or a raster.
    read
        Where the sources of a raster may lie: `allow_folders` and `allow_remote`.

    Returns
    -------
    sequence of ModelRef, WeightsDescription or RasterDescription
        The models of that name, one for each file of weights; or the description of the file.

    Raises
    ------
    SourceError, BandError, GridError, DatumError
        If there is no such model or file, or the raster cannot be read.
    WeightsError
        If the weights file cannot be read.
    """
    from terrafine.raster.read.checks.access import allow

    options = read or ReadOptions()
    allow(options.allow_folders, options.allow_remote)
    if Path(path).suffix in _WEIGHTS:
        return _weights(Path(path))
    if Path(path).suffix or os.sep in path or Path(path).exists() or ":" in path:
        return _raster(path)
    return _named(path)


def _named(name: str) -> Sequence[ModelRef]:
    """Models of that name; an unknown name may be meant as a file as well."""
    from terrafine.systems import named_models

    try:
        return named_models(name)
    except NoModelError as e:
        raise SourceError(f"{name}: there is no such file, and {e}") from None


def _weights(path: Path) -> WeightsDescription:
    from terrafine.nn.weights import digest, read_spec

    return WeightsDescription(read_spec(path), digest(path))


def _raster(path: str) -> RasterDescription:
    from terrafine.raster.bands import BANDS
    from terrafine.raster.products import resolve_product
    from terrafine.raster.read.choose import has_band
    from terrafine.raster.read.content_type import kind_of, open_any
    from terrafine.raster.read.opened import open_raster

    with open_raster(path) as raster:
        kind, known = kind_of(raster), [d for d in raster.header.descriptions if d in BANDS]
        if kind == "elevation" and not known and not has_band(raster, "elevation"):
            return _unnamed(raster)
        with open_any(raster) as source:
            heights = kind == "elevation" and "elevation" in source.bands
            shown = kind if heights or kind != "elevation" else _KINDS.get(known[0], "other")
            return RasterDescription({"kind": shown, **source.describe()}, resolve_product(source) if heights else None)


def _unnamed(raster: OpenRaster) -> RasterDescription:
    """Describe a raster of several bands none of which has a name that is known here."""
    from terrafine.raster.read.source import open_source

    header = raster.header
    with open_source(raster, want=("class",), bands={"class": 1}, check_range=False) as source:
        facts = source.describe()
    stated = zip(header.descriptions, header.dtypes, header.units, strict=True)
    names = ("description", "dtype", "unit")
    bands = {
        str(number): {name: word for name, word in zip(names, words, strict=True) if word}
        for number, words in enumerate(stated, 1)
    }
    return RasterDescription({"kind": "other", **facts, "bands": bands}, None)
