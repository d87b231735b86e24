"""`terrafine info`: describe a model, a weights file or a raster."""

from __future__ import annotations

from typing import Any

import click

from terrafine.cli.messages import json_option, print_json, say
from terrafine.cli.model_text import described, described_spec, model_text, spec_text, tree
from terrafine.cli.options import reading
from terrafine.workflows.describe import RasterDescription, WeightsDescription, describe
from terrafine.workflows.options import ReadOptions

__all__ = ["info"]


@click.command(short_help="Describe a model, a weights file or a raster.")
@click.argument("path", metavar="PATH|NAME", type=click.Path())
@reading
@json_option
def info(path: str, as_json: bool, **where: Any) -> None:
    """Describe PATH: a model of `terrafine models`, a weights file or a raster. Code in a file is never run."""
    found = describe(path, ReadOptions(**where))
    if isinstance(found, RasterDescription):
        data, text = _raster(found)
    elif isinstance(found, WeightsDescription):
        data, text = described_spec(found.spec, found.sha256), spec_text(found.spec, found.sha256)
    else:
        data, text = {"models": [described(ref) for ref in found]}, "\n\n".join(map(model_text, found))
    if as_json:
        print_json(data)
    else:
        say(text)


def _raster(found: RasterDescription) -> tuple[dict[str, Any], str]:
    """The description as plain data, and as text."""
    data, lines = dict(found.facts), list(tree(found.facts, ""))
    if known := found.product:
        data["product"] = {"key": known.product.key, "how": known.how, "note": known.note}
        lines += [known.line.replace("product ", "product: ", 1), *([f"note: {known.note}"] if known.note else [])]
    return data, "\n".join(lines)
