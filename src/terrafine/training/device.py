"""Device, precision and processes of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from terrafine.errors import RecipeError

__all__ = ["SINGLE_PROCESS", "Workers", "autocast", "find_device", "full_float32", "join_workers", "to_device"]

Batch = TypeVar("Batch")


def find_device(device: str, rank: int = 0) -> torch.device:
    """Find the device to compute on.

    Parameters
    ----------
    device
        `auto` (CUDA where there is a GPU), `cpu`, `cuda`, or a device of torch, such as `cuda:1`.
    rank
        Number of this process, which selects the GPU for `cuda`.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    RecipeError
        For a device that torch does not know or this machine does not have.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except RuntimeError as e:
        raise RecipeError(f"device {device!r}: expected auto, cpu or cuda") from e
    if found.type == "cuda":
        if not torch.cuda.is_available():
            raise RecipeError(f"device {device!r}: no CUDA device is available; use device='cpu'")
        count = torch.cuda.device_count()
        index = rank % count if found.index is None else found.index
        if index >= count:
            raise RecipeError(f"device {device!r}: this machine has {count} CUDA devices; use cuda:0 to {count - 1}")
        return torch.device("cuda", index)
    if found.type == "mps" and torch.backends.mps.is_available():
        return found
    if found.type != "cpu":
        raise RecipeError(f"device {device!r}: not available on this machine; use device='cpu'")
    return found


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move every tensor of a batch to a device.

    Parameters
    ----------
    batch
        Tensor, dataclass of tensors, or mapping of tensors; other values are kept.
    device
        Target device.

    Returns
    -------
    Batch
        The batch on the device, of the same type.
    """
    moved: Batch = _mapped(batch, lambda tensor: tensor.to(device, non_blocking=True))
    return moved


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _mapped(getattr(value, f.name), change) for f in fields(value)})
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    return value


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Compute in bfloat16 where the recipe requests it, or with `auto` where the hardware supports it; else in float32.

    Parameters
    ----------
    device
        Device of the computation.
    precision
        `float32`, `bfloat16` or `auto`.

    Yields
    ------
    None
        Nothing.
    """
    wanted = precision == "bfloat16" or (precision == "auto" and _has_bfloat16(device))
    with torch.autocast(device.type, torch.bfloat16, enabled=wanted):
        yield


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute convolutions and products of float32 on a GPU in full precision, not in TF32."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware computes in bfloat16: where it emulates it, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and bool(cpu())


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes of a run, as torchrun starts them; a single one by default.

    Attributes
    ----------
    rank
        Number of this process.
    world
        Number of processes.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the first process, which writes the run folder."""
        return self.rank == 0

    def share(self, batch: Batch) -> Batch:
        """Select this process's patches of a batch.

        Parameters
        ----------
        batch
            Batch of all processes.

        Returns
        -------
        Batch
            Every `world`-th patch.
        """
        if self.world == 1:
            return batch
        part: Batch = _mapped(batch, lambda tensor: tensor[self.rank :: self.world])
        return part

    def refuse_uneven(self, batch: int) -> None:
        """Check that a batch can be shared evenly.

        Parameters
        ----------
        batch
            Number of patches of a batch.

        Raises
        ------
        RecipeError
            Where it is not a multiple of the number of processes.
        """
        if batch % self.world:
            raise RecipeError(
                f"[patches] batch = {batch}: {self.world} processes share it; expected a multiple of {self.world}"
            )

    def average_gradients(self, network: nn.Module) -> None:
        """Replace each gradient by its mean over all processes.

        A gradient that no process has stays absent.

        Parameters
        ----------
        network
            Network with gradients, changed in place.
        """
        if self.world == 1:
            return
        parameters = [p for p in network.parameters() if p.requires_grad]
        flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters])
        counts = flat.new_tensor([float(p.grad is not None) for p in parameters])
        for table in (flat, counts):
            torch.distributed.all_reduce(table)
        parts = torch.split(flat / self.world, [p.numel() for p in parameters])
        for p, part, count in zip(parameters, parts, counts.tolist(), strict=True):
            p.grad = part.view_as(p).clone() if count else None

    def mean(self, values: Mapping[str, float], names: Sequence[str], device: torch.device) -> dict[str, float]:
        """Compute the mean of each value over the processes that have it.

        Parameters
        ----------
        values
            Values of this process by name.
        names
            Names in an order that all processes share.
        device
            Device of the communication.

        Returns
        -------
        dict[str, float]
            Means by name.
        """
        if self.world == 1:
            return dict(values)
        rows = [[values.get(n, 0.0), float(n in values)] for n in names]
        table = torch.tensor(rows, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(table)
        return {n: total / count for n, (total, count) in zip(names, table.tolist(), strict=True) if count}

    def broadcast(self, value: float, device: torch.device) -> float:
        """Return the value of the first process, so that all processes decide equally.

        Parameters
        ----------
        value
            Value of this process.
        device
            Device of the communication.

        Returns
        -------
        float
            Value of the first process.
        """
        if self.world == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)

    def leave(self) -> None:
        """End the process group."""
        if self.world > 1:
            torch.distributed.destroy_process_group()


SINGLE_PROCESS = Workers()
"""A run of one process."""


def join_workers() -> Workers:
    """Join the process group that torchrun's environment describes."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return SINGLE_PROCESS
    if not torch.distributed.is_initialized():
        cuda = torch.cuda.is_available()
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")  # device='cpu' needs gloo too
    return Workers(torch.distributed.get_rank(), world)
