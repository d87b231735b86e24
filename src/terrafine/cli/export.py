"""`terrafine export`: write a model as an ONNX file with its spec inside."""

from __future__ import annotations

from pathlib import Path

import click

from terrafine.cli.messages import say
from terrafine.cli.output import output
from terrafine.cli.parameter_types import human_bytes
from terrafine.workflows.export import export_model

__all__ = ["export"]


@click.command(short_help="Write a model as an ONNX file.")
@click.argument("weights", metavar="NAME|WEIGHTS", type=click.Path())
@output("OUT.onnx")
@click.option("--scale", type=int, help="Scale of a shipped model that serves several.  [default: the largest]")
def export(weights: str, destination: Path, scale: int | None) -> None:
    """Write a shipped model (NAME) or a weights file as an ONNX file; needs the extra `onnx`."""
    ref = export_model(weights, destination, scale=scale)
    say(f"{destination}: {ref.name} ×{ref.spec.scale}, {human_bytes(destination.stat().st_size)}")
