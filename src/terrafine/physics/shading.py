"""Sunlight on terrain: the brightness of a slope, and the direction from which an image is lit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from terrafine.physics.highpass import highpass
from terrafine.physics.radar import cos_local_incidence
from terrafine.physics.stencil import Sizes
from terrafine.physics.terrain import gradient

__all__ = ["Sun", "find_sun", "shade_db"]

_DB = 10 / math.log(10)


@dataclass(frozen=True, slots=True)
class Sun:
    """Direction to the sun, as estimated from an image.

    Attributes
    ----------
    azimuth
        Degrees clockwise from the grid's north.
    correlation
        Correlation of the image with the light from that direction.
    """

    azimuth: float
    correlation: float


def shade_db(z: Tensor, pixel_size_m: Sizes, azimuth: float, elevation: float, diffuse: float = 0.2) -> Tensor:
    """Compute 10 lg of the light on a slope relative to the light on level ground; cast shadows are not computed.

    Lambert's law with an even sky: (max(cos i, 0) + diffuse) / (sin elevation + diffuse), with i the angle between the
    normal and the sun.

    Parameters
    ----------
    z
        Heights in metres, (…, y, x).
    pixel_size_m
        Metres along y and x, as `stencil.Sizes`.
    azimuth, elevation
        Azimuth and elevation of the sun, degrees.
    diffuse
        Light of the sky relative to that of the sun at perpendicular incidence.

    Returns
    -------
    Tensor
        dB, (…, y, x).

    Raises
    ------
    ValueError
        For a sun not above the horizon, or a sky not above 0.

    References
    ----------
    Teillet, Guindon & Goodenough 1982, doi:10.1080/07038992.1982.10855028, with the sky added.
    """
    if not (0 < elevation <= 90 and diffuse > 0):
        raise ValueError(f"sun elevation {elevation} and diffuse light {diffuse}: expected (0, 90] degrees and above 0")
    cosine = cos_local_incidence(z, pixel_size_m, 90.0 - elevation, azimuth)
    level = math.sin(math.radians(elevation)) + diffuse
    return _DB * ((cosine.clamp_min(0) + diffuse) / level).log()


def find_sun(image_db: Tensor, z: Tensor, pixel_size_m: Sizes, valid: Tensor, window: int = 31) -> Sun:
    """Estimate the direction from which an image is lit, from the slopes that are bright.

    Brightness is fitted to the gradient by least squares over the valid cells, both without their mean over the window.
    The gradient points uphill, so the light comes from the opposite side.

    Parameters
    ----------
    image_db
        10 lg of brightness, (y, x).
    z, pixel_size_m
        As in `shade_db`, (y, x).
    valid
        Bool, (y, x).
    window
        Side in cells, as in `highpass.highpass`.

    Returns
    -------
    Sun
        Direction and correlation.

    Raises
    ------
    ValueError
        For fewer than 3 valid cells, level ground, or a window that `highpass` rejects.
    """
    sides = gradient(z, pixel_size_m)
    mask = valid & torch.isfinite(sides[0]) & torch.isfinite(sides[1])
    east, north = (highpass(torch.where(mask, side, 0.0), mask, window)[mask].double() for side in sides)
    light = highpass(image_db, mask, window)[mask].double()
    if light.numel() < 3 or not float(east.square().sum() * north.square().sum()) > 0:
        raise ValueError(f"{light.numel()} cells on level ground; expected relief")
    moments = torch.stack([torch.stack([(a * b).sum() for b in (east, north)]) for a in (east, north)])
    fitted = torch.linalg.solve(moments, torch.stack([(a * light).sum() for a in (east, north)]))
    model = fitted[0] * east + fitted[1] * north
    correlation = float((model * light).sum() / (model.norm() * light.norm()).clamp_min(1e-30))
    return Sun(math.degrees(math.atan2(-float(fitted[0]), -float(fitted[1]))) % 360, correlation)
