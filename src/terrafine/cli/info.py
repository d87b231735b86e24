"""`terrafine info`: describe a model, a weights file or a raster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.options import reading
from terrafine.errors import NoModelError, SourceError

if TYPE_CHECKING:
    from terrafine.nn.spec import ModelSpec
    from terrafine.systems import ModelRef

__all__ = ["info"]

WEIGHTS = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl"}


@click.command(short_help="Describe a model, a weights file or a raster.")
@click.argument("path", metavar="PATH|NAME")
@reading
def info(path: str, allow_folders: tuple[str, ...], allow_remote: bool) -> None:
    """Describe PATH: a model of `terrafine models`, a weights file or a raster. Code in a file is never run."""
    from terrafine.raster.read.access import allow

    allow(allow_folders, allow_remote)
    if Path(path).suffix in WEIGHTS:
        click.echo(_weights(Path(path)))
    elif Path(path).suffix or os.sep in path or Path(path).exists() or ":" in path:
        click.echo(_raster(path))
    else:
        click.echo("\n\n".join(_model(ref) for ref in _named(path)))


def _named(name: str) -> list[ModelRef]:
    """Models of that name; an unknown name may be meant as a file as well."""
    from terrafine.systems import named_models

    try:
        return named_models(name)
    except NoModelError as e:
        raise SourceError(f"{name}: there is no such file, and {e}") from None


def _model(ref: ModelRef) -> str:
    return _described(ref.spec, "none: a formula" if ref.path is None else ref.sha256)


def _weights(path: Path) -> str:
    from terrafine.nn.weights import digest, read_spec

    return _described(read_spec(path), digest(path))


def _described(spec: ModelSpec, sha256: str) -> str:
    lines = [
        f"{spec.name} {spec.version} ×{spec.scale}, system {spec.system}",
        f"inputs      {', '.join(spec.inputs)}",
        f"outputs     {', '.join(spec.outputs)}",
        f"tiling      {spec.tiling}: tile {spec.tile}, halo {spec.halo}, multiple of {spec.multiple} (input cells)",
        f"network     {_pairs(spec.network)}",
        f"tolerance   {spec.tolerance_m:g} m RMS when mirrored or rotated",
        f"calibration {_pairs(spec.calibration)}",
        f"sha256      {sha256}",
        "provenance",
        *_tree(spec.provenance),
    ]
    return "\n".join(lines)


def _tree(mapping: Mapping[str, Any], indent: str = "  ") -> Iterator[str]:
    """One line for each value, folders of values indented below their name."""
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{key}"
            yield from _tree(value, indent + "  ")
        else:
            yield f"{indent}{key}: {value}"


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in mapping.items()) or "none"


def _raster(path: str) -> str:
    from terrafine.raster.products import resolve_product
    from terrafine.raster.read.content_type import kind_of, open_any
    from terrafine.raster.read.opened import open_raster

    with open_raster(path) as raster, open_any(raster) as source:
        kind = kind_of(raster)
        lines = [f"kind: {kind}", *_tree(source.describe(), "")]
        if kind == "elevation":
            known = resolve_product(source)
            lines += [known.line.replace("product ", "product: ", 1), *([f"note: {known.note}"] if known.note else [])]
        return "\n".join(lines)
