"""Limits of a sharpened image: no fine cell is far outside the range of the observed cells around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from terrafine.physics.sensor_model import back_project

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["local_range", "without_rings"]

_ROUNDS = 3


def local_range(coarse: Tensor, k: int, margin: float) -> tuple[Tensor, Tensor]:
    """Compute the least and the largest value that each fine cell may have.

    Parameters
    ----------
    coarse
        Observation, (n, band, y, x).
    k
        Fine cells along a coarse one.
    margin
        How far beyond the range of the 3 × 3 coarse cells around it a fine cell may lie, as a share of that range.

    Returns
    -------
    tuple[Tensor, Tensor]
        Two (n, band, y·k, x·k).
    """
    from torch.nn import functional

    padded = functional.pad(coarse, (1, 1, 1, 1), mode="replicate")
    high = functional.max_pool2d(padded, 3, stride=1)
    low = -functional.max_pool2d(-padded, 3, stride=1)
    more = margin * (high - low)
    sides = [functional.interpolate(v, scale_factor=k, mode="nearest") for v in (low - more, high + more)]
    return sides[0], sides[1]


def without_rings(fine: Tensor, coarse: Tensor, k: int, *, mtf: float | None, margin: float) -> Tensor:
    """Remove the rings that back-projection leaves around bright and dark objects, and stay close to the observation.

    Back-projection inverts the blur of the sensor, so it overshoots at edges. Two projections alternate: each fine cell
    into the range of the observed cells around it, and the whole image to its observation. The last one is the range.

    Parameters
    ----------
    fine, coarse
        (n, band, y·k, x·k) and (n, band, y, x).
    k, mtf
        As in `terrafine.physics.sensor_model.point_spread`.
    margin
        As in `local_range`. An object smaller than a cell may be brighter than every cell that observes it.

    Returns
    -------
    Tensor
        (n, band, y·k, x·k).

    References
    ----------
    Projection onto convex sets: Stark & Oskoui 1989, doi:10.1364/JOSAA.6.001715.
    """
    low, high = local_range(coarse, k, margin)
    fine = fine.clamp(low, high)
    for _ in range(_ROUNDS):
        fine = back_project(fine, coarse, k, mtf=mtf, rounds=1).clamp(low, high)
    return fine
