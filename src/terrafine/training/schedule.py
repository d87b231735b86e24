"""How the rate of a run goes, and when the run stops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DECAYS", "METHODS", "PRECISIONS", "Optim", "Stop", "rate_at"]

METHODS = ("adamw", "muon")
DECAYS = ("cosine", "exponential", "plateau", "none")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class Optim:
    """A recipe's `[optim]`: the optimiser of the network and of its discriminators.

    Attributes
    ----------
    steps
        Steps of the optimiser.
    rate
        Learning rate after warm-up.
    method
        `adamw`, or `muon` for the network; discriminators always learn by AdamW.
    beta1, beta2
        Memory of AdamW's first and second moment.
    weight_decay
        Decoupled weight decay.
    warmup
        Steps over which the rate rises.
    decay
        `cosine` or `exponential` to `final` × rate, `plateau`, or `none`.
    final
        Share of the rate that is left at the end.
    patience, factor
        Of `plateau`: validations without a better score before the rate is multiplied by `factor`.
    ema
        Memory of the moving average of the weights, which is scored and published; 0 takes the weights as they are.
    clip
        Largest norm of the network's gradient; 0 leaves it.
    precision
        Of the forward pass: `float32`, `bfloat16`, or `auto`, bfloat16 where the hardware computes in it. Heights and
        losses are computed in float32 in any case.
    starts
        Steps at which warm-up and decay begin again; set by a recipe's phases.
    """

    steps: int
    rate: float
    method: str = "adamw"
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    warmup: int = 200
    decay: str = "cosine"
    final: float = 0.01
    patience: int = 20
    factor: float = 0.5
    ema: float = 0.999
    clip: float = 1.0
    precision: str = "auto"
    starts: Sequence[int] = ()

    def problems(self) -> list[str]:
        """What contradicts itself, or is out of range; in words."""
        checks = (
            (self.steps < 1, f"steps = {self.steps}: expected 1 or more"),
            (not self.rate > 0, f"rate = {self.rate}: expected above 0"),
            (self.method not in METHODS, f"method = {self.method!r}: expected one of {', '.join(METHODS)}"),
            (self.decay not in DECAYS, f"decay = {self.decay!r}: expected one of {', '.join(DECAYS)}"),
            (self.precision not in PRECISIONS, f"precision = {self.precision!r}: expected {', '.join(PRECISIONS)}"),
            (not 0 <= self.ema < 1, f"ema = {self.ema}: expected from 0 to below 1"),
            (not self.clip >= 0, f"clip = {self.clip}: expected 0 or more"),
            (self.patience < 1, f"patience = {self.patience}: expected 1 or more"),
            (self.warmup < 0 or self.weight_decay < 0, "warmup, weight_decay: expected 0 or more"),
            (not 0 < self.factor <= 1, f"factor = {self.factor}: expected above 0, up to 1"),
            (
                not 0 <= self.final <= 1 or (self.decay == "exponential" and self.final == 0),
                f"final = {self.final}: expected from 0 to 1, and above 0 for exponential decay",
            ),
            (not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1), "beta1, beta2: expected from 0 to below 1"),
        )
        return [f"[optim] {text}" for bad, text in checks if bad]


@dataclass(frozen=True, slots=True)
class Stop:
    """A recipe's `[stop]`: which weights of the run are published, and early stopping.

    Attributes
    ----------
    best_by
        Held-out score by which the best averaged weights are kept and published; "" publishes the last ones.
    mode
        `min` where a lower score is better, `max` where a higher one is.
    patience
        Validations without a better score, in the last phase, after which the run stops; 0 never stops it early.
    """

    best_by: str = ""
    mode: str = "min"
    patience: int = 0

    def better(self, score: float, best: float) -> bool:
        """Whether a score is better than the best one so far."""
        return score > best if self.mode == "max" else score < best

    @property
    def worst(self) -> float:
        """A score that any other is better than."""
        return -math.inf if self.mode == "max" else math.inf

    def problems(self, scores: Sequence[str], higher: Sequence[str], decay: str) -> list[str]:
        """What contradicts itself, given the held-out scores, those that are better higher, and `[optim] decay`."""
        checks = (
            (
                self.best_by not in ("", *scores),
                f"best_by = {self.best_by!r}: expected one of {', '.join(scores)}, or ''",
            ),
            (self.mode not in ("min", "max"), f"mode = {self.mode!r}: expected min or max"),
            (
                self.best_by in higher and self.mode == "min",
                f"best_by = {self.best_by!r}: a higher one is better; expected mode = 'max' with it",
            ),
            (self.patience < 0, f"patience = {self.patience}: expected 0 or more"),
            (self.patience > 0 and not self.best_by, "patience needs best_by, the score that must get better"),
            (decay == "plateau" and not self.best_by, "[optim] decay = 'plateau' needs best_by, the score it follows"),
        )
        return [f"[stop] {text}" for bad, text in checks if bad]


def rate_at(step: int, optim: Optim, plateau: float = 1.0) -> float:
    """The learning rate at a step; `plateau` is the factor that `decay = "plateau"` has come down to."""
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
