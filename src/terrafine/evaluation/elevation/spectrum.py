"""Detail and its truth: power spectra, their ratio, and coherence with the reference.

Welch's method in two dimensions: square windows, each minus its least-squares plane and under a Hann taper; spectra and
cross spectrum are summed over windows, then over rings of equal radial frequency in cycles per metre. Coherence is
magnitude-squared, |Σ S_cr|² ÷ (Σ S_cc · Σ S_rr): 1 where the candidate has the detail of the reference, near 0 where it
has none or invents its own.

References
----------
Welch 1967, https://doi.org/10.1109/TAU.1967.1161901
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SpectrumStats", "window_starts"]

F64 = NDArray[np.float64]


def window_starts(length: int, side: int, most: int) -> list[int]:
    """Return the starts of windows spread evenly over a length without overlap; a single one in the middle.

    Parameters
    ----------
    length
        Cells of the grid.
    side
        Cells of a window.
    most
        Largest number of windows.

    Returns
    -------
    list of int
        First cell of each window.
    """
    count = min(most, length // side)
    if count < 1:
        return []
    if count == 1:
        return [(length - side) // 2]
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _taper(side: int) -> F64:
    w = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(side) + 0.5) / side)
    return np.outer(w, w)


def _without_plane(z: F64) -> F64:
    """Minus its least-squares plane; row and column are orthogonal on a full window."""
    y, x = (np.arange(n) - (n - 1) / 2 for n in z.shape)
    z = z - z.mean()
    fall_y = (z * y[:, None]).sum() / (y @ y * x.size)
    fall_x = (z * x[None, :]).sum() / (x @ x * y.size)
    return np.asarray(z - fall_y * y[:, None] - fall_x * x[None, :])


@dataclass(frozen=True)
class SpectrumStats:
    """Ring sums over square windows; immutable, mergeable.

    Rings are one fundamental wide, from the first full wave in a window to the Nyquist frequency of the coarser axis.

    Attributes
    ----------
    side
        Cells along a side of a window.
    pixel_size_m
        Metres (y, x) of a cell.
    windows
        Number of windows.
    candidate, reference, cross
        Power of each and cross spectrum by ring.
    """

    side: int
    pixel_size_m: tuple[float, float]
    windows: int = 0
    candidate: F64 = field(default_factory=lambda: np.zeros(0))
    reference: F64 = field(default_factory=lambda: np.zeros(0))
    cross: NDArray[np.complex128] = field(default_factory=lambda: np.zeros(0, np.complex128))

    def _rings(self) -> tuple[NDArray[np.int64], F64]:
        dy, dx = self.pixel_size_m
        fy, fx = np.fft.fftfreq(self.side, dy), np.fft.fftfreq(self.side, dx)
        step = 1 / (self.side * min(dy, dx))
        radius = np.hypot(fy[:, None], fx[None, :])
        count = int(0.5 / max(dy, dx) / step + 1e-9)
        ring = np.rint(radius / step).astype(np.int64)
        frequencies: F64 = np.arange(1, count + 1, dtype=np.float64) * step
        return np.where((ring >= 1) & (ring <= count), ring - 1, -1).astype(np.int64), frequencies

    def add(self, candidate: NDArray[Any], reference: NDArray[Any]) -> SpectrumStats:
        """Add one window.

        Parameters
        ----------
        candidate, reference
            Finite metres (side, side).

        Returns
        -------
        SpectrumStats
            The sums with it.
        """
        taper = _taper(self.side)
        c, r = (np.fft.fft2(_without_plane(np.asarray(z, np.float64)) * taper) for z in (candidate, reference))
        ring, frequencies = self._rings()
        inside = ring >= 0
        # One-sided density is not needed: power is in m² a ring, so that the rings add up to the variance.
        scale = 1 / (self.side**2 * np.square(taper).sum())
        at, n = ring[inside], frequencies.size
        parts = [np.bincount(at, weights=v[inside], minlength=n) * scale for v in (np.abs(c) ** 2, np.abs(r) ** 2)]
        both = (c * np.conj(r))[inside]
        cross = (np.bincount(at, weights=both.real, minlength=n) + 1j * np.bincount(at, both.imag, n)) * scale
        return self.merge(SpectrumStats(self.side, self.pixel_size_m, 1, parts[0], parts[1], cross))

    def merge(self, other: SpectrumStats) -> SpectrumStats:
        """Merge two sets of windows of the same side and pixel size.

        Parameters
        ----------
        other
            The other set.

        Returns
        -------
        SpectrumStats
            Both as one.
        """
        if not self.windows or not other.windows:
            return other if not self.windows else self
        return SpectrumStats(
            self.side,
            self.pixel_size_m,
            self.windows + other.windows,
            self.candidate + other.candidate,
            self.reference + other.reference,
            self.cross + other.cross,
        )

    def coherence(self) -> F64:
        """Return the magnitude-squared coherence of each ring, NaN where either side has no power."""
        product = self.candidate * self.reference
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(product > 0, np.abs(self.cross) ** 2 / product, np.nan)

    def effective_resolution(self) -> float | None:
        """Return the wavelength in metres where coherence first falls below 0.5, or None.

        It is interpolated linearly in frequency.
        """
        _, f = self._rings()
        g = self.coherence()
        below = np.flatnonzero(np.nan_to_num(g, nan=1.0) < 0.5)
        if not below.size:
            return None
        i = int(below[0])
        if i == 0:
            return float(1 / f[0])
        part = (g[i - 1] - 0.5) / (g[i - 1] - g[i]) if np.isfinite(g[i - 1]) else 0.0
        return float(1 / (f[i - 1] + part * (f[i] - f[i - 1])))

    def invented_fraction(self) -> float | None:
        """Return the share of the candidate's energy below the effective resolution that is not coherent.

        It is 0 if the resolution reaches the limit of the grid, and None if there is no energy.
        """
        limit = self.effective_resolution()
        if limit is None:
            return 0.0 if self.windows else None
        _, f = self._rings()
        g = np.nan_to_num(self.coherence(), nan=0.0)
        fine = f >= 1 / limit
        energy = float(self.candidate[fine].sum())
        return float((self.candidate[fine] * (1 - g[fine])).sum() / energy) if energy > 0 else None

    def summary(self) -> dict[str, Any] | None:
        """Return the `Spectrum` part of results.json; None without windows.

        The longest wavelength is first, and power is in m² per ring.
        """
        if not self.windows:
            return None
        _, f = self._rings()
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(self.reference > 0, self.candidate / self.reference, np.nan)
        return {
            "wavelength_m": [float(v) for v in 1 / f],
            "power_reference": [float(v) for v in self.reference / self.windows],
            "power_candidate": [float(v) for v in self.candidate / self.windows],
            "ratio": [float(v) if np.isfinite(v) else None for v in ratio],
            "coherence": [float(v) if np.isfinite(v) else None for v in self.coherence()],
            "effective_resolution_m": self.effective_resolution(),
            "invented_fraction": self.invented_fraction(),
            "windows": self.windows,
            "window_cells": self.side,
        }
