"""A finished run's network as a weights file: name, version and provenance are the recipe's, whatever was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from terrafine import __version__
from terrafine.nn.spec import ModelSpec
from terrafine.nn.weights import digest, save

__all__ = ["publish"]


class _Data(Protocol):
    @property
    def licence(self) -> str: ...


class _Recipe(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def data(self) -> _Data: ...
    def to_json(self) -> str: ...


def publish(
    path: Path, network: nn.Module, spec: ModelSpec, recipe: _Recipe, scores: Mapping[str, float], **more: Any
) -> None:
    """Write weights and spec to `path`, and result.json beside them; `more` are further fields of the spec."""
    provenance = {
        "recipe": json.loads(recipe.to_json()),
        "recipe_sha256": recipe.digest,
        "terrafine": __version__,
        "torch": torch.__version__,
        "data_licence": recipe.data.licence,
        "held_out_scores": {k: round(v, 5) for k, v in scores.items()},
        "weights": sum(p.numel() for p in network.parameters()),
    }
    spec = replace(spec, name=recipe.name, version=recipe.version, provenance=provenance, **more)
    save(path, network.state_dict(), spec)
    (path.parent / "result.json").write_text(json.dumps({"scores": scores, "sha256": digest(path)}), encoding="utf-8")
