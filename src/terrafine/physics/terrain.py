"""Slope, aspect and curvature of a surface, and losses on their difference between prediction and truth.

Everywhere: heights (…, y, x) in metres, rows running south; `pixel_size_m` as `stencil.Sizes`; the gradient is
(zx, zy), rise per metre toward east and toward north. All functions are differentiable, on flat ground too. A loss is
one number for each surface, (…, y, x) -> (…).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from terrafine.physics.gradient import Method, central_difference
from terrafine.physics.stencil import Sizes, cell_sizes, compared, extended, mean_over, neighbour

__all__ = [
    "Method",
    "aspect",
    "aspect_loss",
    "curvature_loss",
    "curvatures",
    "gradient",
    "gradient_loss",
    "slope",
    "slope_loss",
    "unit_normal",
]

Unit = Literal["degree", "radian", "tan"]

FLAT = 0.02
"""Rise per metre (1.1°) below which ground counts as flat, softly: there aspect and curvature direction fade out."""


def gradient(z: Tensor, pixel_size_m: Sizes, method: Method = "horn") -> tuple[Tensor, Tensor]:
    """Compute the rise per metre toward east and toward north.

    Horn's method weights six cells; that of Zevenbergen & Thorne takes the central difference. Beyond the outermost
    cells the surface is extrapolated linearly, so that planes are exact everywhere.

    Parameters
    ----------
    z
        Heights in metres, (…, y, x).
    pixel_size_m
        Metres along y and x, as `stencil.Sizes`.
    method
        `horn` or `zevenbergen-thorne`.

    Returns
    -------
    tuple[Tensor, Tensor]
        zx and zy, each (…, y, x).

    Raises
    ------
    ValueError
        For another method, or shapes that do not fit.

    References
    ----------
    Horn 1981, doi:10.1109/PROC.1981.11918; Zevenbergen & Thorne 1987, doi:10.1002/esp.3290120107.
    """
    dy, dx = cell_sizes(pixel_size_m, z)
    wide = extended(z)
    east = central_difference(lambda across, along: neighbour(wide, across, along), method)
    north = central_difference(lambda across, along: neighbour(wide, -along, across), method)
    return east / dx, north / dy


def _length(zx: Tensor, zy: Tensor) -> Tensor:
    """√(zx² + zy²) whose derivative at nothing is nothing, not NaN."""
    square = zx.square() + zy.square()
    flat = square == 0
    return torch.where(flat, 0.0, torch.where(flat, 1.0, square).sqrt())


def slope(z: Tensor, pixel_size_m: Sizes, method: Method = "horn", unit: Unit = "degree") -> Tensor:
    """Compute the angle of the steepest descent from the horizontal.

    Parameters
    ----------
    z, pixel_size_m, method
        As in `gradient`.
    unit
        `degree`, `radian`, or `tan` for the rise per metre.

    Returns
    -------
    Tensor
        (…, y, x), in that unit.

    Raises
    ------
    ValueError
        For another unit, or as `gradient`.
    """
    steepness = _length(*gradient(z, pixel_size_m, method))
    if unit == "tan":
        return steepness
    angle = torch.atan(steepness)
    if unit == "radian":
        return angle
    if unit == "degree":
        return torch.rad2deg(angle)
    raise ValueError(f"no slope has the unit {unit!r}; expected 'degree', 'radian' or 'tan'")


def unit_normal(zx: Tensor, zy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the upward unit normal of a surface, (−zx, −zy, 1)/|·|.

    Parameters
    ----------
    zx, zy
        Rise per metre toward east and north, (…, y, x).

    Returns
    -------
    tuple[Tensor, Tensor, Tensor]
        Components toward east, north and up, each (…, y, x).
    """
    up = torch.rsqrt(1 + zx.square() + zy.square())
    return -zx * up, -zy * up, up


def aspect(z: Tensor, pixel_size_m: Sizes, method: Method = "horn") -> tuple[Tensor, Tensor]:
    """Compute the direction that the ground faces, as a vector of length sin(slope).

    This vector is the horizontal part of the normal: it is continuous at 360°, and on flat ground, where it vanishes.

    Parameters
    ----------
    z, pixel_size_m, method
        As in `gradient`.

    Returns
    -------
    tuple[Tensor, Tensor]
        Components toward east and north, each (…, y, x).

    Raises
    ------
    ValueError
        As `gradient`.
    """
    east, north, _ = unit_normal(*gradient(z, pixel_size_m, method))
    return east, north


def curvatures(z: Tensor, pixel_size_m: Sizes, flat: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Compute plan and profile curvature, positive where convex.

    They are second derivatives across and along the slope: plan = −(zxx zy² − 2 zxy zx zy + zyy zx²)/g²,
    profile = −(zxx zx² + 2 zxy zx zy + zyy zy²)/g². They are bounded where the contour curvature (÷ g³) is not. On the
    outermost cells one of zxx, zyy is 0.

    Parameters
    ----------
    z, pixel_size_m
        As in `gradient`.
    flat
        g² = zx² + zy² + flat², so that both vanish where the rise per metre is far below `flat`.

    Returns
    -------
    tuple[Tensor, Tensor]
        Plan and profile curvature in 1/100 m, each (…, y, x).

    Raises
    ------
    ValueError
        For shapes that do not fit.

    References
    ----------
    Quadric of Zevenbergen & Thorne 1987, doi:10.1002/esp.3290120107.
    """
    dy, dx = cell_sizes(pixel_size_m, z)
    wide = extended(z)
    zx, zy = gradient(z, pixel_size_m, "zevenbergen-thorne")
    # Differences first: float32 would lose curvature in the sum of three heights above the datum.
    zxx = ((neighbour(wide, 0, 1) - z) - (z - neighbour(wide, 0, -1))) / dx**2
    zyy = ((neighbour(wide, 1, 0) - z) - (z - neighbour(wide, -1, 0))) / dy**2
    upper = neighbour(wide, -1, 1) - neighbour(wide, -1, -1)
    zxy = (upper - (neighbour(wide, 1, 1) - neighbour(wide, 1, -1))) / (4 * dx * dy)
    g2 = zx.square() + zy.square() + flat**2
    plan = -(zxx * zy.square() - 2 * zxy * zx * zy + zyy * zx.square()) / g2
    profile = -(zxx * zx.square() + 2 * zxy * zx * zy + zyy * zy.square()) / g2
    return 100 * plan, 100 * profile


def gradient_loss(prediction: Tensor, truth: Tensor, pixel_size_m: Sizes, valid: Tensor | None = None) -> Tensor:
    """Compute the mean of |Δzx| + |Δzy|, the L1 norm of first differences between adjacent cells.

    Adjacent differences detect a checkerboard, which central differences do not.

    Parameters
    ----------
    prediction, truth
        Heights in metres, (…, y, x).
    pixel_size_m
        As in `gradient`.
    valid
        Bool, (…, y, x), True where the truth is known; all cells where None.

    Returns
    -------
    Tensor
        (…), metres per metre.

    Raises
    ------
    ValueError
        For shapes that differ, or where nothing is valid.

    References
    ----------
    Gradient difference loss of Mathieu et al. 2016, arXiv:1511.05440, here on the differences of the error itself.
    """
    p, t, inner = compared(prediction, truth, valid)
    dy, dx = cell_sizes(pixel_size_m, t)
    error = p - t
    east = (error[..., 1:] - error[..., :-1])[..., 1:-1, :-1] / _inside(dx, t)
    south = (error[..., 1:, :] - error[..., :-1, :])[..., :-1, 1:-1] / _inside(dy, t)
    return mean_over(east.abs() + south.abs(), inner)


def _inside(size: Tensor, z: Tensor) -> Tensor:
    """Sizes of the inner cells: without the ring, along each axis on which the size is given by cell."""
    if size.ndim < 2:
        return size
    rows = size[..., 1:-1, :] if size.shape[-2] == z.shape[-2] else size
    return rows[..., 1:-1] if rows.shape[-1] == z.shape[-1] else rows


def _ringless(z: Tensor) -> Tensor:
    return z[..., 1:-1, 1:-1]


def slope_loss(
    prediction: Tensor,
    truth: Tensor,
    pixel_size_m: Sizes,
    valid: Tensor | None = None,
    method: Method = "horn",
    unit: Unit = "degree",
) -> Tensor:
    """Compute the mean absolute difference between the slopes of prediction and truth.

    The outermost cells and those beside nodata do not count.

    Parameters
    ----------
    prediction, truth, pixel_size_m, valid
        As in `gradient_loss`.
    method, unit
        As in `slope`.

    Returns
    -------
    Tensor
        (…), in that unit.

    Raises
    ------
    ValueError
        As `gradient_loss`, or for a method or unit that `slope` rejects.
    """
    p, t, inner = compared(prediction, truth, valid)
    error = slope(p, pixel_size_m, method, unit) - slope(t, pixel_size_m, method, unit)
    return mean_over(_ringless(error).abs(), inner)


def aspect_loss(
    prediction: Tensor,
    truth: Tensor,
    pixel_size_m: Sizes,
    valid: Tensor | None = None,
    method: Method = "horn",
    flat: float = FLAT,
) -> Tensor:
    """Compute the mean of 1 − cos(angle between the aspects), weighted by sin(slope) of the truth.

    Aspects are unit vectors u = −g/√(|g|² + flat²), and 1 − cos = |Δu|²/2. Gradients are therefore bounded, and flat
    ground, which has no aspect, has no weight: a truth that is flat throughout gives 0.

    Parameters
    ----------
    prediction, truth, pixel_size_m, valid
        As in `gradient_loss`.
    method
        As in `gradient`.
    flat
        Rise per metre below which aspect fades out.

    Returns
    -------
    Tensor
        (…), from 0 to 2.

    Raises
    ------
    ValueError
        As `gradient_loss`, or for a method that `gradient` rejects.
    """
    p, t, inner = compared(prediction, truth, valid)
    (px, py), (tx, ty) = (gradient(z, pixel_size_m, method) for z in (p, t))
    fp, ft = (torch.rsqrt(a.square() + b.square() + flat**2) for a, b in ((px, py), (tx, ty)))
    apart = ((px * fp - tx * ft).square() + (py * fp - ty * ft).square()) / 2
    steep = _length(tx, ty)
    weight = steep * torch.rsqrt(1 + steep.square())
    return mean_over(_ringless(apart), _ringless(weight) * inner)


def curvature_loss(
    prediction: Tensor, truth: Tensor, pixel_size_m: Sizes, valid: Tensor | None = None, flat: float = FLAT
) -> Tensor:
    """Compute the mean of |Δplan| + |Δprofile| curvature.

    Parameters
    ----------
    prediction, truth, pixel_size_m, valid
        As in `gradient_loss`.
    flat
        As in `curvatures`, but large enough that no gradient explodes on gentle ground.

    Returns
    -------
    Tensor
        (…), 1/100 m.

    Raises
    ------
    ValueError
        As `gradient_loss`.
    """
    p, t, inner = compared(prediction, truth, valid)
    (plan, profile), (plan_t, profile_t) = (curvatures(z, pixel_size_m, flat) for z in (p, t))
    return mean_over(_ringless((plan - plan_t).abs() + (profile - profile_t).abs()), inner)
