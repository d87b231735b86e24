"""`terrafine models`: list what `--model` accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.messages import json_option, print_json, say
from terrafine.cli.model_text import described
from terrafine.cli.parameter_types import human_bytes
from terrafine.cli.table import columns

if TYPE_CHECKING:
    from terrafine.systems import ModelRef

__all__ = ["models"]

HEADER = ("name", "scale", "kind", "inputs", "outputs", "weights", "size", "RMSE/bicubic")
NONE = "-"


@click.command(short_help="List the shipped models.")
@json_option
def models(as_json: bool) -> None:
    """List the shipped models.

    RMSE/bicubic is the RMSE relative to bicubic on terrain held out of training. `terrafine info NAME` shows the
    training data and licence of a model; the model cards in the documentation have the results on test data.
    """
    from terrafine.systems import list_models

    refs = list_models()
    if as_json:
        print_json(
            [described(ref) | {"name": ref.name, "path": ref.path, "rmse_to_bicubic": _ratio(ref)} for ref in refs]
        )
        return
    formulas: dict[str, list[ModelRef]] = {}
    for ref in refs:
        if ref.path is None:
            formulas.setdefault(ref.name, []).append(ref)
    rows = [_row(ref, ref.spec.scales or (ref.spec.scale,)) for ref in refs if ref.path is not None]
    rows += [_row(same[0], [ref.spec.scale for ref in same]) for same in formulas.values()]
    say(columns(HEADER, rows))


def _row(ref: ModelRef, scales: Sequence[int]) -> tuple[str, ...]:
    spec, provenance = ref.spec, ref.spec.provenance
    ratio = _ratio(ref)
    return (
        ref.name,
        ",".join(f"×{k}" for k in scales),
        "formula" if ref.path is None else "network",
        ", ".join(spec.inputs),
        ", ".join(spec.outputs),
        f"{provenance['weights']:,}" if isinstance(provenance.get("weights"), int) else NONE,
        NONE if ref.path is None else human_bytes(ref.path.stat().st_size),
        NONE if ratio is None else f"{ratio:.3f}",
    )


def _ratio(ref: ModelRef) -> float | None:
    """RMSE on terrain held out of training relative to bicubic, where the weights state it."""
    scores: Any = ref.spec.provenance.get("held_out_scores", {})
    ratio = scores.get("to_bicubic") if isinstance(scores, dict) else None
    return ratio if isinstance(ratio, float) else None
