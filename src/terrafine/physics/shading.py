"""Sunlight on terrain: how bright a slope is, and from where an image is lit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from terrafine.physics.backscatter import highpass
from terrafine.physics.radar import cos_local_incidence
from terrafine.physics.stencil import Sizes
from terrafine.physics.terrain import gradient

__all__ = ["Sun", "find_sun", "shade_db"]

_DB = 10 / math.log(10)


@dataclass(frozen=True, slots=True)
class Sun:
    """Direction to the sun, degrees clockwise from the grid's north, and how an image correlates with its light."""

    azimuth: float
    correlation: float


def shade_db(z: Tensor, pixel_size_m: Sizes, azimuth: float, elevation: float, diffuse: float = 0.2) -> Tensor:
    """10 lg of the light on a slope over the light on level ground, (…, y, x); cast shadows are not looked for.

    Lambert's law with an even sky: (max(cos i, 0) + diffuse) / (sin elevation + diffuse), i between the normal and the
    sun; `diffuse` is the sky's share relative to the sun's at right angles (Teillet, Guindon & Goodenough 1982,
    doi:10.1080/07038992.1982.10855028, with the sky added). z in metres, angles in degrees. Raises ValueError for a sun
    not above the horizon or a sky not above 0.
    """
    if not (0 < elevation <= 90 and diffuse > 0):
        raise ValueError(f"sun elevation {elevation} and diffuse light {diffuse}: expected (0, 90] degrees and above 0")
    cosine = cos_local_incidence(z, pixel_size_m, 90.0 - elevation, azimuth)
    level = math.sin(math.radians(elevation)) + diffuse
    return _DB * ((cosine.clamp_min(0) + diffuse) / level).log()


def find_sun(image_db: Tensor, z: Tensor, pixel_size_m: Sizes, valid: Tensor, window: int = 31) -> Sun:
    """From where an image (y, x) of 10 lg brightness over heights z is lit: the slopes that are bright face the sun.

    Least squares of brightness on the gradient, both without their mean over `window` cells, over the valid cells. The
    gradient points uphill, so the light comes from the other side. Raises ValueError for fewer than 3 valid cells or
    level ground.
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
