"""Weights file of a finished run, with name, version and provenance from the recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from terrafine.atomic import write_whole
from terrafine.nn.spec import ModelSpec
from terrafine.nn.weights import digest, save
from terrafine.training.recipe import Recipe
from terrafine.version import __version__

__all__ = ["write_result"]


def write_result(
    path: Path,
    network: nn.Module,
    spec: ModelSpec,
    recipe: Recipe,
    scores: Mapping[str, float],
    domain: Mapping[str, Mapping[str, float]] | None = None,
    **more: Any,
) -> None:
    """Write the weights file, and result.json beside it.

    Parameters
    ----------
    path
        Weights file to write.
    network
        Network with the finished weights.
    spec
        Spec of the network by its system.
    recipe, scores
        Recipe and held-out scores, recorded in the spec's provenance.
    domain
        Quantiles of each input band over the training data, by share; recorded too where there are any.
    **more
        Further fields of the spec, such as its calibration.

    Raises
    ------
    OSError
        Where a file cannot be written.
    """
    stated = json.loads(recipe.to_json())
    if stated.get("start"):
        stated["start"] = Path(stated["start"]).name  # not the folders of the machine that trained it
    provenance = {
        "recipe": stated,
        "recipe_sha256": recipe.digest,
        "terrafine": __version__,
        "torch": torch.__version__,
        "data_licence": recipe.data.licence,
        "held_out_scores": {k: round(v, 5) for k, v in scores.items()},
        **({"domain": domain} if domain else {}),
        "weights": sum(p.numel() for p in network.parameters()),
    }
    spec = replace(spec, name=recipe.name, version=recipe.version, provenance=provenance, **more)
    save(path, network.state_dict(), spec)
    write_whole(path.parent / "result.json", json.dumps({"scores": scores, "sha256": digest(path)}).encode())
