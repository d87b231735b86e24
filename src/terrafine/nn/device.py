"""Devices: which one a run computes on, how tensors get there and back, and full float32 on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from terrafine.errors import UsageError

__all__ = [
    "Device",
    "autocast",
    "changed",
    "find_device",
    "found_devices",
    "free_bytes",
    "full_float32",
    "has_bfloat16",
    "to_device",
    "to_host",
]

Values = TypeVar("Values")


@dataclass(frozen=True, slots=True)
class Device:
    """One device of this machine.

    Attributes
    ----------
    name
        As `device=` takes it: cpu, cuda:0, mps.
    model
        What the hardware is called; empty where torch does not state it.
    memory_bytes
        Its own memory; None where it shares that of the machine.
    """

    name: str
    model: str = ""
    memory_bytes: int | None = None


def found_devices() -> list[Device]:
    """List the devices that torch can use here, the one that `auto` takes first.

    Returns
    -------
    list[Device]
        CUDA devices, then MPS, then the CPU.
    """
    gpus = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    found = [Device(f"cuda:{i}", torch.cuda.get_device_name(i), _total_bytes(i)) for i in gpus]
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU"))
    return [*found, Device("cpu")]


def find_device(device: str, rank: int = 0) -> torch.device:
    """Resolve the name of a device; every run does so once, here.

    Parameters
    ----------
    device
        `auto` (CUDA where there is a GPU, else MPS, else the CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
    rank
        Number of this process, which picks the GPU of `cuda` and `auto`.

    Returns
    -------
    torch.device
        With its number where it is a CUDA device.

    Raises
    ------
    UsageError
        For a name that is none, and a device that this machine does not have.
    """
    found = [d.name for d in found_devices()]
    gpus = [name for name in found if name.startswith("cuda")]
    if device == "auto":
        device = "cuda" if gpus else found[0]
    kind, colon, number = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and (kind != "cuda" or not number.isdecimal())):
        raise UsageError(f"device {device!r}: expected auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda" and gpus:
        device = device if number else gpus[rank % len(gpus)]
    if device not in found:
        raise UsageError(
            f"device {device!r}: this machine does not have it, or torch cannot use it; found {', '.join(found)}. "
            'Choose device="cpu"; `terrafine doctor` shows what was found'
        )
    return torch.device(device)


def free_bytes(device: torch.device) -> int | None:
    """Return the free memory of a CUDA device.

    Parameters
    ----------
    device
        Resolved device.

    Returns
    -------
    int | None
        Bytes; None for a device that shares the machine's memory.
    """
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else None


def _total_bytes(index: int) -> int:
    return int(torch.cuda.get_device_properties(index).total_memory)


def to_device(values: Values, device: torch.device) -> Values:
    """Move every tensor of a value to a device.

    Parameters
    ----------
    values
        A tensor, or dataclasses, mappings and tuples that hold tensors and other things.
    device
        Where the tensors go.

    Returns
    -------
    Values
        The same structure; what is no tensor is unchanged.
    """
    moved: Values = changed(values, lambda tensor: tensor.to(device, non_blocking=True))
    return moved


def to_host(values: Values) -> Values:
    """Move every tensor of a value to the CPU, as float32 where it is of lower precision.

    Parameters
    ----------
    values
        As in `to_device`.

    Returns
    -------
    Values
        The same structure; complete when the function returns.
    """
    moved: Values = changed(
        values, lambda tensor: tensor.to("cpu", torch.float32 if _is_half(tensor) else tensor.dtype)
    )
    return moved


def _is_half(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.bfloat16, torch.float16)


def changed(value: Any, change: Any) -> Any:
    """Apply a function to every tensor of a value.

    Parameters
    ----------
    value
        As in `to_device`.
    change
        (tensor) -> what stands in its place.

    Returns
    -------
    Any
        The same structure.
    """
    if isinstance(value, Tensor):
        return change(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: changed(getattr(value, f.name), change) for f in fields(value)})
    if isinstance(value, Mapping):
        return {key: changed(item, change) for key, item in value.items()}
    if type(value) is tuple:
        return tuple(changed(item, change) for item in value)
    return value


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Compute in bfloat16 inside the block where asked, else in float32.

    Parameters
    ----------
    device
        Where the block computes.
    precision
        `float32`, `bfloat16`, or `auto`: bfloat16 where the hardware computes in it.

    Yields
    ------
    None
        Nothing; convolutions of the block are in that precision.
    """
    wanted = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    with torch.autocast(device.type, torch.bfloat16, enabled=wanted):
        yield


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the hardware computes in bfloat16; where it is emulated, it is slower than float32.

    Parameters
    ----------
    device
        Resolved device.

    Returns
    -------
    bool
        Whether it does.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and bool(cpu())


class _Precision:
    """Blocks of `full_float32` that are open in any thread, and the flags before the first."""

    lock = threading.Lock()
    open = 0
    before = (False, False, False, False)


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute float32 convolutions and products on a GPU in full precision and in a fixed order, not in TF32.

    Heights need all 24 bits. The flags are those of the process: the first block in any thread sets them, and the last
    one restores them.
    """
    with _Precision.lock:
        if _Precision.open == 0:
            _Precision.before = _flags()
            _set_flags((False, False, True, False))
        _Precision.open += 1
    try:
        yield
    finally:
        with _Precision.lock:
            _Precision.open -= 1
            if _Precision.open == 0:
                _set_flags(_Precision.before)


def _flags() -> tuple[bool, bool, bool, bool]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic, cudnn.benchmark


def _set_flags(values: tuple[bool, bool, bool, bool]) -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic, cudnn.benchmark = values
