"""The processes of a training run, which share each batch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from terrafine.errors import RecipeError
from terrafine.nn.device import changed

__all__ = ["SINGLE_PROCESS", "Workers", "join_workers"]

Batch = TypeVar("Batch")


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
        part: Batch = changed(batch, lambda tensor: tensor[self.rank :: self.world])
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
