"""Muon: orthogonalised momentum for the hidden convolutions of a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn, optim

__all__ = ["Muon"]

_HIDDEN = 32  # channels on both sides from which a convolution counts as hidden
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


class Muon(optim.Optimizer):
    """Optimiser with orthogonalised momentum for convolutions of 32 or more channels on both sides, AdamW elsewhere.

    torch's own Muon takes matrices only; a convolution (out, in, y, x) is a matrix of out × (in·y·x). The update has
    the size of AdamW's (0.2 × the root of the longer side [2]_), so one rate serves both.

    Parameters
    ----------
    parameters
        Parameters, or groups of them.
    lr
        Learning rate.
    betas
        Memory of AdamW's first and second moment.
    momentum
        Memory of the momentum.
    weight_decay
        Decoupled weight decay.

    References
    ----------
    .. [1] Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/
    .. [2] Liu et al. 2025, https://arxiv.org/abs/2502.16982
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient.

        Parameters
        ----------
        closure
            Not supported; None.

        Raises
        ------
        ValueError
            For a closure.
        """
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.sub_(group["lr"] * self._direction(p, p.grad, group))

    def _direction(self, p: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[p]
        if p.ndim == 4 and min(p.shape[:2]) >= _HIDDEN:
            if not state:
                state["momentum"] = torch.zeros_like(p)
            state["momentum"].lerp_(gradient, 1 - group["momentum"])
            ahead = gradient.lerp(state["momentum"], group["momentum"]).flatten(1)
            return _orthogonal(ahead).mul(0.2 * max(ahead.shape) ** 0.5).view(p.shape)
        if not state:
            state.update(step=torch.zeros(()), first=torch.zeros_like(p), second=torch.zeros_like(p))
        one, two = group["betas"]
        state["step"] += 1
        state["first"].lerp_(gradient, 1 - one)
        state["second"].lerp_(gradient.square(), 1 - two)
        n = float(state["step"])
        deviation = (state["second"] / (1 - two**n)).sqrt_().add_(1e-8)
        moved: Tensor = state["first"] / (1 - one**n) / deviation
        return moved


def _orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the closest matrix with orthonormal rows: five rounds of a quintic Newton-Schulz iteration."""
    a, b, c = _QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T.contiguous() if tall else x
