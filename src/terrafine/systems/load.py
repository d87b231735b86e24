"""Loading of models: network, spec check, engine and ONNX export."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from terrafine.errors import MissingExtraError, TerrafineError, UsageError, WeightsError
from terrafine.nn.spec import ModelSpec
from terrafine.nn.weights import digest, layout, load
from terrafine.raster.bands import inputs_of_dates
from terrafine.systems.catalog import ModelRef, find_system

if TYPE_CHECKING:
    from torch import nn

    from terrafine.nn.model import Model

__all__ = ["export_onnx", "load_model", "load_network"]


def load_network(ref: ModelRef) -> nn.Module:
    """Load the torch network of a model with weights, in evaluation mode.

    Parameters
    ----------
    ref
        The model.

    Returns
    -------
    nn.Module
        The network.

    Raises
    ------
    WeightsError
        For a model without weights, or a file whose tensors or spec do not fit its system.
    """
    from terrafine.nn.outline import differences, outline

    system = find_system(ref.spec.system)
    if ref.path is None or system.build is None:
        raise WeightsError(f"{ref.name} is an interpolation without a network")
    try:
        expected = outline(system.build, ref.spec.network, ref.spec.scale)
    except MissingExtraError:
        raise
    except TerrafineError as e:
        raise WeightsError(f"{ref.path}: {e}") from e
    if wrong := differences(expected, layout(ref.path)):
        raise WeightsError(
            f"{ref.path}: the tensors do not fit system {ref.spec.system!r}, as its spec describes it: "
            f"{'; '.join(wrong)}; fetch it again"
        )
    spec, tensors = load(ref.path)
    try:
        network = system.build(ref.spec.network, ref.spec.scale)
        network.load_state_dict(tensors)
    except (RuntimeError, TypeError, ValueError) as e:
        raise WeightsError(f"{ref.path}: the tensors do not fit system {ref.spec.system!r}: {_first_line(e)}") from e
    network.eval()
    try:
        asked = system.describe(network, ref.spec.network, ref.spec.scale)
        _check_spec(ref, ref.spec, replace(asked, inputs=inputs_of_dates(asked.inputs, ref.options.dates)))
        _check_spec(ref, spec, described := system.describe(network, spec.network, spec.scale))
    except UsageError as e:
        raise WeightsError(f"{ref.path}: {e}") from e
    if unknown := sorted(set(spec.outputs) - set(described.outputs)):
        raise WeightsError(f"{ref.path}: outputs {unknown} are none of its network; expected {list(described.outputs)}")
    return network


def _check_spec(ref: ModelRef, spec: ModelSpec, built: ModelSpec) -> None:
    """Raise WeightsError where a spec contradicts the network that was built from it."""
    wrong = [
        f"{field} is {getattr(spec, field)!r}, expected {getattr(built, field)!r}"
        for field in ("scale", "inputs", "tiling", "relative")
        if getattr(spec, field) != getattr(built, field)
    ]
    if set(spec.guides) != set(built.guides):
        wrong.append(f"guides are {sorted(spec.guides)}, expected {sorted(built.guides)}")
    if spec.halo < built.halo:
        wrong.append(f"halo is {spec.halo}, expected {built.halo} or more")
    if spec.multiple % built.multiple:
        wrong.append(f"multiple is {spec.multiple}, expected a multiple of {built.multiple}")
    if wrong:
        raise WeightsError(f"{ref.path}: its spec does not describe its network: {'; '.join(wrong)}; fetch it again")


def load_model(ref: ModelRef) -> Model:
    """Open a model to run it.

    Parameters
    ----------
    ref
        The model.

    Returns
    -------
    Model
        The model on its engine, with the threads that its options state.

    Raises
    ------
    WeightsError
        Where the file has changed since it was found, or does not fit its system.
    """
    if ref.path is not None and digest(ref.path) != ref.sha256:
        raise WeightsError(f"{ref.path}: changed since this run was planned; plan it again")
    if ref.options.device != "cpu":  # on a Dask worker too, whose device only it can see
        from terrafine.nn.device import find_device

        find_device(ref.options.device)
    system = find_system(ref.spec.system)
    network = load_network(ref) if ref.path is not None else None
    if ref.options.threads:
        import torch

        torch.set_num_threads(ref.options.threads)
    return system.adapt(ref.spec, network, ref.options)


def export_onnx(ref: ModelRef, path: str | os.PathLike[str]) -> Path:
    """Write a model as ONNX with its spec as metadata.

    Parameters
    ----------
    ref
        The model.
    path
        File to write.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    MissingExtraError
        Without the `onnx` extra.
    WeightsError
        For a model without a network.
    OutputError
        Where the file cannot be written.
    UsageError
        For a model with guides, which the ONNX form does not support.
    """
    from terrafine.nn.elevation import ElevationModel
    from terrafine.nn.export import export_onnx as write

    if ref.spec.guides:
        raise UsageError(
            f"{ref.name} uses guides, which ONNX export does not support; export ridgeline, its part for heights"
        )
    model = load_model(replace(ref, options=replace(ref.options, engine="torch")))
    if ref.path is None or not isinstance(model, ElevationModel):
        raise WeightsError(f"{ref.name} is an interpolation without a network to export")
    return write(model, path)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
