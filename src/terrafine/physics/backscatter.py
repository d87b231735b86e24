"""Radar brightness of terrain in dB: a model of few named parameters, its fit, speckle, a loss on observed radar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from terrafine.physics.radar import Angle, cos_local_incidence, layover_or_shadow
from terrafine.physics.stencil import Sizes, mean_over

__all__ = [
    "Backscatter",
    "Fit",
    "backscatter_db",
    "fit_backscatter",
    "fit_exponent",
    "highpass",
    "sar_loss",
    "simulate_db",
    "speckle",
    "speckle_bias_db",
]

DB = 10 / math.log(10)
_GRAZING = 0.05  # cos LIA is taken as at least this (87°): beyond it is shadow
_PRIOR = 1.0  # exponent where the terrain says nothing of it: Lambert's
_PRIOR_DB2 = 4.0  # how firmly: as much as radar with 2 dB of noise would take to move it by 1
_FACING = 0.1  # sin LIA is taken as at least this (6°): the area of a cell in one range line is bounded


@dataclass(frozen=True, slots=True)
class Backscatter:
    """Parameters of σ⁰ = level + exponent · 10 lg(cos LIA/cos θ) + area · 10 lg(sin θ/sin LIA), all in dB.

    level_db  on level ground; exponent  of the cosine law, 1 Lambert's for brightness by area, 2 for intensity
    (Ulaby, Moore & Fung 1982, vol. 2, ch. 11); area  1 where the ground in a range cell was not normalised for slope,
    0 where it was.
    """

    level_db: float = -12.0
    exponent: float = 1.0
    area: float = 1.0


@dataclass(frozen=True, slots=True)
class Fit:
    """Fitted parameters, their standard errors, correlation of model and observation, residual SD in dB, cells."""

    parameters: Backscatter
    errors: Backscatter
    correlation: float
    residual_db: float
    n: int


def _terms(cos_lia: Tensor, incidence: Angle) -> tuple[Tensor, Tensor]:
    """10 lg(cos LIA/cos θ) and 10 lg(sin θ/sin LIA), both bounded."""
    theta = torch.deg2rad(torch.as_tensor(incidence, dtype=cos_lia.dtype, device=cos_lia.device))
    facing = cos_lia.clamp_min(_GRAZING).log() - torch.cos(theta).log()
    sine2 = (1 - cos_lia.square()).clamp_min(_FACING**2)
    area = torch.sin(theta).log() - 0.5 * sine2.log()
    return DB * facing, DB * area


def backscatter_db(cos_lia: Tensor, incidence: Angle, params: Backscatter | None = None) -> Tensor:
    """Modelled σ⁰ in dB for ground of uniform cover; shape of cos_lia, incidence in degrees.

    (cos LIA/cos θ)^exponent · (sin θ/sin LIA)^area: the cosine law and the area that a slope puts in a range cell
    (Ulander 1996, doi:10.1109/36.536526, for slopes in the range plane). Bounded near LIA 90° and 0°, where ground is
    in shadow and in layover: mask those.
    """
    params = params or Backscatter()
    facing, area = _terms(cos_lia, incidence)
    return params.level_db + params.exponent * facing + params.area * area


def simulate_db(
    z: Tensor, pixel_size_m: Sizes, incidence: Angle, azimuth: Angle, params: Backscatter | None = None
) -> Tensor:
    """`backscatter_db` of a surface (…, y, x) in metres; dB, without speckle, not masked."""
    return backscatter_db(cos_local_incidence(z, pixel_size_m, incidence, azimuth), incidence, params)


def fit_backscatter(
    observed_db: Tensor,
    cos_lia: Tensor,
    incidence: Angle,
    valid: Tensor | None = None,
    *,
    area: float | None = 1.0,
    looks: float | None = None,
    rounds: int = 20,
) -> Fit:
    """The parameters that explain one polarisation's observed dB best; tensors of one shape, incidence in degrees.

    The model is linear in its parameters: least squares, reweighted by Huber's law (1.345 robust SDs; Huber 1964,
    doi:10.1214/aoms/1177703732) so that targets and speckle's long tail do not lead. `area` is held (None: fitted too,
    though it goes with the exponent), `looks` takes the mean of speckle's logarithm out of the level. Errors take
    cells as independent, and noise of the DEM draws the exponent to 0. Raises ValueError for fewer than 20 valid cells
    or terrain that does not tell the parameters apart.
    """
    facing, footprint = _terms(cos_lia, incidence)
    known = torch.isfinite(observed_db) & torch.isfinite(facing)
    known = known if valid is None else known & valid
    y, f, a = (t.expand_as(known)[known].double() for t in (observed_db, facing, footprint))
    if y.numel() < 20:
        raise ValueError(f"{y.numel()} valid cells; expected at least 20 to fit backscatter to")
    columns = [torch.ones_like(y), f] + ([a] if area is None else [])
    design = torch.stack(columns, dim=1)
    aim = y if area is None else y - area * a
    weight = torch.ones_like(y)
    for _ in range(rounds):
        normal = design.T @ (design * weight[:, None])
        if torch.linalg.cond(normal) > 1e10:
            raise ValueError(
                "the terrain is too level to tell level, exponent and area apart; fit where there is relief"
            )
        beta = torch.linalg.solve(normal, design.T @ (aim * weight))
        residual = aim - design @ beta
        scale = 1.4826 * (residual - residual.median()).abs().median()
        weight = (1.345 * scale / residual.abs().clamp_min(1e-12)).clamp_max(1.0)
    spread = float((weight * residual.square()).sum() / weight.sum()) ** 0.5
    error = (spread * torch.linalg.inv(normal).diagonal().sqrt()).tolist()
    values = beta.tolist() + ([] if area is None else [area])
    error += [] if area is None else [0.0]
    model = values[1] * f + values[2] * a
    return Fit(
        Backscatter(values[0] - (0.0 if looks is None else speckle_bias_db(looks)), values[1], values[2]),
        Backscatter(*error),
        float(torch.corrcoef(torch.stack([model, y]))[0, 1]),
        spread,
        int(y.numel()),
    )


def speckle(shape: tuple[int, ...], looks: float, generator: np.random.Generator) -> Tensor:
    """Factors for linear power: gamma of mean 1 and variance 1/looks; float32.

    Goodman 1976, doi:10.1364/JOSA.66.001145. In dB add 10 lg of them. The same generator gives the same factors.
    Raises ValueError for looks not above 0.
    """
    if not (looks > 0 and math.isfinite(looks)):
        raise ValueError(f"speckle has a finite number of looks above 0; found {looks}")
    drawn = generator.standard_gamma(looks, size=shape) / looks
    # Few looks underflow to 0 now and then, which has no logarithm.
    return torch.from_numpy(np.maximum(drawn, 1e-6).astype(np.float32))


def speckle_bias_db(looks: float) -> float:
    """Mean of 10 lg of `speckle`: 10/ln 10 · (ψ(looks) − ln looks), below 0; −2.5 dB for one look."""
    return DB * (float(torch.special.digamma(torch.tensor(looks, dtype=torch.float64))) - math.log(looks))


def highpass(values: Tensor, valid: Tensor, window: int) -> Tensor:
    """Values minus their mean over the valid cells of a window, 0 where not valid; (…, y, x), window odd, in cells."""
    if window < 3 or window % 2 == 0:
        raise ValueError(f"a window of {window} cells; expected an odd number of at least 3")
    total = _box(_box(torch.where(valid, values, 0.0), window, -2), window, -1)
    if bool(valid.all()):  # then a count along each side says it, and both are whole numbers
        down, across = torch.ones_like(values[..., :1]), torch.ones_like(values[..., :1, :])
        count = _box(down, window, -2) * _box(across, window, -1)
    else:
        count = _box(_box(valid.to(values.dtype), window, -2), window, -1)
    return torch.where(valid, values - total / count.clamp_min(1.0), 0.0)


def _box(v: Tensor, window: int, dim: int) -> Tensor:
    """Sum over an odd window along one side, nothing beyond the border.

    Sums of 1, 2, 4 … cells are added up as the window's binary digits say: the cost goes with the logarithm of its
    side, and each cell's sum is taken in the same order wherever a tile begins.
    """
    size, half = v.shape[dim], window // 2
    part = functional.pad(v, (half, half) if dim == -1 else (0, 0, half, half))
    total, at, length = torch.zeros_like(v), 0, 1
    while length <= window:
        if window & length:
            total = total + part.narrow(dim, at, size)
            at += length
        if (length := 2 * length) <= window:
            reach = part.shape[dim] - length // 2
            part = part.narrow(dim, 0, reach) + part.narrow(dim, length // 2, reach)
    return total


def fit_exponent(
    observed_db: Tensor, cos_lia: Tensor, incidence: Angle, valid: Tensor, *, area: float = 1.0, window: int = 31
) -> Tensor:
    """The exponent that explains the detail of each radar image best; (…, y, x) -> (…, 1, 1), from 0 to 4.

    Least squares of high-passed dB on the high-passed cosine law, `area` held, drawn to 1 where relief says little: so
    many images are fitted at once, and level ground is no error. valid (bool) leaves out void cells, layover, shadow.
    """
    facing, footprint = _terms(cos_lia, incidence)
    f = highpass(facing.expand_as(observed_db), valid, window)
    y = highpass(observed_db - area * footprint, valid, window)
    found = ((f * y).sum((-2, -1), keepdim=True) + _PRIOR_DB2 * _PRIOR) / (
        f.square().sum((-2, -1), keepdim=True) + _PRIOR_DB2
    )
    return found.clamp(0.0, 4.0)


def sar_loss(
    prediction: Tensor,
    observed_db: Tensor,
    pixel_size_m: Sizes,
    incidence: Angle,
    azimuth: Angle,
    params: Backscatter | None = None,
    valid: Tensor | None = None,
    *,
    exponent: Tensor | None = None,
    window: int = 31,
    delta_db: float = 2.0,
    empty: Literal["raise", "zero"] = "raise",
) -> Tensor:
    """How far observed radar is from what the predicted surface would send back, dB (Huber); (n,).

    prediction (n, 1, y, x) metres, observed_db (n, date or polarisation, y, x); angles broadcast against it, and so
    does `exponent` where it is not that of `params`. Cells of the prediction in layover or in shadow do not count, nor
    those not `valid` (bool; give what `shadow.radar_masks` casts from the best surface at hand). What reflects
    differently is not known: the mean of the difference over a window of cells is taken out, so only relief finer than
    it is asked for. Above delta_db the loss grows linearly. A patch without a cell that counts raises ValueError, or
    with empty="zero" gives 0 without a gradient.
    """
    cos_lia = cos_local_incidence(prediction, pixel_size_m, incidence, azimuth)
    known = torch.isfinite(observed_db) & ~layover_or_shadow(prediction, pixel_size_m, incidence, azimuth)
    known = known if valid is None else known & valid
    if empty == "raise" and not bool(known.flatten(1).any(1).all()):
        raise ValueError("a patch has no cell that is valid, lit and out of layover; leave it out, or say empty='zero'")
    params = params or Backscatter()
    facing, footprint = _terms(cos_lia, incidence)
    modelled = (params.exponent if exponent is None else exponent) * facing + params.area * footprint
    apart = torch.where(known, torch.where(known, observed_db, 0.0) - modelled, 0.0)
    detail = highpass(apart, known, window)
    loss = functional.huber_loss(detail, torch.zeros_like(detail), reduction="none", delta=delta_db)
    return mean_over(loss.flatten(1, -2), known.flatten(1, -2))
