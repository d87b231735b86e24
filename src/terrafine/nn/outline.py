"""What tensors a described network has, before any memory is taken for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from terrafine.errors import WeightsError
from terrafine.nn.weights import Layout

__all__ = ["MAX_BYTES", "differences", "outline"]

MAX_BYTES = 2_000_000_000
"""Largest size of all tensors of a network."""

_TYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float64: "F64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.bool: "BOOL",
}


def outline(build: Callable[[Mapping[str, Any], int], nn.Module], network: Mapping[str, Any], scale: int) -> Layout:
    """Build a network without memory for its tensors and list them.

    Parameters
    ----------
    build
        Function (network arguments, scale) -> the network.
    network
        Network arguments.
    scale
        Output cells along an input cell.

    Returns
    -------
    Layout
        Types and shapes of its tensors by name.

    Raises
    ------
    WeightsError
        For a network of more than MAX_BYTES, and for arguments that describe none.
    """
    try:
        with torch.device("meta"):
            state = build(network, scale).state_dict()
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as e:
        raise WeightsError(f"the network cannot be built: {' '.join(str(e).split())[:200]}") from e
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if size > MAX_BYTES:
        raise WeightsError(f"the network has {size:,} bytes of tensors; expected up to {MAX_BYTES:,}")
    return {name: (_TYPES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape)) for name, tensor in state.items()}


def differences(expected: Layout, found: Layout) -> list[str]:
    """List what tensors are missing, left over, of another shape or of another type.

    Parameters
    ----------
    expected
        Of the described network.
    found
        Of a file.

    Returns
    -------
    list[str]
        One entry each, at most five; empty where the file fits.
    """
    wrong = [f"{name} is missing" for name in expected if name not in found]
    wrong += [f"{name} has no place" for name in found if name not in expected]
    wrong += [
        f"{name} is {_said(found[name])}, expected {_said(expected[name])}"
        for name in expected
        if name in found and found[name] != expected[name]
    ]
    return wrong if len(wrong) <= 5 else [*wrong[:5], f"and {len(wrong) - 5} more"]


def _said(entry: tuple[str, tuple[int, ...]]) -> str:
    return f"{entry[0]} {list(entry[1])}"
