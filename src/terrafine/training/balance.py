"""Weights of loss terms that adapt during training, by uncertainty or by the progress of each term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from terrafine.errors import RecipeError
from terrafine.schema.types import Items, Name, Share, Within

__all__ = ["METHODS", "Balance", "Balancing"]

Method = Literal["uncertainty", "relobralo"]
METHODS = get_args(Method)
_Positive = Annotated[float, Within(0, 1_000, above=True)]
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Balancing:
    """A recipe's `[balance]`: the loss terms whose weights adapt, and the method.

    Without this table all weights stay as in `[loss]`.

    Attributes
    ----------
    method
        `uncertainty`: the factor of a term is exp(−s), where s is its learned log variance [1]_. `relobralo`: the terms
        that decreased least since the step before or the first step have the largest factor [2]_.
    terms
        Two or more names of `[loss]`, none of which can fall below 0; all others keep their weight.
    rate
        For `uncertainty`: largest step of the gradient descent on s.
    temperature
        For `relobralo`: the lower, the more the factors differ.
    keep
        For `relobralo`: share of the former factors at each step (α).
    remember
        For `relobralo`: probability that the former factors are those of the last step, not those relative to the first
        step (E[ρ]).

    References
    ----------
    .. [1] Kendall et al. 2018, https://doi.org/10.1109/CVPR.2018.00781
    .. [2] Bischof & Kraus 2021, https://arxiv.org/abs/2110.09813
    """

    method: Method
    terms: Annotated[Sequence[Name], Items(0, 20)]
    rate: _Positive = 0.01
    temperature: _Positive = 0.1
    keep: Annotated[float, Within(0, 1, below=True)] = 0.99
    remember: Share = 0.99

    def problems(self, weights: Mapping[str, Any]) -> list[str]:
        """Find contradictions within the table and with the weights of `[loss]`.

        Parameters
        ----------
        weights
            Weights of `[loss]` by term.

        Returns
        -------
        list[str]
            One message for each problem.
        """
        off = [name for name in self.terms if not _is_positive(weights.get(name, 0.0))]
        checks = (
            (bool(off), f"terms {off} have no weight above 0 in [loss]; give each one, from which it starts"),
            (
                len(set(self.terms)) < max(2, len(self.terms)),
                f"terms = {list(self.terms)}: expected two or more, each once",
            ),
        )
        return [f"[balance] {text}" for bad, text in checks if bad]


def _is_positive(weight: Any) -> bool:
    return isinstance(weight, int | float) and weight > 0


class Balance:
    """Factors of the terms of a loss, all 1 at first.

    The factor of a term does not change in a step whose loss lacks the term because no patch has its data.

    Parameters
    ----------
    settings
        A recipe's `[balance]`.
    seed
        Seed of the random numbers.

    Attributes
    ----------
    settings, seed
        Of the recipe.
    state
        Tensors (term,) for the checkpoint.
    """

    def __init__(self, settings: Balancing, seed: int) -> None:
        self.settings, self.seed = settings, seed
        names = ("log_variance",) if settings.method == "uncertainty" else ("factor", "first", "last")
        fill = {"log_variance": 0.0, "factor": 1.0}
        size = (len(settings.terms),)
        self.state = {n: torch.full(size, fill.get(n, float("nan")), dtype=torch.float64) for n in names}

    def factors(self, step: int, values: Mapping[str, float]) -> dict[str, float]:
        """Return the factor of each term at a step, and update the state.

        Parameters
        ----------
        step
            Number of steps done.
        values
            Values of the terms in this step's loss.

        Returns
        -------
        dict[str, float]
            Factors of the terms that the loss has.

        Raises
        ------
        RecipeError
            Where no term is in the loss, or one is below 0.
        """
        terms = list(self.settings.terms)
        at = torch.tensor([i for i, name in enumerate(terms) if name in values], dtype=torch.long)
        if not len(at):
            raise RecipeError(f"[balance] terms = {terms}: none of them is a part of this system's loss")
        now = torch.tensor([values[terms[i]] for i in at.tolist()], dtype=torch.float64)
        if bool((now < 0).any()):
            raise RecipeError(f"[balance] step {step}: {dict(values)}; a term that falls below 0 cannot be balanced")
        advance = self._uncertainty if self.settings.method == "uncertainty" else self._relobralo
        found = advance(step, at, now)
        return {terms[i]: float(f) for i, f in zip(at.tolist(), found, strict=True)}

    def _uncertainty(self, step: int, at: Tensor, now: Tensor) -> Tensor:
        """exp(−s), followed by a gradient step of s on exp(−s)·L + s, whose minimum is at exp(s) = L.

        Kendall's ½ is left out on both sides. A value far above its variance moves s by no more than one far below.
        """
        s = self.state["log_variance"][at]
        factor = torch.exp(-s)
        self.state["log_variance"][at] = s + self.settings.rate * (factor * now - 1).clamp_max(1.0)
        return factor

    def _relobralo(self, step: int, at: Tensor, now: Tensor) -> Tensor:
        """λ = α (ρ λ + (1 − ρ) λ(against the first step)) + (1 − α) λ(against the step before)."""
        first, last = (torch.where(self.state[n][at].isnan(), now, self.state[n][at]) for n in ("first", "last"))
        stays = np.random.default_rng([self.seed, step, 1]).random() < self.settings.remember
        history = self.state["factor"][at] if stays else self._against(now, first)
        factor = self.settings.keep * history + (1 - self.settings.keep) * self._against(now, last)
        for name, value in (("factor", factor), ("first", first), ("last", now)):
            self.state[name][at] = value
        return factor

    def _against(self, now: Tensor, then: Tensor) -> Tensor:
        """Number of terms × softmax of the ratio of each term to its former value over the temperature."""
        ratio = now / (self.settings.temperature * then.clamp_min(_TINY))
        return len(now) * torch.softmax(ratio, dim=0)
