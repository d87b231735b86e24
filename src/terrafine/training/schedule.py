"""Learning rate of a run, and early stopping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from terrafine.schema.types import Count, Share, Weight, Within

__all__ = ["METHODS", "PRECISIONS", "Optim", "Stop", "rate_at"]

Method = Literal["adamw", "muon"]
Decay = Literal["cosine", "exponential", "plateau", "none"]
Precision = Literal["auto", "float32", "bfloat16"]
METHODS, PRECISIONS = get_args(Method), get_args(Precision)
_Memory = Annotated[float, Within(0, 1, below=True)]
_Waits = Annotated[int, Within(0)]


@dataclass(frozen=True, slots=True)
class Optim:
    """A recipe's `[optim]`: the optimiser of the network and of its discriminators.

    Attributes
    ----------
    steps
        Number of steps.
    rate
        Learning rate after warm-up.
    method
        `adamw`, or `muon` for the network; discriminators always use AdamW.
    beta1, beta2
        Memory of AdamW's first and second moment.
    weight_decay
        Decoupled weight decay.
    warmup
        Steps over which the rate rises.
    decay
        `cosine` or `exponential` to `final` × rate, `plateau`, or `none`.
    final
        Share of the rate that remains at the end.
    patience, factor
        For `plateau`: validations without a better score before the rate is multiplied by `factor`.
    ema
        Memory of the moving average of the weights, which is scored and published; 0 for no averaging.
    clip
        Largest norm of the network's gradient; 0 for no limit.
    precision
        Precision of the forward pass: `float32`, `bfloat16`, or `auto`, bfloat16 where the hardware computes in it.
        Heights and losses are computed in float32 in any case.
    starts
        Steps at which warm-up and decay start again; set by a recipe's phases.
    """

    steps: Count
    rate: Annotated[float, Within(0, 1_000, above=True)]
    method: Method = "adamw"
    beta1: _Memory = 0.9
    beta2: _Memory = 0.99
    weight_decay: Annotated[float, Within(0, 1_000)] = 0.0
    warmup: _Waits = 200
    decay: Decay = "cosine"
    final: Share = 0.01
    patience: Count = 20
    factor: Annotated[float, Within(0, 1, above=True)] = 0.5
    ema: _Memory = 0.999
    clip: Weight = 1.0
    precision: Precision = "auto"
    starts: Sequence[Count] = ()

    def problems(self) -> list[str]:
        """Find settings that are invalid, as one message for each."""
        if self.decay == "exponential" and self.final == 0:
            return [f"[optim] final = {self.final}: expected above 0 for exponential decay"]
        return []


@dataclass(frozen=True, slots=True)
class Stop:
    """A recipe's `[stop]`: selection of the published weights, and early stopping.

    Attributes
    ----------
    best_by
        Held-out score by which the best averaged weights are kept and published; with "" the last ones are published.
    mode
        `min` where a lower score is better, `max` where a higher one is.
    patience
        Validations without a better score, in the last phase, after which the run stops; 0 for no early stopping.
    """

    best_by: str = ""
    mode: Literal["min", "max"] = "min"
    patience: _Waits = 0

    def better(self, score: float, best: float) -> bool:
        """Compare a score with the best one so far.

        Parameters
        ----------
        score
            New score.
        best
            Best score so far.

        Returns
        -------
        bool
            True where the new score is better.
        """
        return score > best if self.mode == "max" else score < best

    @property
    def worst(self) -> float:
        """Score that is worse than any other."""
        return -math.inf if self.mode == "max" else math.inf

    def problems(self, scores: Sequence[str], higher: Sequence[str], decay: str) -> list[str]:
        """Find settings that are invalid.

        Parameters
        ----------
        scores
            Held-out scores of the task.
        higher
            Scores of which a higher value is better.
        decay
            `decay` of `[optim]`.

        Returns
        -------
        list[str]
            One message for each problem.
        """
        checks = (
            (
                self.best_by not in ("", *scores),
                f"best_by = {self.best_by!r}: expected one of {', '.join(scores)}, or ''",
            ),
            (
                self.best_by in higher and self.mode == "min",
                f"best_by = {self.best_by!r}: a higher one is better; expected mode = 'max' with it",
            ),
            (self.patience > 0 and not self.best_by, "patience needs best_by, the score that must get better"),
            (decay == "plateau" and not self.best_by, "[optim] decay = 'plateau' needs best_by, the score it follows"),
        )
        return [f"[stop] {text}" for bad, text in checks if bad]


def rate_at(step: int, optim: Optim, plateau: float = 1.0) -> float:
    """Compute the learning rate at a step.

    Parameters
    ----------
    step
        Number of steps done.
    optim
        The recipe's `[optim]`.
    plateau
        Current factor of `decay = "plateau"`.

    Returns
    -------
    float
        Learning rate.
    """
    first = max((s for s in optim.starts if s <= step), default=0)
    last = min((s for s in optim.starts if s > step), default=optim.steps)
    rise = min(1.0, (step - first + 1) / max(1, optim.warmup))
    done = (step - first) / max(1, last - first)
    if optim.decay == "cosine":
        fall = optim.final + (1 - optim.final) * 0.5 * (1 + math.cos(math.pi * done))
    elif optim.decay == "exponential":
        fall = optim.final**done
    else:
        fall = plateau
    return optim.rate * rise * fall
