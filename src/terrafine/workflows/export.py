"""`export_model`: write a model as an ONNX file with its spec inside; `terrafine export` calls it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from terrafine.errors import UsageError
from terrafine.workflows.advice import names_own_arguments

if TYPE_CHECKING:
    from terrafine.systems import ModelRef

__all__ = ["export_model"]

PathLike = str | os.PathLike[str]


@names_own_arguments()
def export_model(model: PathLike, destination: PathLike, *, scale: int | None = None) -> ModelRef:
    """Write a network that makes elevation models finer as ONNX.

    Parameters
    ----------
    model
        A name from `terrafine models`, with or without its scale (`ridgeline-x4`), or a .safetensors file.
    destination
        The .onnx file to write.
    scale
        Which of a model's scales; by default the largest that it serves.

    Returns
    -------
    ModelRef
        The model that was written.

    Raises
    ------
    UsageError
        For a model that has no ONNX form, before anything is loaded.
    NoModelError, WeightsError
        For a model that is not there, or damaged.
    MissingExtraError
        Without the extra `onnx`.
    OutputError
        For a destination that cannot be written.
    """
    from terrafine.systems import export_onnx, find_model, find_system, named_models, require_engine
    from terrafine.workflows.outputs.destinations import check_destinations, check_suffix

    path = Path(destination)
    check_suffix(path, (".onnx",), "ONNX")
    found = named_models(os.fspath(model))
    ref = max((r for r in found if scale in (None, r.spec.scale, *r.spec.scales)), key=_scale, default=found[0])
    if find_system(ref.spec.system).verb != "dem" or ref.spec.guides or ref.path is None:
        kind = "a formula, not a network" if ref.path is None else "not a network of heights alone"
        raise UsageError(f"{ref.name} is {kind}, so it has no ONNX form; expected a model such as ridgeline")
    check_destinations([os.fspath(ref.path)], path, None)
    require_engine("onnx")
    chosen = find_model(model if Path(model).suffix else ref.name, scale or max([ref.spec.scale, *ref.spec.scales]))
    export_onnx(chosen, path)
    return chosen


def _scale(ref: ModelRef) -> int:
    return max((ref.spec.scale, *ref.spec.scales))
