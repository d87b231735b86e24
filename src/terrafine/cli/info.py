"""`terrafine info`: what a weights file or a raster says about itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

__all__ = ["info"]

WEIGHTS = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl"}


@click.command(short_help="Describe a weights file or a raster.")
@click.argument("path")
def info(path: str) -> None:
    """Describe PATH, a weights file or a raster. Nothing in it is run."""
    click.echo(_weights(Path(path)) if Path(path).suffix in WEIGHTS else _raster(path))


def _weights(path: Path) -> str:
    from terrafine.nn.weights import digest, read_spec

    spec = read_spec(path)
    lines = [
        f"{spec.name} {spec.version} ×{spec.scale}, system {spec.system}",
        f"inputs      {', '.join(spec.inputs)}",
        f"outputs     {', '.join(spec.outputs)}",
        f"tiling      {spec.tiling}: tile {spec.tile}, halo {spec.halo}, multiple of {spec.multiple} (input cells)",
        f"network     {_pairs(spec.network)}",
        f"tolerance   {spec.tolerance_m:g} m RMS when mirrored or rotated",
        f"calibration {_pairs(spec.calibration)}",
        f"sha256      {digest(path)}",
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
    from terrafine.raster.read.content_type import kind_of, open_any

    with open_any(path) as source:
        return "\n".join((f"kind: {kind_of(path)}", *_tree(source.describe(), "")))
