"""What a coarse sensor would see of a fine image, in torch; and a fine image made to agree with what it did see.

The observation is an area mean, or a Gaussian point spread as `raster.sensor` models Sentinel-2.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from terrafine.errors import UsageError

__all__ = ["agree", "agreement_reach", "observed", "point_spread"]


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # kept for training too, whoever asks first
def point_spread(k: int, mtf: float | None) -> Tensor:
    """Weights of the fine cells along one axis in a coarse one of k, about its centre; they add up to one.

    mtf  modulation at the coarse Nyquist frequency of a Gaussian, cut at four standard deviations; None the area mean
    """
    if mtf is None:
        return torch.full((k,), 1.0 / k)
    if not 0 < mtf < 1:
        raise UsageError(f"modulation {mtf} at the Nyquist frequency; expected between 0 and 1")
    sigma = k * math.sqrt(-2 * math.log(mtf)) / math.pi
    half = math.ceil(4 * sigma - k / 2)  # cells beyond the coarse cell on either side
    at = torch.arange(k + 2 * half, dtype=torch.float64) - (k + 2 * half - 1) / 2
    weight = torch.where(at.abs() <= 4 * sigma, torch.exp(-0.5 * (at / sigma) ** 2), torch.zeros_like(at))
    return (weight / weight.sum()).float()


def observed(fine: Tensor, k: int, mtf: float | None = None) -> Tensor:
    """The coarse image of a fine one: (n, c, y·k, x·k) -> (n, c, y, x); beyond the edge its last cells go on.

    Raises UsageError where k does not divide the sides.
    """
    height, width = fine.shape[-2:]
    if height % k or width % k:
        raise UsageError(f"an image of {height} × {width} cells is not whole in cells of {k}")
    if mtf is None:
        return functional.avg_pool2d(fine, k)
    taps = point_spread(k, mtf).to(fine)
    pad = (len(taps) - k) // 2
    n, c = fine.shape[:2]
    flat = functional.pad(fine.reshape(n * c, 1, height, width), (pad, pad, pad, pad), mode="replicate")
    down = functional.conv2d(flat, taps.reshape(1, 1, -1, 1), stride=(k, 1))
    return functional.conv2d(down, taps.reshape(1, 1, 1, -1), stride=(1, k)).reshape(n, c, height // k, width // k)


def agree(fine: Tensor, coarse: Tensor, k: int, *, mtf: float | None = None, rounds: int = 3) -> Tensor:
    """The fine image whose observation approaches `coarse`: each round adds the difference, spread bilinearly.

    fine (n, c, y·k, x·k), coarse (n, c, y, x). Low frequencies become the observation's; what is finer than a coarse
    cell is left alone. Irani & Peleg 1991, doi:10.1016/1049-9652(91)90045-L.
    """
    for _ in range(rounds):
        gap = coarse - observed(fine, k, mtf)
        fine = fine + functional.interpolate(gap, scale_factor=k, mode="bilinear", align_corners=False)
    return fine


def agreement_reach(k: int, mtf: float | None = None) -> int:
    """Coarse cells around a cell that one round of `agree` looks at: the point spread's, and one of the bilinear."""
    beyond = (len(point_spread(k, mtf)) - k) // 2
    return -(-beyond // k) + 1
