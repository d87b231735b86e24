"""Measures of a super-resolved image against the truth and against what it was made from, in reflectance.

PSNR and SSIM are the usual ones (Wang et al. 2004, doi:10.1109/TIP.2003.819861). Consistency, synthesis and
correctness follow opensr-test (Aybar et al. 2024, "A comprehensive benchmark for optical remote sensing image
super-resolution", https://ieeexplore.ieee.org/document/10530998, https://github.com/ESAOpenSR/opensr-test), with its
default distances and constants (mean absolute difference, spectral angle, normalised difference, γ = 0.05,
temperature 0.25, threshold at the 75th percentile of the reference distance). Differences are stated where they occur.

lr, sr and hr are (band, y, x) with sr and hr k times as large as lr; windows hold no nodata.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from terrafine.physics.ssim import ssim
from terrafine.raster.warp.registration import estimate_offset
from terrafine.raster.warp.resample import block_mean, upsample

__all__ = ["Measured", "correctness", "harmonised", "matched", "measure", "psnr", "reduced", "spectral_angle"]

F64 = NDArray[np.float64]

GAMMA = 0.05
TEMPERATURE = 0.25
QUANTILE = 0.75
REACH = 4
_TINY = 1e-8


def psnr(squared_error: float, peak: float = 1.0) -> float:
    """Return the peak signal-to-noise ratio 10 log10(peak² / mean squared error).

    Parameters
    ----------
    squared_error
        Mean squared error.
    peak
        Largest value.

    Returns
    -------
    float
        dB; infinite if nothing differs.
    """
    return math.inf if squared_error == 0 else 10 * math.log10(peak**2 / squared_error)


def reduced(sr: F64, k: int) -> F64:
    """Resample a fine image to the coarse grid by a triangle of 2k cells, as opensr-test does.

    At the edge the triangle is cropped and its weights are normalised.

    Parameters
    ----------
    sr
        The image (band, y·k, x·k).
    k
        Fine cells per side of a coarse one.

    Returns
    -------
    ndarray of float64, (band, y, x)
        The coarse image.
    """
    return _triangle(_triangle(sr, k, -1), k, -2)


def _triangle(values: F64, k: int, axis: int) -> F64:
    moved = np.moveaxis(values, axis, -1)
    n = moved.shape[-1]
    centres = (np.arange(n // k) + 0.5) * k - 0.5
    weight = np.maximum(0.0, 1 - np.abs(np.arange(n)[None, :] - centres[:, None]) / k)
    return np.asarray(np.moveaxis(moved @ (weight / weight.sum(axis=1, keepdims=True)).T, -1, axis))


def spectral_angle(a: F64, b: F64) -> F64:
    """Return the angle between the spectra of two images.

    Parameters
    ----------
    a, b
        Images (band, y, x).

    Returns
    -------
    ndarray of float64, (y, x)
        Degrees; NaN where either is black.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = (a * b).sum(axis=0) / (np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def matched(image: F64, like: F64) -> F64:
    """Match the histogram of an image to that of another, band by band.

    Parameters
    ----------
    image, like
        Images (band, y, x) of any two sizes.

    Returns
    -------
    ndarray of float64, (band, y, x)
        The matched image.
    """
    out = np.empty_like(image)
    for i, (band, other) in enumerate(zip(image, like, strict=True)):
        _, rank, count = np.unique(band, return_inverse=True, return_counts=True)
        wanted, there = np.unique(other, return_counts=True)
        share, shares = np.cumsum(count) / band.size, np.cumsum(there) / other.size
        out[i] = np.interp(share, shares, wanted)[rank.ravel()].reshape(band.shape)
    return out


def harmonised(sr: F64, hr: F64) -> F64:
    """Remove systematic errors of a super-resolved image: its histogram and position are matched to the truth.

    opensr-test estimates the shift by phase correlation; here it is `estimate_offset`, at most 4 cells, and an image
    whose shift is not identifiable stays in place.

    Parameters
    ----------
    sr, hr
        The image and the truth (band, y, x).

    Returns
    -------
    ndarray of float64, (band, y, x)
        The harmonised image.
    """
    image = matched(sr, hr)
    dy, dx = _offset(image, hr)
    if math.isnan(dy) or max(abs(dy), abs(dx)) < 0.05:
        return image
    return np.stack([shift(band, (-dy, -dx), order=3, mode="nearest") for band in image])


def _offset(image: F64, like: F64) -> tuple[float, float]:
    """Cells (y, x) that features of the image lie below and right of those of the other; NaN where not identifiable."""
    if min(image.shape[-2:]) < 4 * (3 * REACH + 3):
        return math.nan, math.nan
    grey, other = (x.mean(axis=0) - gaussian_filter(x.mean(axis=0), 8) for x in (image, like))
    found = estimate_offset(grey, other, np.ones(grey.shape, np.bool_), REACH)
    return (found.dy, found.dx) if found.trusted else (math.nan, math.nan)


def _distance(a: F64, b: F64) -> F64:
    """|a − b| / |a + b|, the mean over bands: (band, y, x) -> (y, x)."""
    return np.asarray((np.abs(a - b) / np.abs(a + b + _TINY)).mean(axis=0))


def correctness(lr_up: F64, sr: F64, hr: F64) -> tuple[float, float, float, float]:
    """Return improvement, omission and hallucination of a harmonised image, which add up to 1.

    They are measured on cells where the input, the output and the truth differ by more than the threshold: d_im and
    d_om are the distances of the output from the truth and from the input, in units of the distance between input and
    truth.

    Parameters
    ----------
    lr_up, sr, hr
        Upsampled input, output and truth (band, y, x).

    Returns
    -------
    tuple of four floats
        Improvement, omission, hallucination (NaN if no cell qualifies), and the share of cells used.
    """
    ref, im, om = _distance(lr_up, hr), _distance(sr, hr), _distance(sr, lr_up)
    limit = np.partition(ref.ravel(), (k := max(int(QUANTILE * ref.size) - 1, 0)))[k]
    changed = ((ref > limit) | (im > limit) | (om > limit)) & (ref > 0)
    if not changed.any():
        return math.nan, math.nan, math.nan, 0.0
    d_im, d_om = im[changed] / ref[changed], om[changed] / ref[changed]
    beyond = 1 - np.exp(-GAMMA * (d_im + d_om - 1))
    scores = np.stack((d_im + d_om * beyond, d_om + d_im * beyond, np.exp(-GAMMA * d_im * d_om)))
    weight = np.exp(-(scores - scores.min(axis=0)) / TEMPERATURE)
    improvement, omission, hallucination = (weight / weight.sum(axis=0)).mean(axis=1).tolist()
    return improvement, omission, hallucination, float(changed.mean())


@dataclass(frozen=True)
class Measured:
    """Sums over one window; those of several windows add up.

    Attributes
    ----------
    n, coarse
        Cells of the fine and of the coarse grid.
    squared
        Squared error.
    similarity, similarity_n
        SSIM, and its cells.
    reflectance
        Absolute difference of the reduced image from the input.
    kept, kept_max
        Absolute difference of block means from the input, and its maximum.
    angle, angle_n
        Spectral angle in degrees, and its cells.
    shift_px
        Shift against the input in coarse cells, or None.
    synthesis
        Absolute difference of the harmonised image from the bilinear input.
    correctness
        As `correctness` returns it.
    """

    n: int
    coarse: int
    squared: float
    similarity: float
    similarity_n: int
    reflectance: float
    kept: float
    kept_max: float
    angle: float
    angle_n: int
    shift_px: float | None
    synthesis: float
    correctness: tuple[float, float, float, float]


def measure(lr: F64, sr: F64, hr: F64, k: int, peak: float = 1.0) -> Measured:
    """Measure one window.

    Parameters
    ----------
    lr, sr, hr
        Input, output and truth (band, y, x); `sr` and `hr` are k times as large as `lr`.
    k
        Fine cells per side of a coarse one.
    peak
        Largest value, for PSNR and SSIM.

    Returns
    -------
    Measured
        The sums.
    """
    down = reduced(sr, k)
    up = np.asarray(upsample(lr, k, "bilinear"), np.float64)
    kept = np.abs(block_mean(sr, None, k)[0] - lr)
    angle = spectral_angle(lr, down)
    angle = angle[np.isfinite(angle)]
    alike = ssim(sr, hr, peak)
    dy, dx = _offset(down, lr)
    level = harmonised(sr, hr)
    return Measured(
        n=sr[0].size,
        coarse=lr[0].size,
        squared=float(((sr - hr) ** 2).mean(axis=0).sum()),
        similarity=float(alike.mean(axis=0).sum()),
        similarity_n=alike[0].size,
        reflectance=float(np.abs(down - lr).mean(axis=0).sum()),
        kept=float(kept.mean(axis=0).sum()),
        kept_max=float(kept.max()),
        angle=float(angle.sum()),
        angle_n=angle.size,
        shift_px=None if math.isnan(dy) else math.hypot(dy, dx),
        synthesis=float(np.abs(level - up).mean(axis=0).sum()),
        correctness=correctness(up, level, hr),
    )
