"""Drainage of two whole surfaces, compared: what tests of hydrology call."""

from __future__ import annotations

from typing import Any

import numpy as np


def compare_surfaces(
    candidate: np.ndarray, reference: np.ndarray, valid: np.ndarray | None, pixel_size_m: np.ndarray
) -> dict[str, Any]:
    """Compare the drainage of two (y, x) surfaces in metres on the cells that are valid in both."""
    from terrafine.evaluation.hydrology import compare_drainage, drainage

    shared = np.isfinite(candidate) & np.isfinite(reference)
    if valid is not None:
        shared &= valid
    return compare_drainage(drainage(candidate, shared, pixel_size_m), drainage(reference, shared, pixel_size_m))
