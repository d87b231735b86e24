"""`terrafine export`: a model as an ONNX file with its spec inside."""

from __future__ import annotations

from pathlib import Path

import click

from terrafine.cli.parameter_types import human_bytes
from terrafine.workflows.export import export_model

__all__ = ["export"]


@click.command(short_help="Write a model as ONNX.")
@click.argument("weights", metavar="NAME|WEIGHTS")
@click.argument("destination", metavar="OUT.onnx", type=click.Path(path_type=Path))
@click.option("--scale", type=int, help="Which of a shipped model's scales.  [default: the largest]")
def export(weights: str, destination: Path, scale: int | None) -> None:
    """Write a shipped model or a weights file as ONNX; needs the extra `onnx`."""
    ref = export_model(weights, destination, scale=scale)
    click.echo(f"{destination}: {ref.name} ×{ref.spec.scale}, {human_bytes(destination.stat().st_size)}")
