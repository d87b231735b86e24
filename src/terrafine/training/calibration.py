"""Calibration of uncertainty: the factors by which σ must be scaled to cover held-out errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["COVERAGES", "calibration_of"]

COVERAGES = (0.68, 0.90, 0.95)


def calibration_of(ratios: Sequence[Tensor]) -> dict[str, float]:
    """Return the factors that make a network's σ cover stated shares of held-out errors.

    Parameters
    ----------
    ratios
        |error| / σ of held-out cells, tensors of any shape.

    Returns
    -------
    dict[str, float]
        `sigma`, the factor from the network's σ to the published one, of which ±1 covers 68 % of the errors; and for
        each of COVERAGES, under its two decimals, the multiple of the published σ that covers that share. A normal
        distribution would give 1, 1.65 and 1.97.
    """
    found = torch.cat([r.flatten() for r in ratios]).double().cpu().numpy()
    unit, *wider = np.quantile(found, COVERAGES).tolist()
    return {"sigma": unit, f"{COVERAGES[0]:.2f}": 1.0} | {
        f"{share:.2f}": value / unit for share, value in zip(COVERAGES[1:], wider, strict=True)
    }
