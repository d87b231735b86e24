"""`terrafine info`: what a weights file or a raster says about itself."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["info"]

WEIGHTS = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl"}


@click.command()
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
        *(f"  {key}: {value}" for key, value in spec.provenance.items()),
    ]
    return "\n".join(lines)


def _pairs(mapping: object) -> str:
    items = dict(mapping) if isinstance(mapping, dict) else {}
    return ", ".join(f"{k}={v}" for k, v in items.items()) or "none"


def _raster(path: str) -> str:
    raise NotImplementedError(path)
