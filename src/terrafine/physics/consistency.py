"""Keep a surface to its observation: the mean of the fine cells of a coarse cell is the coarse height."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["keep_observation", "observation_error"]


def keep_observation(relief: Tensor, *, tolerance: float = 0.0) -> Tensor:
    """Return the relief nearest to the given one (least squares) whose mean lies within the tolerance.

    Parameters
    ----------
    relief
        Subcell minus coarse height in metres, (n, k², y, x); its mean over the subcells is the departure from the
        observation. No height above the datum enters, so that float32 loses nothing on a summit.
    tolerance
        Metres. With 0 the observation is kept exactly (hard); above it, only the part of the departure beyond the
        tolerance is removed (soft, for noisy inputs).

    Returns
    -------
    Tensor
        Relief in metres, (n, k², y, x), of the type of the input.

    Notes
    -----
    An orthogonal projection on a convex set that holds the truth never takes a surface farther from the truth.
    """
    return relief - observation_error(relief, tolerance=tolerance).to(relief.dtype)


def observation_error(relief: Tensor, *, tolerance: float = 0.0) -> Tensor:
    """Return what `keep_observation` subtracts: the part of the departure beyond the tolerance.

    The mean is computed in float64, so that subtracting it in float64 keeps the observation for relief of any size.

    Parameters
    ----------
    relief, tolerance
        As in `keep_observation`.

    Returns
    -------
    Tensor
        float64 (n, 1, y, x), metres.
    """
    departure = relief.mean(dim=1, keepdim=True, dtype=torch.float64)
    if tolerance > 0:
        departure = departure - departure.clamp(-tolerance, tolerance)
    return departure
