"""Order statistics of a stream of metres, from an integer histogram with bins of a tenth of a millimetre.

Bins have centres k × 0.1 mm up to 6.5536 m; beyond, there are 65,536 bins per doubling (relative width 1.5e-5). A
median or percentile is off by at most half a bin: 0.05 mm, or 7.7e-6 of its size beyond 6.5 m. Counts are kept for bins
that occur: at most 1.6 million (25 MB) for any stream within ±13 km. Merging is integer addition: associative,
commutative and exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NMAD_FACTOR", "UNIT_M", "Quantiles", "key_of", "value_of"]

UNIT_M = 1e-4
NMAD_FACTOR = 1.4826
"""From the median absolute deviation to the standard deviation of a normal distribution."""
_OCTAVE = 1 << 16
_DENSE = 1 << 23

Keys = NDArray[np.int64]


def key_of(values: NDArray[Any]) -> Keys:
    """Return the bin of each value, as a signed integer that sorts as the values do.

    Parameters
    ----------
    values
        Finite metres, any shape.

    Returns
    -------
    ndarray of int64
        Of the shape of `values`.
    """
    scaled = np.abs(np.asarray(values, dtype=np.float64)) / UNIT_M
    mantissa, exponent = np.frexp(scaled)
    beyond = _OCTAVE * (exponent.astype(np.int64) - 16) + np.rint((mantissa - 0.5) * 2 * _OCTAVE).astype(np.int64)
    key = np.where(scaled < _OCTAVE, np.rint(scaled).astype(np.int64), beyond)
    return np.where(np.signbit(values), -key, key)


def value_of(keys: Keys) -> NDArray[np.float64]:
    """Return the centre of each bin.

    Parameters
    ----------
    keys
        Bins.

    Returns
    -------
    ndarray of float64
        Metres.
    """
    size = np.abs(keys)
    octave = np.maximum((size >> 16) - 1, 0)
    centre = np.where(size < _OCTAVE, size, (_OCTAVE + (size & (_OCTAVE - 1))) * np.exp2(octave)) * UNIT_M
    return np.sign(keys) * centre


def _count(keys: Keys) -> tuple[Keys, Keys]:
    if keys.size == 0:
        return keys, keys
    low, high = int(keys.min()), int(keys.max())
    if high - low < min(_DENSE, 64 * keys.size + 1024):
        counts = np.bincount(keys - low)
        met = np.flatnonzero(counts)
        return met + low, counts[met].astype(np.int64)
    met, counts = np.unique(keys, return_counts=True)
    return met, counts.astype(np.int64)


def _order_statistics(centres: NDArray[np.float64], counts: Keys, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation between order statistics, as numpy.percentile's default."""
    rank = q * (counts.sum() - 1)
    ends = np.cumsum(counts)
    low = centres[np.searchsorted(ends, np.floor(rank), side="right")]
    high = centres[np.searchsorted(ends, np.ceil(rank), side="right")]
    return np.asarray(low + (rank - np.floor(rank)) * (high - low))


@dataclass(frozen=True)
class Quantiles:
    """Counts by bin; immutable: `add` and `merge` return new ones.

    Attributes
    ----------
    keys
        Bins that occur, ascending.
    counts
        Number of values in each.
    """

    keys: Keys = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: Keys = field(default_factory=lambda: np.zeros(0, np.int64))

    @cached_property
    def n(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """Centre of each bin that occurs, ascending, in metres."""
        return value_of(self.keys)

    def add(self, values: NDArray[Any]) -> Quantiles:
        """Add values.

        Parameters
        ----------
        values
            Finite metres, any shape.

        Returns
        -------
        Quantiles
            The stream with them.
        """
        return self.merge(Quantiles(*_count(key_of(np.ravel(values)))))

    def merge(self, other: Quantiles) -> Quantiles:
        """Merge two streams.

        Parameters
        ----------
        other
            The other stream.

        Returns
        -------
        Quantiles
            Both as one.
        """
        if self.keys.size == 0:
            return other
        if other.keys.size == 0:
            return self
        large, small = (self, other) if self.keys.size >= other.keys.size else (other, self)
        at = np.searchsorted(large.keys, small.keys)
        met = large.keys[np.minimum(at, large.keys.size - 1)] == small.keys
        counts = large.counts.copy()
        counts[at[met]] += small.counts[met]
        fresh = ~met
        if not fresh.any():
            return Quantiles(large.keys, counts)
        keys = np.insert(large.keys, at[fresh], small.keys[fresh])
        return Quantiles(keys, np.insert(counts, at[fresh], small.counts[fresh]))

    def absolute(self) -> Quantiles:
        """Return the stream of absolute values."""
        empty = Quantiles()
        negative = self.keys < 0
        mirrored = Quantiles(-self.keys[negative][::-1], self.counts[negative][::-1])
        return empty.merge(mirrored).merge(Quantiles(self.keys[~negative], self.counts[~negative]))

    def quantile(self, q: float) -> float | None:
        """Return a quantile with linear interpolation.

        Parameters
        ----------
        q
            0 to 1.

        Returns
        -------
        float or None
            Metres; None for an empty stream.
        """
        if not self.n:
            return None
        return float(_order_statistics(self.centres, self.counts, np.array([q]))[0])

    def nmad(self) -> float | None:
        """Return 1.4826 × the median of |value − median|, or None for an empty stream.

        References
        ----------
        Höhle & Höhle 2009, https://doi.org/10.1016/j.isprsjprs.2009.02.003
        """
        centre = self.quantile(0.5)
        if centre is None:
            return None
        away = np.abs(self.centres - centre)
        order = np.argsort(away, kind="stable")
        return NMAD_FACTOR * float(_order_statistics(away[order], self.counts[order], np.array([0.5]))[0])

    def beyond(self, threshold: float) -> float | None:
        """Return the fraction with an absolute value above a threshold, accurate to half a bin.

        Parameters
        ----------
        threshold
            Metres.

        Returns
        -------
        float or None
            None for an empty stream.
        """
        if not self.n:
            return None
        return float(self.counts[np.abs(self.centres) > threshold + UNIT_M / 4].sum() / self.n)

    def histogram(self, edges: NDArray[np.float64]) -> tuple[list[int], int, int]:
        """Count values between consecutive edges [a, b), the last interval closed.

        Parameters
        ----------
        edges
            Ascending edges in metres.

        Returns
        -------
        tuple of (list of int, int, int)
            Counts between the edges, below the first and above the last.
        """
        values = self.centres
        inside, _ = np.histogram(values, bins=edges, weights=self.counts)
        below = self.counts[values < edges[0]].sum()
        above = self.counts[values > edges[-1]].sum()
        return [int(c) for c in inside], int(below), int(above)
