"""What the classes of a cell over the epochs can be, as numbers; and what a temporal rule makes of them.

Each cell is other, impervious or unknown in each epoch, so its history is one of 3^n sequences. Areas, change and
growth depend on the histories alone, so the true area of each sequence in each zone is all that has to be counted, and
any rule about histories can be applied afterwards without another look at the maps.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import UsageError
from terrafine.raster.read.class_stack import UNKNOWN

__all__ = ["IMPERVIOUS", "MOST_EPOCHS", "OTHER", "NOT_KNOWN", "Sequences"]

F64 = NDArray[np.float64]
OTHER, IMPERVIOUS, NOT_KNOWN = 0, 1, 2
MOST_EPOCHS = 12


class Sequences:
    """All sequences of so many epochs.

    Parameters
    ----------
    epochs
        How many epochs.

    Attributes
    ----------
    states
        State of each sequence in each epoch, uint8 (sequence, epoch): 0 other, 1 impervious, 2 unknown.
    steady
        The sequences after the temporal rule, same shape.

    Raises
    ------
    UsageError
        For more epochs than can be counted.
    """

    def __init__(self, epochs: int) -> None:
        if not 1 <= epochs <= MOST_EPOCHS:
            raise UsageError(f"statistics of {epochs} epochs; expected 1 to {MOST_EPOCHS}")
        self.epochs = epochs
        self.states = np.array(list(itertools.product(range(3), repeat=epochs)), np.uint8)
        self.steady = _steady(self.states)

    def code(self, classes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The number of each cell's sequence.

        Parameters
        ----------
        classes
            uint8 (epoch, y, x): 0 other, 1 impervious, 255 unknown.

        Returns
        -------
        ndarray of int64, (y, x)
        """
        out = np.zeros(classes.shape[1:], np.int64)
        for layer in classes:
            state = np.where(layer == UNKNOWN, NOT_KNOWN, np.minimum(layer, 1))
            out = out * 3 + state
        return out

    def areas(self, area: F64, states: NDArray[np.uint8]) -> F64:
        """Area by epoch and state.

        Parameters
        ----------
        area
            Area of each sequence, float64 (sequence,).
        states
            `states` or `steady`.

        Returns
        -------
        ndarray of float64, (epoch, 3)
            Other, impervious, unknown.
        """
        return np.array([[area[states[:, e] == s].sum() for s in range(3)] for e in range(self.epochs)])

    def common(self, area: F64, states: NDArray[np.uint8]) -> F64:
        """Impervious area by epoch of the cells that are known in every epoch, and the area of these cells last.

        Returns
        -------
        ndarray of float64, (epoch + 1,)
        """
        known = (states != NOT_KNOWN).all(axis=1)
        impervious = [area[known & (states[:, e] == IMPERVIOUS)].sum() for e in range(self.epochs)]
        return np.array([*impervious, area[known].sum()])

    def change(self, area: F64, states: NDArray[np.uint8], first: int, last: int) -> F64:
        """Area by state in one epoch and state in another.

        Returns
        -------
        ndarray of float64, (3, 3)
            Rows: state in the first.
        """
        out = np.zeros((3, 3))
        np.add.at(out, (states[:, first], states[:, last]), area)
        return out


def _steady(states: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each sequence with its known epochs replaced by the closest history that never reverts.

    Of all histories that become impervious once, or never, the one that contradicts the fewest known epochs; among
    several the one that agrees with the latest known epoch, then the one that becomes impervious last. What is not
    known stays so.
    """
    count, epochs = states.shape
    histories = np.array([[int(e >= onset) for e in range(epochs)] for onset in range(epochs + 1)], np.uint8)
    known = states != NOT_KNOWN
    wrong = ((states[:, None, :] != histories[None]) & known[:, None, :]).sum(axis=2)
    latest = np.where(known.any(axis=1), epochs - 1 - np.argmax(known[:, ::-1], axis=1), 0)
    disagrees = states[np.arange(count), latest][:, None] != histories[:, latest].T
    rank = wrong * 1000 + disagrees * 100 - np.arange(epochs + 1)[None]
    chosen = histories[rank.argmin(axis=1)]
    return np.where(known, chosen, states).astype(np.uint8)
