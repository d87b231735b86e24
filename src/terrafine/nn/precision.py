"""Arithmetic of heights in full float32, without autocast's bfloat16 and the TF32 of GPU convolutions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["fixed_correlation", "in_float32"]

P = ParamSpec("P")
R = TypeVar("R")


def in_float32(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function so that it runs with autocast switched off on the device of its first tensor.

    Parameters
    ----------
    function
        Function with at least one tensor among its arguments.

    Returns
    -------
    Callable[P, R]
        The wrapped function, with the same signature.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next(a.device for a in (*args, *kwargs.values()) if isinstance(a, Tensor))
        with _without_autocast(device):
            return function(*args, **kwargs)

    return run


def fixed_correlation(x: Tensor, kernel: Tensor) -> Tensor:
    """Correlate with a fixed kernel in full float32, zero-padded to the same size.

    bfloat16 has 8 significant bits: on neighbour differences of tens of metres its error is decimetres, and that of
    TF32 centimetres.

    Parameters
    ----------
    x
        Metres or slopes, (n, c, y, x).
    kernel
        Weights, (m, c, 2r + 1, 2r + 1).

    Returns
    -------
    Tensor
        (n, m, y, x), in the unit of `x` times that of the kernel.
    """
    with _without_autocast(x.device), _without_tf32(x.device):
        return functional.conv2d(x, kernel, padding=kernel.shape[-1] // 2)


def _without_autocast(device: torch.device) -> AbstractContextManager[object]:
    enabled = torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if enabled else nullcontext()


def _without_tf32(device: torch.device) -> AbstractContextManager[object]:
    cudnn = torch.backends.cudnn
    if device.type != "cuda":
        return nullcontext()
    flags: AbstractContextManager[object] = cudnn.flags(
        enabled=cudnn.enabled, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False
    )
    return flags
