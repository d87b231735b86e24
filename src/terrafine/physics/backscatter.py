"""Radar backscatter of terrain in dB: a model with three parameters, its fit, and a loss on observed radar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from terrafine.physics.highpass import highpass
from terrafine.physics.radar import Angle, cos_local_incidence, layover_or_shadow
from terrafine.physics.speckle import DB, speckle_bias_db
from terrafine.physics.stencil import Sizes, mean_over

__all__ = [
    "Backscatter",
    "Fit",
    "backscatter_db",
    "fit_backscatter",
    "fit_exponent",
    "sar_loss",
    "simulate_db",
]

_GRAZING = 0.05  # cos LIA is taken as at least this (87°): beyond it is shadow
_PRIOR = 1.0  # exponent where the terrain carries no information on it: Lambert's
_PRIOR_DB2 = 4.0  # strength of the prior: radar with 2 dB of noise moves the exponent by 1
_FACING = 0.1  # sin LIA is taken as at least this (6°): the area of a cell in one range line is bounded


@dataclass(frozen=True, slots=True)
class Backscatter:
    """Parameters of σ⁰ = level + exponent · 10 lg(cos LIA/cos θ) + area · 10 lg(sin θ/sin LIA), all in dB.

    Attributes
    ----------
    level_db
        σ⁰ of level ground, dB.
    exponent
        Exponent of the cosine law: 1 is Lambert's law for brightness by area, 2 the one for intensity (Ulaby, Moore &
        Fung 1982, vol. 2, ch. 11).
    area
        1 where the ground area in a range cell was not normalised for slope, 0 where it was.
    """

    level_db: float = -12.0
    exponent: float = 1.0
    area: float = 1.0


@dataclass(frozen=True, slots=True)
class Fit:
    """Result of a backscatter fit.

    Attributes
    ----------
    parameters, errors
        Fitted parameters and their standard errors.
    correlation, residual_db
        Correlation of model and observation, and standard deviation of the residual in dB.
    n
        Number of cells used.
    """

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
    """Compute the modelled σ⁰ in dB for ground of uniform cover, in the shape of `cos_lia`.

    The model is (cos LIA/cos θ)^exponent · (sin θ/sin LIA)^area: the cosine law, and the area that a slope puts in a
    range cell. It is bounded near LIA 90° and 0°, where ground is in shadow and in layover: mask those cells.

    Parameters
    ----------
    cos_lia
        Cosine of the local incidence angle (LIA), (…, y, x).
    incidence
        θ in degrees.
    params
        Parameters of the model; defaults of `Backscatter` where None.

    Returns
    -------
    Tensor
        Modelled σ⁰ in dB, in the shape of `cos_lia`.

    References
    ----------
    Ulander 1996, doi:10.1109/36.536526, for slopes in the range plane.
    """
    params = params or Backscatter()
    facing, area = _terms(cos_lia, incidence)
    return params.level_db + params.exponent * facing + params.area * area


def simulate_db(
    z: Tensor, pixel_size_m: Sizes, incidence: Angle, azimuth: Angle, params: Backscatter | None = None
) -> Tensor:
    """Compute the modelled σ⁰ of a surface in dB, without speckle, layover and shadow.

    Parameters
    ----------
    z
        Heights in metres, (…, y, x).
    pixel_size_m, incidence, azimuth
        As in `radar.cos_local_incidence`.
    params
        Parameters of the model; defaults of `Backscatter` where None.

    Returns
    -------
    Tensor
        σ⁰ in dB, (…, y, x). Cells in layover or shadow are not masked.

    Raises
    ------
    ValueError
        For pixel sizes that do not fit the heights.
    """
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
    """Fit the parameters that best explain the observed dB of one polarisation.

    The model is linear in its parameters. The fit is least squares with Huber weights (1.345 robust SDs), so that
    targets and the long tail of speckle do not dominate. The errors assume independent cells; noise of the DEM biases
    the exponent toward 0.

    Parameters
    ----------
    observed_db, cos_lia
        Observed σ⁰ in dB and cosine of the local incidence angle, of one shape.
    incidence
        Degrees; a number or a tensor of the same shape.
    valid
        Bool, True where the observation may be used; all finite cells where None.
    area
        Value at which `area` is fixed; None fits it too, though it correlates with the exponent.
    looks
        Number of looks; if given, the mean of the logarithm of speckle is removed from the level.
    rounds
        Number of iterations of reweighted least squares.

    Returns
    -------
    Fit
        Parameters, their standard errors, and how well the model explains the observation.

    Raises
    ------
    ValueError
        For fewer than 20 valid cells, or where the terrain makes the parameters not identifiable.

    References
    ----------
    Huber 1964, doi:10.1214/aoms/1177703732.
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
            raise ValueError("the terrain is too level to identify level, exponent and area; fit where there is relief")
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


def fit_exponent(
    observed_db: Tensor, cos_lia: Tensor, incidence: Angle, valid: Tensor, *, area: float = 1.0, window: int = 31
) -> Tensor:
    """Fit the exponent of the cosine law that best explains the detail of each radar image.

    Least squares of high-passed dB on the high-passed cosine law, with a prior of 1 that dominates where relief carries
    little information. Many images are fitted at once, and level ground raises no error.

    Parameters
    ----------
    observed_db
        Observed σ⁰ in dB, (…, y, x).
    cos_lia, incidence
        As in `backscatter_db`.
    valid
        Bool, (…, y, x), False at nodata, layover and shadow.
    area
        Fixed value of `Backscatter.area`.
    window
        As in `highpass`.

    Returns
    -------
    Tensor
        Exponents from 0 to 4, (…, 1, 1).

    Raises
    ------
    ValueError
        For a window that is even or smaller than 3 cells.
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
    """Compute the Huber loss in dB, (n,), between observed radar and the modelled backscatter of the predicted surface.

    Differences in reflectivity are not known, so the mean of the difference over a window is removed: only relief finer
    than the window is constrained. Cells of the prediction in layover or shadow by their own slope do not count.

    Parameters
    ----------
    prediction
        Heights in metres, (n, 1, y, x).
    observed_db
        Observed σ⁰ in dB, (n, date or polarisation, y, x).
    pixel_size_m, incidence, azimuth
        As in `cos_local_incidence`; the angles broadcast against `observed_db`.
    params, exponent
        Parameters of the model, defaults of `Backscatter` where None; `exponent` replaces theirs and broadcasts against
        `observed_db`.
    valid
        Bool; exclude the cells that `shadow.radar_masks` casts from the best surface available.
    window
        As in `highpass`.
    delta_db
        Difference above which the loss grows linearly, dB.
    empty
        For a patch without a cell that counts: `raise`, or `zero` for a loss of 0 without a gradient.

    Returns
    -------
    Tensor
        Loss in dB, (n,).

    Raises
    ------
    ValueError
        For a patch without a cell that counts, unless `empty` is `zero`; for a window that `highpass` rejects.
    """
    cos_lia = cos_local_incidence(prediction, pixel_size_m, incidence, azimuth)
    known = torch.isfinite(observed_db) & ~layover_or_shadow(prediction, pixel_size_m, incidence, azimuth)
    known = known if valid is None else known & valid
    if empty == "raise" and not bool(known.flatten(1).any(1).all()):
        raise ValueError(
            "a patch has no cell that is valid, lit and out of layover; leave it out, or pass empty='zero'"
        )
    params = params or Backscatter()
    facing, footprint = _terms(cos_lia, incidence)
    modelled = (params.exponent if exponent is None else exponent) * facing + params.area * footprint
    apart = torch.where(known, torch.where(known, observed_db, 0.0) - modelled, 0.0)
    detail = highpass(apart, known, window)
    loss = functional.huber_loss(detail, torch.zeros_like(detail), reduction="none", delta=delta_db)
    return mean_over(loss.flatten(1, -2), known.flatten(1, -2))
