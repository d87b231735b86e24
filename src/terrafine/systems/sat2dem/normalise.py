"""Normalisation of heights: Global and Global + Shift as published, and relief, which has no level."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from terrafine.errors import RecipeError

__all__ = ["HIGH_M", "LOW_M", "NORMALISATIONS", "Normalisation", "from_units", "to_units"]

LOW_M, HIGH_M = -168.6189727783203, 3472.300537109375
"""Lowest and highest cell of the published data set (Zenodo 14647632)."""

_RELIEF_UNIT_M = 100.0
Normalisation = Literal["global", "shift", "relief"]
NORMALISATIONS = get_args(Normalisation)


def to_units(heights: Tensor, valid: Tensor, kind: str) -> Tensor:
    """Convert heights to the network's units; only valid cells count.

    The normalisations are:

    - `global`: z' = 2 (z - low) / (high - low) - 1.
    - `shift`: z'' = z' - (min of the tile's z' + 1), so that the tile's lowest cell is -1; metres per unit as before.
    - `relief`: (z - mean of the tile) / 100 m; the loss removes the level from both surfaces.

    Parameters
    ----------
    heights
        Metres, (n, 1, y, x).
    valid
        1 where the height is known, else 0, (n, 1, y, x).
    kind
        `global`, `shift` or `relief`.

    Returns
    -------
    Tensor
        Same shape; 0 where not valid.

    Raises
    ------
    RecipeError
        For another normalisation.

    References
    ----------
    Leyva, Ortega, de Moura 2026, https://doi.org/10.1007/s41064-026-00393-y.
    """
    _check(kind)
    if kind == "relief":
        count = valid.sum(dim=(2, 3), keepdim=True).clamp_min(1)
        mean = (heights * valid).sum(dim=(2, 3), keepdim=True) / count
        return (heights - mean) * valid / _RELIEF_UNIT_M
    units = 2 * (heights - LOW_M) / (HIGH_M - LOW_M) - 1
    if kind == "shift":
        known = torch.where(valid > 0, units, torch.full_like(units, float("inf")))
        units = units - (known.amin(dim=(2, 3), keepdim=True) + 1)
    return torch.where(valid > 0, units, torch.zeros_like(units))


def from_units(units: Tensor, kind: str) -> Tensor:
    """Convert the network's units to metres.

    Parameters
    ----------
    units
        Any shape.
    kind
        `global`: above the datum; `shift`: above the tile's lowest cell; `relief`: above any level.

    Returns
    -------
    Tensor
        Metres, same shape.

    Raises
    ------
    RecipeError
        For another normalisation.
    """
    _check(kind)
    if kind == "relief":
        return units * _RELIEF_UNIT_M
    above = (units + 1) * ((HIGH_M - LOW_M) / 2)
    return above + LOW_M if kind == "global" else above


def _check(kind: str) -> None:
    if kind not in NORMALISATIONS:
        raise RecipeError(f"normalisation = {kind!r}: expected one of {', '.join(NORMALISATIONS)}")
