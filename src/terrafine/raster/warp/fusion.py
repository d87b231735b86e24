"""Fuse relief with a coarse elevation model: its low frequencies, the relief's high ones, its block means kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.errors import GridError
from terrafine.raster.read.aligned import align_to
from terrafine.raster.read.source import Source
from terrafine.raster.warp.relief_gain import ReliefGain, local_anomaly
from terrafine.raster.warp.resample import back_project, block_mean, fill_voids, repeat_mask, upsample

__all__ = ["Anchor", "fused_rows", "fit_relief_gain", "fuse"]

_ROUNDS = 6  # of back-projection; the remaining difference is removed exactly
_MARGIN = 16  # coarse cells around a strip: the reach of the cubic kernel in all rounds
_STRIP = 256  # smallest number of fine rows that are processed together


class Anchor:
    """A coarse elevation model resampled to blocks of k × k cells of an image.

    k is the whole number nearest to the ratio of the two cell sizes on the ground.

    Parameters
    ----------
    coarse
        The open elevation model.
    image
        The open image, or any source on its grid.

    Raises
    ------
    GridError
        If the model is not at least twice as coarse as the image, or does not overlap it.
    """

    def __init__(self, coarse: Source, image: Any) -> None:
        middle = image.shape[0] // 2
        fine = float(np.sqrt(np.prod(image.pixel_size_m(slice(middle, middle + 1))[:, 0])))
        at = coarse.shape[0] // 2
        cell = float(np.sqrt(np.prod(coarse.pixel_size_m(slice(at, at + 1))[:, 0])))
        self.k = round(cell / fine)
        if self.k < 2:
            raise GridError(
                f"{coarse.paths[0]}: cells of {cell:.3g} m, and the image's are {fine:.3g} m; expected an elevation "
                "model at least twice as coarse, else the image has nothing to add to it"
            )
        height, width = (-(-n // self.k) for n in image.shape)
        affine = image.geobox.affine
        grid = GeoBox((height, width), affine * affine.scale(self.k), image.geobox.crs)
        self._coarse = align_to(coarse, grid)
        self.shape, self.image_shape = (height, width), image.shape
        self.vertical, self.surface, self.nodata = coarse.vertical, coarse.surface, coarse.nodata
        self.paths = coarse.paths

    def read(self, rows: slice) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Read whole rows of coarse cells; rows may reach outside.

        Parameters
        ----------
        rows
            First and one past the last coarse row.

        Returns
        -------
        values, valid : ndarrays of float64 and bool, (y, x)
            Heights in metres, 0 where not valid, and where they are valid.

        Raises
        ------
        SourceError, BandError
            As `Source.read`.
        """
        values, valid = self._coarse.read("elevation", rows, slice(0, self.shape[1]))
        return values.astype(np.float64), valid

    def close(self) -> None:
        """Close the file handles."""
        self._coarse.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def identity(self) -> dict[str, Any]:
        """Return what changes when the anchor changes."""
        return {**self._coarse.identity(), "k": self.k}


def fit_relief_gain(relief: Source, anchor: Anchor) -> ReliefGain:
    """Fit the relief gain by comparing the block means of a relief with its anchor; reads the relief once, in strips.

    Parameters
    ----------
    relief
        The relief of the image, band `relief`.
    anchor
        The coarse elevation model.

    Returns
    -------
    ReliefGain
        The fitted gain.

    Raises
    ------
    SourceError, BandError
        As `Source.read`.
    """
    k, gain = anchor.k, ReliefGain(anchor.shape)
    step = max(1, _STRIP // k)
    for top in range(0, anchor.shape[0], step):
        rows = slice(top, min(top + step, anchor.shape[0]))
        wide = slice(rows.start - 1, rows.stop + 1)
        coarse, known = anchor.read(wide)
        values, valid = relief.read("relief", slice(wide.start * k, wide.stop * k), slice(0, anchor.shape[1] * k))
        means, _ = block_mean(values.astype(np.float64), None, k)
        both = known & valid.reshape(len(known), k, -1, k).all(axis=(1, 3))
        own, other = local_anomaly(means.astype(np.float64), both), local_anomaly(coarse, both)
        gain.add(top, own[1:-1], other[1:-1], both[1:-1])
    return gain


def fused_rows(relief: Source, anchor: Anchor, gain: ReliefGain, worst: list[float]) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of rows of anchor + gain · high frequencies of the relief; `fuse` has the formula.

    Parameters
    ----------
    relief
        The relief of the image, band `relief`.
    anchor
        The coarse elevation model.
    gain
        The gain of the relief.
    worst
        Receives, block by block, the largest deviation of a block mean from the anchor, in metres.

    Yields
    ------
    ndarray of float32, (1, y, x)
        Heights in metres, NaN where either input is nodata.

    Raises
    ------
    SourceError, BandError
        As `Source.read`.
    """
    k, (height, width) = anchor.k, anchor.image_shape
    step = max(1, _STRIP // k)
    for top in range(0, anchor.shape[0], step):
        rows = slice(top, min(top + step, anchor.shape[0]))
        wide = slice(rows.start - _MARGIN, rows.stop + _MARGIN)
        coarse, known = anchor.read(wide)
        fine_rows = slice(wide.start * k, wide.stop * k)
        values, valid = relief.read("relief", fine_rows, slice(0, anchor.shape[1] * k))
        inner = slice(_MARGIN * k, (_MARGIN + rows.stop - rows.start) * k)
        surface = fuse(coarse, known, values.astype(np.float64), valid, gain.rows(wide, k), k)[inner]
        there = repeat_mask(known, k)[inner] & valid[inner]
        blocks = slice(_MARGIN, _MARGIN + rows.stop - rows.start)
        departure = np.abs(block_mean(surface, None, k)[0] - coarse[blocks])[known[blocks]]
        worst.append(float(departure.max(initial=0.0)))
        out = np.where(there, surface, np.nan).astype(np.float32)
        yield out[None, : min(rows.stop * k, height) - rows.start * k, :width]


def fuse(
    coarse: NDArray[np.float64],
    known: NDArray[np.bool_],
    relief: NDArray[np.float64],
    valid: NDArray[np.bool_],
    gain: NDArray[np.float64],
    k: int,
) -> NDArray[np.float64]:
    """Return a surface with the block means of the anchor and the detail of the relief.

    With U the back-projected bicubic surface of block means: U(anchor) + gain · (relief - U(block means of the
    relief)). The remaining difference of each block mean is then added to the block, so that averaging reproduces the
    anchor. Nodata in the relief is filled first. The result is meaningful where the anchor is known.

    Parameters
    ----------
    coarse, known
        Heights of the anchor in metres (y, x), and where they are valid.
    relief, valid
        Relief in metres (k·y, k·x), and where it is valid.
    gain
        Gain of the relief, (k·y, k·x).
    k
        Fine cells per side of a coarse one.

    Returns
    -------
    ndarray of float64, (k·y, k·x)
        Heights in metres.
    """
    if not known.any():
        return np.zeros_like(relief)
    base: NDArray[Any] = fill_voids(coarse, known)
    detail: NDArray[Any] = fill_voids(relief, valid) if valid.any() else np.zeros_like(relief)
    out = _smooth(base, k) + gain * (detail - _smooth(block_mean(detail, None, k)[0], k))
    joined: NDArray[np.float64] = out + (base - block_mean(out, None, k)[0]).repeat(k, axis=0).repeat(k, axis=1)
    return joined


def _smooth(means: NDArray[Any], k: int) -> NDArray[Any]:
    return back_project(upsample(means, k), means, k, rounds=_ROUNDS)
