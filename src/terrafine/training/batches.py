"""Training and validation batches of a run, the same for every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

__all__ = ["Batches", "Domain", "Sampler"]

Domain = Mapping[str, Mapping[str, float]]
"""Band -> share -> quantile of the training data; empty where it carries no information."""
Batch = TypeVar("Batch")
Drawn_co = TypeVar("Drawn_co", covariant=True)


class Sampler(Protocol[Drawn_co]):
    """Protocol of the source of training batches; a batch is a dataclass of tensors."""

    def __call__(self, step: int) -> Drawn_co:
        """Return the batch of a step, the same for the same step, in any order and thread.

        Parameters
        ----------
        step
            Number of steps done.

        Returns
        -------
        Drawn_co
            The batch.
        """
        ...

    def domain(self) -> Domain:
        """Return quantiles of each input band over the training data."""
        ...


@dataclass(frozen=True, slots=True)
class Batches(Generic[Batch]):
    """Training and validation batches of a run.

    Attributes
    ----------
    sampler
        Sampler of training batches.
    checks
        Held-out batches.
    """

    sampler: Sampler[Batch]
    checks: Sequence[Batch]

    def batch(self, step: int) -> Batch:
        """Draw the batch of a step.

        Parameters
        ----------
        step
            Number of steps done.

        Returns
        -------
        Batch
            The batch.
        """
        return self.sampler(step)
