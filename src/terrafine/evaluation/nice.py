"""Round numbers for axes, bins, colour limits and scale bars: small multiples of powers of ten."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["MULTIPLES", "nice_length", "nice_step"]

MULTIPLES = (1, 2, 5)


def nice_step(wanted: float, multiples: Sequence[float] = MULTIPLES, tolerance: float = 1e-9) -> float:
    """Return the smallest round number that is not below a wanted one.

    Parameters
    ----------
    wanted
        A number above 0.
    multiples
        The leading figures that count as round, rising from 1 and below 10.
    tolerance
        Relative amount by which the result may be below `wanted`.

    Returns
    -------
    float
        A multiple of a power of ten.
    """
    power = 10.0 ** math.floor(math.log10(wanted))
    return float(next(m * power for m in (*multiples, 10) if m * power >= wanted * (1 - tolerance)))


def nice_length(most: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above a limit.

    Parameters
    ----------
    most
        The limit, above 0.

    Returns
    -------
    float
        The round number.
    """
    power = 10.0 ** math.floor(math.log10(most))
    return float(max(m * power for m in MULTIPLES if m * power <= most))
