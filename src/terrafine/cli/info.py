"""`terrafine info`: describe a model, a weights file or a raster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from terrafine.cli.messages import json_option, print_json, say
from terrafine.cli.model_text import described, described_spec, model_text, spec_text, tree
from terrafine.cli.options import reading
from terrafine.errors import NoModelError, SourceError

if TYPE_CHECKING:
    from terrafine.systems import ModelRef

__all__ = ["info"]

WEIGHTS = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl"}


@click.command(short_help="Describe a model, a weights file or a raster.")
@click.argument("path", metavar="PATH|NAME", type=click.Path())
@reading
@json_option
def info(path: str, allow_folders: tuple[str, ...], allow_remote: bool, as_json: bool) -> None:
    """Describe PATH: a model of `terrafine models`, a weights file or a raster. Code in a file is never run."""
    from terrafine.raster.read.access import allow

    allow(allow_folders, allow_remote)
    if Path(path).suffix in WEIGHTS:
        found, text = _weights(Path(path))
    elif Path(path).suffix or os.sep in path or Path(path).exists() or ":" in path:
        found, text = _raster(path)
    else:
        refs = _named(path)
        found, text = {"models": [described(r) for r in refs]}, "\n\n".join(map(model_text, refs))
    if as_json:
        print_json(found)
    else:
        say(text)


def _named(name: str) -> list[ModelRef]:
    """Models of that name; an unknown name may be meant as a file as well."""
    from terrafine.systems import named_models

    try:
        return named_models(name)
    except NoModelError as e:
        raise SourceError(f"{name}: there is no such file, and {e}") from None


def _weights(path: Path) -> tuple[dict[str, Any], str]:
    from terrafine.nn.weights import digest, read_spec

    spec, sha256 = read_spec(path), digest(path)
    return described_spec(spec, sha256), spec_text(spec, sha256)


def _raster(path: str) -> tuple[dict[str, Any], str]:
    from terrafine.raster.products import resolve_product
    from terrafine.raster.read.content_type import kind_of, open_any
    from terrafine.raster.read.opened import open_raster

    with open_raster(path) as raster, open_any(raster) as source:
        found: dict[str, Any] = {"kind": kind_of(raster), **source.describe()}
        lines = list(tree(found, ""))
        if found["kind"] == "elevation":
            known = resolve_product(source)
            found["product"] = {"key": known.product.key, "how": known.how, "note": known.note}
            lines += [known.line.replace("product ", "product: ", 1), *([f"note: {known.note}"] if known.note else [])]
        return found, "\n".join(lines)
