"""Where a run computes: the device, its precision, and the processes that share a batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from terrafine.errors import RecipeError

__all__ = ["ALONE", "Workers", "autocast", "find_device", "full_float32", "join_workers", "to_device"]

Batch = TypeVar("Batch")


def find_device(device: str, rank: int = 0) -> torch.device:
    """The device to compute on.

    Parameters
    ----------
    device
        `auto` (CUDA where there is a GPU), `cpu`, `cuda`, or a device of torch, such as `cuda:1`.
    rank
        Number of this process, which picks the GPU of `cuda`.

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
    """The batch with every tensor in it on the device; a dataclass of tensors, mappings of tensors and other values."""
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
    """bfloat16 where the recipe asks for it, or with `auto` where the hardware computes in it; else float32."""
    wanted = precision == "bfloat16" or (precision == "auto" and _has_bfloat16(device))
    with torch.autocast(device.type, torch.bfloat16, enabled=wanted):
        yield


@contextmanager
def full_float32() -> Iterator[None]:
    """Convolutions and products of float32 in full precision on a GPU, not in TF32: heights need all 24 bits."""
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
    """The processes of a run, as torchrun starts them; one alone by default."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder."""
        return self.rank == 0

    def share(self, batch: Batch) -> Batch:
        """This process's patches of a batch; `refuse_uneven` makes sure that all have as many."""
        if self.world == 1:
            return batch
        part: Batch = _mapped(batch, lambda tensor: tensor[self.rank :: self.world])
        return part

    def refuse_uneven(self, batch: int) -> None:
        """Raise RecipeError where a batch of that size has not the same number of patches for each process."""
        if batch % self.world:
            raise RecipeError(
                f"[patches] batch = {batch}: {self.world} processes share it; expected a multiple of {self.world}"
            )

    def average_gradients(self, network: nn.Module) -> None:
        """Replace each gradient by the mean over all processes; one that no process has stays absent."""
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
        """The mean of each named value over the processes that have it."""
        if self.world == 1:
            return dict(values)
        rows = [[values.get(n, 0.0), float(n in values)] for n in names]
        table = torch.tensor(rows, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(table)
        return {n: total / count for n, (total, count) in zip(names, table.tolist(), strict=True) if count}

    def first(self, value: float, device: torch.device) -> float:
        """The first process's value, so that all decide alike."""
        if self.world == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)

    def leave(self) -> None:
        """End the group of processes."""
        if self.world > 1:
            torch.distributed.destroy_process_group()


ALONE = Workers()
"""A run of one process."""


def join_workers() -> Workers:
    """The processes as torchrun's environment states them."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return ALONE
    if not torch.distributed.is_initialized():
        cuda = torch.cuda.is_available()
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")  # device='cpu' needs gloo too
    return Workers(torch.distributed.get_rank(), world)
