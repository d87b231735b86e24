"""Differentiable flow of water over terrain: directions, sinks and flow accumulation.

Heights (…, y, x) in metres, rows running south; `pixel_size_m` as `stencil.Sizes`. The eight neighbours come in the
order E, SE, S, SW, W, NW, N, NE. Hard D8 (O'Callaghan & Mark 1984, doi:10.1016/S0734-189X(84)80011-0) is the limit of
temperature 0. A temperature is a drop in metres per metre: differences of steepness far below it do not decide.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from terrafine.physics.stencil import Sizes, cell_sizes, compared, mean_over, neighbour

__all__ = [
    "NEIGHBOURS",
    "TEMPERATURE",
    "accumulation_loss",
    "drops",
    "flow_accumulation",
    "flow_shares",
    "sink_depth",
    "sink_penalty",
    "soft_direction_loss",
]

NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
"""(dy, dx) of the eight neighbours: rows south, columns east."""

TEMPERATURE = 0.02

_STILL = 1e-6  # share that stays in a cell whose drops are far below the temperature; keeps 0/0 away
_CHECK_EVERY = 8  # steps between two checks whether water still moves: a check waits for the device


def drops(z: Tensor, pixel_size_m: Sizes) -> Tensor:
    """Compute the drop per metre from each cell to each of its eight neighbours.

    Parameters
    ----------
    z
        Heights in metres, (…, y, x).
    pixel_size_m
        Metres along y and x, as `stencil.Sizes`.

    Returns
    -------
    Tensor
        (…, 8, y, x), neighbours in the order of `NEIGHBOURS`; −∞ toward neighbours outside the patch.
    """
    dy, dx = cell_sizes(pixel_size_m, z)
    wide = functional.pad(z, (1, 1, 1, 1), value=math.inf)
    parts = []
    for down, across in NEIGHBOURS:
        distance = torch.sqrt((down * dy) ** 2 + (across * dx) ** 2)
        parts.append((z - neighbour(wide, down, across)) / distance)
    return torch.stack(parts, dim=-3)


def soft_direction_loss(
    prediction: Tensor,
    truth: Tensor,
    pixel_size_m: Sizes,
    valid: Tensor | None = None,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """Compute the mean Kullback-Leibler divergence of the predicted soft directions from those of the truth.

    A direction's probability is the softmax of the drop per metre over the temperature. The weight of each inner cell
    is 1 − H/ln 8, with H the entropy of the truth's directions: cells without a clear flow direction in the truth do
    not count, and a truth that is flat throughout gives 0.

    Parameters
    ----------
    prediction, truth
        Heights in metres, (…, y, x).
    pixel_size_m
        Metres along y and x, as `stencil.Sizes`.
    valid
        Bool, (…, y, x), True where the truth is known; all cells where None.
    temperature
        Metres per metre, above 0.

    Returns
    -------
    Tensor
        (…), nats.

    Raises
    ------
    ValueError
        For shapes that differ, a temperature not above 0, or where nothing is valid.
    """
    p, t, inner = compared(prediction, truth, valid)
    t = t.detach()
    log_p, log_t = (
        torch.log_softmax(drops(z, pixel_size_m)[..., 1:-1, 1:-1] / _positive(temperature), dim=-3) for z in (p, t)
    )
    share = log_t.exp()
    clear = 1 + (share * log_t).sum(-3) / math.log(8)
    apart = (share * (log_t - log_p)).sum(-3)
    return mean_over(apart, clear.clamp_min(0.0) * inner)


def sink_depth(z: Tensor) -> Tensor:
    """Compute how far each inner cell lies below its lowest neighbour.

    Only pits of one cell count; a depression of several cells is found only where its floor has a lowest cell.

    Parameters
    ----------
    z
        Heights in metres, (…, y, x).

    Returns
    -------
    Tensor
        Metres, (…, y - 2, x - 2); 0 where the cell is not below its neighbours.
    """
    lowest = torch.stack([neighbour(z, *n) for n in NEIGHBOURS]).amin(0)
    return (lowest - neighbour(z, 0, 0)).clamp_min(0.0)


def sink_penalty(prediction: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
    """Compute the mean depth of the predicted pits at inner cells where the truth has none.

    Parameters
    ----------
    prediction, truth, valid
        As in `soft_direction_loss`.

    Returns
    -------
    Tensor
        (…), metres.

    Raises
    ------
    ValueError
        For shapes that differ, or where nothing is valid.
    """
    p, t, inner = compared(prediction, truth, valid)
    return mean_over(sink_depth(p), inner & (sink_depth(t) == 0))


def flow_shares(z: Tensor, pixel_size_m: Sizes, temperature: float = TEMPERATURE) -> Tensor:
    """Compute the share of a cell's water that flows to each lower neighbour.

    Shares are proportional to exp(drop/temperature) − 1: continuous where a neighbour ceases to be lower, all to the
    steepest as the temperature approaches 0, and proportional to the drop as it grows. Water never flows uphill, so
    there are no cycles.

    Parameters
    ----------
    z, pixel_size_m
        As in `drops`.
    temperature
        Metres per metre, above 0.

    Returns
    -------
    Tensor
        (…, 8, y, x); the sum over the neighbours is 1, or 0 where none is lower.

    Raises
    ------
    ValueError
        For a temperature not above 0.

    References
    ----------
    Quinn et al. 1991, doi:10.1002/hyp.3360050106.
    """
    down = drops(z, pixel_size_m).clamp_min(0.0) / _positive(temperature)
    most = down.amax(dim=-3, keepdim=True)
    weight = -torch.exp(down - most) * torch.expm1(-down)
    return weight / (weight.sum(dim=-3, keepdim=True) + _STILL)


def flow_accumulation(
    z: Tensor, pixel_size_m: Sizes, temperature: float = TEMPERATURE, own: Tensor | None = None
) -> Tensor:
    """Compute the water that passes each cell: its own and all that flows in from above.

    Solves A = own + Pᵀ A exactly, where P is `flow_shares`, by moving all water one cell a step until none moves. It
    takes as many steps as the longest flow path has cells (1 to 3 sides of a patch on real terrain), each 8
    multiply-adds a cell. The gradient takes the same path back up, at twice the forward cost and without memory that
    grows with the steps. Pits are not filled: water stays in them. Water leaves no patch; it stays at the border.

    Parameters
    ----------
    z, pixel_size_m, temperature
        As in `flow_shares`.
    own
        Water of each cell, broadcasting to (…, y, x); 1 where None.

    Returns
    -------
    Tensor
        (…, y, x), in the units of `own`.

    Raises
    ------
    ValueError
        For a temperature not above 0.
    """
    shares = flow_shares(z, pixel_size_m, temperature)
    start = torch.ones_like(z) if own is None else own.to(z.dtype).expand_as(z)
    return _route(shares, start)


def accumulation_loss(
    prediction: Tensor,
    truth: Tensor,
    pixel_size_m: Sizes,
    valid: Tensor | None = None,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """Compute the mean |ln A − ln A of the truth| of flow accumulation in cells, over inner cells.

    Nodata cells hold 0 m in both surfaces and so attract water alike.

    Parameters
    ----------
    prediction, truth, pixel_size_m, valid, temperature
        As in `soft_direction_loss`.

    Returns
    -------
    Tensor
        (…), dimensionless.

    Raises
    ------
    ValueError
        As `soft_direction_loss`.
    """
    p, t, inner = compared(prediction, truth, valid)
    ours, theirs = (flow_accumulation(z, pixel_size_m, temperature)[..., 1:-1, 1:-1] for z in (p, t.detach()))
    return mean_over((ours.log() - theirs.log()).abs(), inner)


def _positive(temperature: float) -> float:
    if not temperature > 0:
        raise ValueError(f"a temperature is a drop in metres per metre above 0; found {temperature}")
    return temperature


def _downhill(water: Tensor, shares: Tensor) -> Tensor:
    """Move all water one cell down; water without a lower neighbour is dropped."""
    moved = functional.pad(water.unsqueeze(-3) * shares, (1, 1, 1, 1))
    return torch.stack([neighbour(moved[..., k, :, :], -dy, -dx) for k, (dy, dx) in enumerate(NEIGHBOURS)]).sum(0)


def _below(value: Tensor) -> Tensor:
    """The value of each of the eight neighbours, 0 outside; (…, 8, y, x)."""
    wide = functional.pad(value, (1, 1, 1, 1))
    return torch.stack([neighbour(wide, dy, dx) for dy, dx in NEIGHBOURS], dim=-3)


class _Route(torch.autograd.Function):
    """A = own + Pᵀ A, and its adjoint λ = g + P λ."""

    @staticmethod
    def forward(ctx: Any, shares: Tensor, own: Tensor) -> Tensor:
        total, moving, step = own.clone(), own, 0
        while step % _CHECK_EVERY or bool(moving.any()):
            moving = _downhill(moving, shares)
            total = total + moving
            step += 1
        ctx.save_for_backward(shares, total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        shares, total = ctx.saved_tensors
        weight, moving, step = grads[0].clone(), grads[0], 0
        while step % _CHECK_EVERY or bool(moving.any()):
            moving = (shares * _below(moving)).sum(-3)
            weight = weight + moving
            step += 1
        return total.unsqueeze(-3) * _below(weight), weight


def _route(shares: Tensor, own: Tensor) -> Tensor:
    out: Tensor = _Route.apply(shares, own)  # type: ignore[no-untyped-call]
    return out
