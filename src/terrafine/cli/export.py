"""`terrafine export`: a model as an ONNX file with its spec inside."""

from __future__ import annotations

from pathlib import Path

import click

from terrafine.cli.parameter_types import human_bytes

__all__ = ["export"]


@click.command(short_help="Write a model as ONNX.")
@click.argument("weights", metavar="NAME|WEIGHTS")
@click.argument("destination", metavar="OUT.onnx", type=click.Path(path_type=Path))
@click.option("--scale", type=int, default=4, show_default=True, help="Which of a shipped model's scales.")
def export(weights: str, destination: Path, scale: int) -> None:
    """Write a shipped model or a weights file as ONNX; needs the extra `onnx`."""
    from terrafine.systems import export_onnx, find_model

    ref = find_model(weights, scale)
    export_onnx(ref, destination)
    click.echo(f"{destination}: {ref.name} ×{ref.spec.scale}, {human_bytes(destination.stat().st_size)}")
