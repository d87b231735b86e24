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
    """10 log10(peak² / mean squared error), in dB; infinite where nothing differs."""
    return math.inf if squared_error == 0 else 10 * math.log10(peak**2 / squared_error)


def reduced(sr: F64, k: int) -> F64:
    """The fine image on the coarse grid by a triangle of 2k cells, as opensr-test does; (band, y·k, x·k) -> (…, y, x).

    At the edge the triangle is cut and its weights made to add up to one.
    """
    return _triangle(_triangle(sr, k, -1), k, -2)


def _triangle(values: F64, k: int, axis: int) -> F64:
    moved = np.moveaxis(values, axis, -1)
    n = moved.shape[-1]
    centres = (np.arange(n // k) + 0.5) * k - 0.5
    weight = np.maximum(0.0, 1 - np.abs(np.arange(n)[None, :] - centres[:, None]) / k)
    return np.asarray(np.moveaxis(moved @ (weight / weight.sum(axis=1, keepdims=True)).T, -1, axis))


def spectral_angle(a: F64, b: F64) -> F64:
    """Angle in degrees between the spectra of two images (band, y, x): (y, x), NaN where either is black."""
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = (a * b).sum(axis=0) / (np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def matched(image: F64, like: F64) -> F64:
    """The image with the histogram of another, band by band; (band, y, x), of any two sizes."""
    out = np.empty_like(image)
    for i, (band, other) in enumerate(zip(image, like, strict=True)):
        _, rank, count = np.unique(band, return_inverse=True, return_counts=True)
        wanted, there = np.unique(other, return_counts=True)
        share, shares = np.cumsum(count) / band.size, np.cumsum(there) / other.size
        out[i] = np.interp(share, shares, wanted)[rank.ravel()].reshape(band.shape)
    return out


def harmonised(sr: F64, hr: F64) -> F64:
    """The super-resolved image without its systematic errors: the histogram and the position of the truth.

    opensr-test finds the shift by phase correlation; here it is `register.estimate_offset`, at most 4 cells, and an
    image that cannot be placed stays where it is.
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
    """Improvement, omission and hallucination of a harmonised image, which add up to 1, and the share of cells used.

    Of the cells where the input, the output and the truth differ by more than the threshold: d_im and d_om are how far
    the output is from the truth and from the input, in units of how far the input is from the truth. NaN where none is.
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
    """Sums over one window that add up over windows: `n` cells of the fine grid, `coarse` cells of the coarse one."""

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
    """Everything of one window; see the module."""
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
