"""Colours of a layer: ramps with their legend, and class tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.nice import nice_step

__all__ = ["CIVIDIS", "LAND", "SHARE", "Classes", "Ramp"]

RGB = tuple[int, int, int]

LAND: Sequence[RGB] = ((172, 208, 165), (225, 228, 181), (222, 192, 139), (178, 138, 100), (232, 225, 217))
"""Elevation from low to high: the hypsometric tints of atlases, in light shades that leave room for the relief."""
SHARE: Sequence[RGB] = ((232, 236, 222), (226, 160, 130), (178, 34, 52))
"""A share from 0 to 1, in the colours of the class map."""
CIVIDIS: Sequence[RGB] = ((0, 34, 78), (61, 79, 108), (125, 124, 120), (187, 173, 108), (254, 232, 56))
"""Any other quantity; readable with colour blindness. Nuñez et al. 2018, doi:10.1371/journal.pone.0199239."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """Colours between two values.

    Attributes
    ----------
    low, high
        Values of the first and of the last colour.
    colours
        Two or more, at equal distances.
    unit
        Unit for the legend.
    """

    low: float
    high: float
    colours: Sequence[RGB]
    unit: str = ""

    def paint(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the colour of each value.

        Parameters
        ----------
        values
            (y, x).

        Returns
        -------
        ndarray of float64, (y, x, 3)
            Red, green and blue from 0 to 255.
        """
        at = (values - self.low) / max(self.high - self.low, 1e-12)
        places = np.linspace(0, 1, len(self.colours))
        table = np.asarray(self.colours, np.float64)
        return np.stack([np.interp(at, places, table[:, i]) for i in range(3)], axis=-1)

    def legend(self) -> dict[str, Any]:
        """Return the legend: kind, unit, colours as text, and the values to write beside them."""
        step = nice_step(max(self.high - self.low, 1e-9) / 4)
        first = np.ceil(self.low / step) * step
        ticks = [float(v) for v in np.arange(first, self.high + step * 1e-6, step)]
        return {
            "kind": "ramp",
            "unit": self.unit,
            "low": self.low,
            "high": self.high,
            "colours": [_text(c) for c in self.colours],
            "ticks": ticks or [self.low, self.high],
        }


@dataclass(frozen=True, slots=True)
class Classes:
    """A colour and a name for each number.

    Attributes
    ----------
    colours
        Number to colour; other numbers are not drawn.
    names
        Number to name.
    """

    colours: Mapping[int, RGB]
    names: Mapping[int, str]

    def paint(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Compute the colour of each number, (y, x, 3), and where it has one, (y, x)."""
        out, drawn = np.zeros((*values.shape, 3)), np.zeros(values.shape, bool)
        for number, colour in self.colours.items():
            here = values == number
            out[here], drawn = colour, drawn | here
        return out, drawn

    def legend(self) -> dict[str, Any]:
        """Return the legend: kind, and one entry with colour and name for each class."""
        entries = [{"colour": _text(c), "name": self.names.get(n, str(n))} for n, c in sorted(self.colours.items())]
        return {"kind": "classes", "entries": entries}


def _text(colour: RGB) -> str:
    return "#" + "".join(f"{c:02x}" for c in colour)
