"""`terrafine models`: what can be named after `--model`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.kinds import human_bytes
from terrafine.cli.table import columns

if TYPE_CHECKING:
    from terrafine.systems import ModelRef

__all__ = ["models"]

HEADER = ("name", "scale", "kind", "inputs", "outputs", "weights", "size", "RMSE/bicubic", "licence of the data")
NONE = "-"


@click.command(short_help="List the models that are shipped.")
def models() -> None:
    """List the models that are shipped.

    RMSE/bicubic is measured on terrain held out of training; docs/systems has the tables of the test set.
    """
    from terrafine.systems import list_models

    click.echo(columns(HEADER, [_row(ref) for ref in list_models()]))


def _row(ref: ModelRef) -> tuple[str, ...]:
    spec, provenance = ref.spec, ref.spec.provenance
    scores: Any = provenance.get("held_out_scores", {})
    ratio = scores.get("to_bicubic") if isinstance(scores, dict) else None
    return (
        ref.name,
        f"×{spec.scale}",
        "formula" if ref.path is None else "network",
        ", ".join(spec.inputs),
        ", ".join(spec.outputs),
        f"{provenance['weights']:,}" if isinstance(provenance.get("weights"), int) else NONE,
        NONE if ref.path is None else human_bytes(ref.path.stat().st_size),
        f"{ratio:.3f}" if isinstance(ratio, float) else NONE,
        str(provenance.get("data_licence", NONE)),
    )
