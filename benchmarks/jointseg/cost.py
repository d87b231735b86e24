"""Cost of the networks of JointSeg's images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["multiply_adds"]

_DENSE = 5  # convolutions of a dense block, as in `rrdb`


def multiply_adds(bands: int, size: Mapping[str, Any], second: Mapping[str, Any] | None = None) -> tuple[float, float]:
    """Count the multiply-adds of the convolutions of each stage for one cell of the 1 m image.

    Parameters
    ----------
    bands, size, second
        As in `rrdb.ProgEsrgan`.

    Returns
    -------
    tuple[float, float]
        Multiply-adds of stage 1 and of stage 2.

    References
    ----------
    Networks: Wang et al. 2018, arXiv:1809.00219; Deng et al. 2025, arXiv:2505.05367.
    """

    def trunk(inputs: int, blocks: int, features: int, growth: int) -> float:
        dense = sum(9 * (features + i * growth) * (growth if i < _DENSE - 1 else features) for i in range(_DENSE))
        return 9 * inputs * features + blocks * 3 * dense + 9 * features * features

    def tail(features: int) -> float:
        return 9 * features * features + 9 * features * bands

    other = size if second is None else second
    f, g = int(size["features"]), int(other["features"])
    first = trunk(bands, **size) / 100 + 9 * f * f * (4 + 16) / 100 + tail(f) * 16 / 100
    return first, trunk(2 * bands, **other) * 16 / 100 + tail(g)
