"""Fine image with its labels on a 1 m grid: its candidate sites, and the samples read from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from terrafine.datasets.impervious.sites import SampleSite
from terrafine.errors import EmptyError, GridError
from terrafine.physics.histogram import match_histogram, matching_curve
from terrafine.physics.sensor_model import Sensor, psf_sigma, simulate
from terrafine.raster.metric_grid import coarser, earth_position
from terrafine.raster.read.aligned import align_to
from terrafine.raster.read.labels import UNKNOWN, LabelRaster
from terrafine.raster.read.source import Source
from terrafine.raster.warp.registration import Offset, estimate_offset
from terrafine.raster.warp.resample import block_mean, fill_voids

__all__ = ["FineImage", "Labels", "Sample"]

F32 = NDArray[np.float32]
Curves = tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]
_WINDOW = 4000  # fine cells along the window that histogram and shift are estimated from


class Labels(Protocol):
    """Protocol of labels of impervious surface, as vectors or as a raster."""

    def burn(self, geobox: Any) -> NDArray[np.uint8]:
        """Rasterise the labels on a grid.

        Parameters
        ----------
        geobox
            Grid.

        Returns
        -------
        ndarray
            Class numbers (y, x): 1 impervious, 0 not, UNKNOWN where not known.
        """
        ...


@dataclass(frozen=True)
class Sample:
    """Images and label of one sample.

    Attributes
    ----------
    fine, coarse
        Reflectance, (band, y·k, x·k) and (band, y, x).
    label
        Class numbers, (y·k, x·k).
    grid, coarse_grid
        Grids of the fine and of the coarse image.
    """

    fine: F32
    coarse: F32
    label: NDArray[np.uint8]
    grid: Any
    coarse_grid: Any


@dataclass
class FineImage:
    """An open fine image on its 1 m grid.

    Attributes
    ----------
    path
        Path of the file.
    source
        The opened file.
    grid
        Its 1 m grid.
    bands
        Bands that are read.
    full_scale
        Stored value of a reflectance of 1.
    labels
        Labels that cover the image.
    k
        Fine cells along a coarse cell.
    real
        Real coarse image of the same ground, or None.
    real_scale
        Stored value of a reflectance of 1 in it.
    curves
        Histogram matching curves by band, or None.
    shift
        Shift of the coarse image in coarse cells, or None where it was not found.
    """

    path: Path
    source: Source
    grid: Any
    bands: tuple[str, ...]
    full_scale: float
    labels: Sequence[Labels]
    k: int
    real: Source | None = None
    real_scale: float = 1.0
    curves: Curves | None = None
    shift: Offset | None = None
    _aligned: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._aligned = align_to(self.source, self.grid)

    def sites(self, index: int, side: int, block_m: float, regions: LabelRaster | None) -> list[SampleSite]:
        """Find the squares of a lattice from the grid's corner where image and labels are known.

        Parameters
        ----------
        index
            Index of the image.
        side
            Side of a square in cells.
        block_m
            Side of a block of the geographic split, metres.
        regions
            Strata, or None.

        Returns
        -------
        list[SampleSite]
            The candidate sites.
        """
        out = []
        for row in range(0, self.grid.shape[0] - side + 1, side):
            for col in range(0, self.grid.shape[1] - side + 1, side):
                here = self.grid[row : row + side, col : col + side]
                if not self._known(row, col, side):
                    continue
                at = earth_position(here)
                frame, block = "earth", f"{self.path.parent}"
                if at is None:
                    frame, at = str(self.path), (float(row), float(col), 0.0)
                else:
                    x, y = here.affine * (side / 2, side / 2)
                    block = f"{here.crs.epsg or here.crs.proj.name} {math.floor(x / block_m)} {math.floor(y / block_m)}"
                region = "all" if regions is None else self._region(regions, here)
                out.append(SampleSite(index, row, col, frame, at, block, region))
        return out

    def _known(self, row: int, col: int, side: int) -> bool:
        rows, cols = slice(row, row + side), slice(col, col + side)
        if not self._aligned.read(self.bands[0], rows, cols)[1].all():
            return False
        label = self.label(self.grid[rows, cols])
        return bool((label != UNKNOWN).mean() >= 0.5)

    def _region(self, regions: LabelRaster, here: Any) -> str:
        values = regions.numbers(here)
        return str(int(values[values.shape[0] // 2, values.shape[1] // 2]))

    def label(self, grid: Any) -> NDArray[np.uint8]:
        """Combine the labels on a grid: impervious where any label is, else unknown where any is unknown.

        Parameters
        ----------
        grid
            Grid.

        Returns
        -------
        ndarray
            Class numbers, (y, x).
        """
        parts = [labels.burn(grid) for labels in self.labels]
        out = np.zeros(parts[0].shape, np.uint8)
        for part in parts:
            out[(part == UNKNOWN) & (out == 0)] = UNKNOWN
        for part in parts:
            out[part == 1] = 1
        return out

    def read(self, rows: slice, cols: slice) -> tuple[F32, NDArray[np.bool_]]:
        """Read the reflectance of a window of the grid, with histograms matched.

        Parameters
        ----------
        rows, cols
            The window.

        Returns
        -------
        tuple[ndarray, ndarray]
            Reflectance (band, y, x), and a mask where all bands are valid.

        Raises
        ------
        EmptyError
            Where no band is requested.
        """
        stack, valid = [], None
        for i, band in enumerate(self.bands):
            values, ok = self._aligned.read(band, rows, cols)
            values = values / np.float32(self.full_scale)
            stack.append(values if self.curves is None else match_histogram(values, self.curves[i]))
            valid = ok if valid is None else valid & ok
        if valid is None:
            raise EmptyError(f"{self.path}: no band was requested; expected at least red, green and blue")
        return np.stack(stack), valid

    def _middle(self) -> tuple[slice, slice]:
        """The largest window that is read at once, centred, in whole coarse cells."""
        out = []
        for n in self.grid.shape:
            size = min(int(n), _WINDOW) // self.k * self.k
            start = (int(n) - size) // 2 // self.k * self.k
            out.append(slice(start, start + size))
        return out[0], out[1]

    def match_histograms(self, like: Mapping[str, NDArray[np.floating]]) -> None:
        """Match the histogram of each band, averaged to coarse cells, to that of coarse reflectance.

        Parameters
        ----------
        like
            Band -> values of coarse reflectance.

        Raises
        ------
        EmptyError
            Where the middle of the image is nodata throughout.
        """
        fine, valid = self.read(*self._middle())
        mean, known = block_mean(fine, valid, self.k)
        if not known.any():
            raise EmptyError(f"{self.path}: the middle of the image holds only nodata; expected valid cells")
        flat = known[0] if known.ndim == 3 else known
        self.curves = tuple(matching_curve(mean[i][flat], like[band]) for i, band in enumerate(self.bands))

    def register(self) -> None:
        """Estimate the shift of the coarse image from the brightness of both images; at most 4 coarse cells."""
        if self.real is None:
            return
        rows, cols = self._middle()
        fine, valid = self.read(rows, cols)
        mean, known = block_mean(fine, valid, self.k)
        there = align_to(self.real, coarser(self.grid[rows, cols], self.k))
        whole = slice(0, there.shape[0]), slice(0, there.shape[1])
        seen = [there.read(band, *whole) for band in self.bands]
        ok = np.logical_and.reduce([*(v for _, v in seen), known[0] if known.ndim == 3 else known])
        try:
            found = estimate_offset(np.mean([v for v, _ in seen], axis=0), mean.mean(axis=0), ok)
        except EmptyError:
            return
        self.shift = found if found.trusted else None

    def sample(self, site: SampleSite, side: int, sensor: Sensor, rng: np.random.Generator) -> Sample:
        """Read the sample at a site; its coarse image is the real one, shifted, or simulated by the sensor model.

        Parameters
        ----------
        site
            The site.
        side
            Side of the square in cells.
        sensor
            Sensor model of the simulated image.
        rng
            Random number generator of the noise.

        Returns
        -------
        Sample
            The sample.

        Raises
        ------
        EmptyError
            Where the real coarse image does not cover the site.
        """
        here = self.grid[site.row : site.row + side, site.col : site.col + side]
        low = coarser(here, self.k)
        margin = -(-math.ceil(4 * psf_sigma(self.k, sensor.mtf)) // self.k) * self.k
        outer = (
            slice(site.row - margin, site.row + side + margin),
            slice(site.col - margin, site.col + side + margin),
        )
        wide, valid = self.read(*outer)
        wide = np.stack([fill_voids(band, valid) for band in wide])
        inner = np.s_[:, margin : margin + side, margin : margin + side]
        if self.real is None:
            m = margin // self.k
            coarse = simulate(wide, self.k, sensor, rng)[:, m : m + side // self.k, m : m + side // self.k]
        else:
            coarse = self._read_real(low)
        return Sample(np.ascontiguousarray(wide[inner]), np.ascontiguousarray(coarse), self.label(here), here, low)

    def _read_real(self, low: Any) -> F32:
        if self.real is None:
            raise GridError(f"{self.path}: no coarse image was given")
        moved = low if self.shift is None else low.translate_pix(self.shift.dx, self.shift.dy)
        there = align_to(self.real, moved)
        whole = slice(0, there.shape[0]), slice(0, there.shape[1])
        stack = []
        for band in self.bands:
            values, valid = there.read(band, *whole)
            if not valid.all():
                raise EmptyError(
                    f"{self.real.paths[0]}: does not cover all of {self.path}; expected a coarse image of the same "
                    "ground"
                )
            stack.append(values / np.float32(self.real_scale))
        return np.stack(stack).astype(np.float32)
