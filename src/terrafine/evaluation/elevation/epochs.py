"""Two epochs of an elevation model on one grid, and the errors of their difference from stable ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import EmptyError, ResourceError
from terrafine.evaluation.elevation.change import Volume, fit_correlation, fit_spread, mean_covariance, nmad, volume_of
from terrafine.evaluation.elevation.coregistration import estimate_shift
from terrafine.evaluation.surfaces import aligned, moved, pixel_size, window
from terrafine.physics.gradient import gradient_to_the_edge
from terrafine.raster.read.class_stack import inside

__all__ = ["ChangeErrors", "EpochPair", "ZoneCells", "settled"]

_MOST_CELLS = 60_000_000  # held as float64 several times: about 4 GB
_REJECT = 4.0  # NMAD from the median beyond which ground is not stable


@dataclass(frozen=True, slots=True)
class ZoneCells:
    """Cells of a zone. Of thousands of zones, masks of the whole grid would not fit in memory.

    Attributes
    ----------
    window
        Rows and columns that hold all of them.
    mask
        Which cells of the window they are, (y, x).
    """

    window: tuple[slice, slice]
    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> ZoneCells:
        """Cells of a mask of the whole grid.

        Parameters
        ----------
        mask
            True in the zone, (y, x).

        Returns
        -------
        ZoneCells
            With a window without cells where none is True.
        """
        rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return cls((slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool))
        window = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)
        return cls(window, mask[window].copy())


class ChangeErrors:
    """The change with its level taken off, and its errors, from stable ground.

    Parameters
    ----------
    pair
        The two epochs.
    ground
        Stable cells, (y, x).
    seed
        Of the random pairs of cells.

    Attributes
    ----------
    dz, sigma
        Change and its standard error in metres, (y, x).
    level, nmad
        What was taken off, and the spread of the change on stable ground; metres.
    correlation
        Of the errors.
    """

    def __init__(self, pair: EpochPair, ground: NDArray[np.bool_], seed: int) -> None:
        dz, slope = pair.change(), pair.slope()
        self.level = float(np.median(dz[ground]))
        self.dz = dz - self.level
        self.nmad = nmad(self.dz[ground])
        sigma = pair.sigma()
        if sigma is None:
            sigma = fit_spread(self.dz, slope, ground).at(slope)
        known = ground & np.isfinite(sigma)
        ratio = nmad(self.dz[known] / sigma[known])
        self.sigma = np.where(np.isfinite(self.dz), sigma * max(ratio, 1e-6), np.nan)
        self.correlation = fit_correlation(self.dz / self.sigma, known, pair.pixel_m, seed)
        rows, cols = np.nonzero(known)
        area = pair.cell_m2[rows]
        variance = mean_covariance(rows, cols, area, self.sigma[known], pair.pixel_m, self.correlation, seed)
        self._bias, self._pair, self._seed = variance**0.5, pair, seed

    def volume(self, cells: ZoneCells) -> Volume | None:
        """Volume of a zone; None where no cell of it is known."""
        pair, at = self._pair, cells.window
        size, (dz, sigma) = pair.cell_m2[at[0]], (a[at] for a in (self.dz, self.sigma))
        return volume_of(dz, sigma, cells.mask, size, pair.pixel_m, self.correlation, self._bias, self._seed)


class EpochPair:
    """Two models on the coarser one's grid.

    Parameters
    ----------
    first, second
        The earlier and the later model, open.

    Attributes
    ----------
    before, after
        Their heights in metres, (y, x).
    geobox, pixel_m, cell_m2
        The grid, the size of its cells (y, x) in metres, and their area in each row.

    Raises
    ------
    ResourceError
        For more cells than are held in memory.
    """

    def __init__(self, first: Any, second: Any) -> None:
        own, other = pixel_size(first), pixel_size(second)
        self.geobox = first.geobox if own[0] * own[1] >= other[0] * other[1] else second.geobox
        self.shape = (int(self.geobox.shape[0]), int(self.geobox.shape[1]))
        if self.shape[0] * self.shape[1] > _MOST_CELLS:
            raise ResourceError(
                f"{first.paths[0]}: {self.shape[0]:,} × {self.shape[1]:,} cells to compare; expected at most "
                f"{_MOST_CELLS:,}. Cut both models to the area of interest: gdalwarp -te"
            )
        self.sources = first, second
        there = aligned(first, self.geobox)
        self.before = _read(there, "elevation")
        self.pixel_m = pixel_size(there)
        size = there.pixel_size_m(slice(0, self.shape[0]))
        self.cell_m2 = np.asarray(size[0] * size[1])
        self.grid = self.geobox
        self.after = _read(aligned(second, self.geobox), "elevation")

    def register(self, ground: NDArray[np.bool_], seed: int) -> Any:
        """Move the later model; the shift, or None where none is identifiable or it makes the spread no smaller."""
        held = np.where(ground, self.before, np.nan)
        shift = estimate_shift(held, np.where(ground, self.after, np.nan), self.pixel_m, seed=seed)
        if shift is None:
            return None
        rows, cols = shift.cells(self.pixel_m)
        grid = moved(self.geobox, -rows, -cols)
        after = _read(aligned(self.sources[1], grid), "elevation")
        was, now = self.after - self.before, after - self.before
        both = ground & np.isfinite(was) & np.isfinite(now)
        if not both.any() or nmad(now[both]) > nmad(was[both]):
            return None
        self.after, self.grid = after, grid
        return shift

    def change(self) -> NDArray[np.float64]:
        """The later model minus the earlier, metres."""
        return self.after - self.before

    def slope(self) -> NDArray[np.float64]:
        """Slope of the earlier model in degrees."""
        with np.errstate(invalid="ignore"):
            down, across = gradient_to_the_edge(self.before, self.pixel_m)
            return np.asarray(np.degrees(np.arctan(np.hypot(down, across))))

    def sigma(self) -> NDArray[np.float64] | None:
        """Standard error of the difference where both models have one."""
        if not all("elevation_sigma" in source.bands for source in self.sources):
            return None
        one = _read(aligned(self.sources[0], self.geobox), "elevation_sigma")
        two = _read(aligned(self.sources[1], self.grid), "elevation_sigma")
        total = np.hypot(one, two)
        return np.where(total > 0, total, np.nan)

    def burn(self, area: Any) -> NDArray[np.bool_]:
        """Which cells have their centre in polygons of longitude and latitude."""
        return inside(area, self.geobox)


def _read(source: Any, band: str) -> NDArray[np.float64]:
    return window(source, slice(0, source.shape[0]), slice(0, source.shape[1]), band)


def settled(
    dz: NDArray[np.float64], ground: NDArray[np.bool_], zones: NDArray[np.bool_], path: str
) -> NDArray[np.bool_]:
    """Return stable ground without what plainly changed.

    Parameters
    ----------
    dz
        Change in metres, (y, x).
    ground, zones
        Cells that may be stable, and cells that are not.
    path
        File that an error names.

    Returns
    -------
    ndarray of bool, (y, x)
        Stable cells.

    Raises
    ------
    EmptyError
        For fewer than 200 of them.
    """
    known = ground & np.isfinite(dz)
    if known.sum() < 200:
        raise EmptyError(
            f"{path}: {int(known.sum())} cells of stable ground hold a height in both epochs; expected 200 or more "
            "outside the zones"
        )
    middle, spread = float(np.median(dz[known])), nmad(dz[known])
    kept = known & (np.abs(dz - middle) <= _REJECT * max(spread, 1e-6)) & ~zones
    return np.asarray(kept if kept.sum() >= 200 else known)
