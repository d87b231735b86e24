"""Viewing geometry of a side-looking radar: local incidence, layover and shadow.

Heights (…, y, x) in metres, rows running south; the gradient is (zx, zy), rise per metre toward east and north. Angles
are in degrees: θ the incidence on the ellipsoid, α the direction from the target to the sensor on the ground, clockwise
from the grid's north. l = (sin θ sin α, sin θ cos α, cos θ) points to the sensor, n = (−zx, −zy, 1)/|·| off the ground,
and cos LIA = n·l. Angles are numbers or tensors that broadcast against the heights; all is differentiable in them.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from terrafine.physics.stencil import Sizes
from terrafine.physics.terrain import Method, gradient, unit_normal

__all__ = [
    "MID_SWATH",
    "ORBITS",
    "Orbit",
    "cos_local_incidence",
    "layover_or_shadow",
    "layover",
    "look_azimuth",
    "look_vector",
    "rise_toward",
    "shadow",
    "track_heading",
]

Orbit = Literal["ascending", "descending"]
Angle = Tensor | float

ORBITS: tuple[Orbit, ...] = ("ascending", "descending")

MID_SWATH = 38.5
"""Incidence near the middle of Sentinel-1's interferometric wide swath, degrees; the swath spans 29.1 to 46.0
(https://sentiwiki.copernicus.eu/web/s1-applications)."""

# Sentinel-1 (Torres et al. 2012, doi:10.1016/j.rse.2011.05.028): 693 km, 98.18 degrees, 175 orbits in 12 days.
_INCLINATION = math.radians(98.18)
_EARTH_KM, _ORBIT_KM = 6371.0, 6371.0 + 693.0
_TURNS_A_DAY = 175 / 12
_TURNS_OF_EARTH = 1.0  # against the plane of a sun-synchronous orbit: once a solar day


def track_heading(orbit: Orbit, latitude: float) -> float:
    """Compute the heading of Sentinel-1's ground track over the rotating Earth.

    In space sin(heading) = cos i/cos(latitude) (Clairaut's relation on the sphere). The ground moves east with Earth's
    rotation by ω cos(latitude), which is subtracted: tan = (v sin h − ω cos φ)/(v cos h), with the angular rates of
    orbit and Earth. At the equator the heading is 348.0 ascending and 192.0 descending.

    Parameters
    ----------
    orbit
        `ascending` or `descending`.
    latitude
        Degrees.

    Returns
    -------
    float
        Degrees clockwise from north.

    Raises
    ------
    ValueError
        For another orbit, or a latitude that the track never reaches (beyond 81.8 degrees).
    """
    if orbit not in ORBITS:
        raise ValueError(f"no orbit is called {orbit!r}; expected 'ascending' or 'descending'")
    cosine = math.cos(math.radians(latitude))
    sine = math.cos(_INCLINATION) / cosine if cosine > 0 else -math.inf
    if not (abs(latitude) < 90 and abs(sine) < 1):
        raise ValueError(f"latitude {latitude} is never under the track; expected at most 81.8 degrees north or south")
    north = math.sqrt(1 - sine**2) * (1 if orbit == "ascending" else -1)
    east = sine - _TURNS_OF_EARTH / _TURNS_A_DAY * cosine
    return math.degrees(math.atan2(east, north)) % 360


def look_azimuth(orbit: Orbit, latitude: float, heading: float | None = None, *, incidence: float = MID_SWATH) -> float:
    """Compute the direction from a target to Sentinel-1, which looks right.

    The result is about 260 ascending and 100 descending at 45° north.

    Parameters
    ----------
    orbit, latitude
        As in `track_heading`.
    heading
        Of the track, at the target, degrees; the result is then the heading minus 90. If None, it is computed from the
        orbit: the look is perpendicular to the track at the satellite, and the bearing of the line between satellite
        and target changes along the sphere, by 4 degrees at 45° latitude.
    incidence
        Degrees; determines the distance on the ground.

    Returns
    -------
    float
        Degrees clockwise from true north.

    Raises
    ------
    ValueError
        As `track_heading`, or for a heading that does not belong to the orbit.
    """
    if heading is not None:
        northward = math.cos(math.radians(heading)) > 0
        if orbit not in ORBITS or not math.isfinite(heading) or northward != (orbit == "ascending"):
            raise ValueError(f"heading {heading} is not of orbit {orbit!r}; ascending goes north, descending south")
        return (heading - 90) % 360
    phi, theta = math.radians(latitude), math.radians(incidence)
    arc = theta - math.asin(_EARTH_KM / _ORBIT_KM * math.sin(theta))
    nadir = phi
    for _ in range(8):  # the latitude below the satellite from which the look reaches the target's latitude
        look = math.radians(track_heading(orbit, math.degrees(nadir)) + 90)
        reached = math.asin(math.sin(nadir) * math.cos(arc) + math.cos(nadir) * math.sin(arc) * math.cos(look))
        nadir += phi - reached
    look = math.radians(track_heading(orbit, math.degrees(nadir)) + 90)
    # The course at the far end of a great circle, turned about.
    course = math.atan2(math.sin(look), math.cos(look) * math.cos(arc) - math.tan(nadir) * math.sin(arc))
    return (math.degrees(course) + 180) % 360


def look_vector(incidence: Angle, azimuth: Angle) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the unit vector to the sensor, l = (sin θ sin α, sin θ cos α, cos θ).

    Parameters
    ----------
    incidence, azimuth
        θ and α in degrees.

    Returns
    -------
    tuple[Tensor, Tensor, Tensor]
        Components toward east, north and up, of the shape that both angles broadcast to.
    """
    theta, alpha = _radians(incidence), _radians(azimuth)
    return torch.sin(theta) * torch.sin(alpha), torch.sin(theta) * torch.cos(alpha), torch.cos(theta)


def cos_local_incidence(
    z: Tensor, pixel_size_m: Sizes, incidence: Angle, azimuth: Angle, method: Method = "horn"
) -> Tensor:
    """Compute the cosine n·l of the local incidence angle, between the surface normal and the direction to the sensor.

    Parameters
    ----------
    z
        Heights in metres, (…, y, x).
    pixel_size_m
        Metres along y and x, as `stencil.Sizes`.
    incidence, azimuth
        θ and α in degrees, numbers or tensors that broadcast against `z`.
    method
        Gradient, as in `terrain.gradient`.

    Returns
    -------
    Tensor
        (…, y, x); negative where the ground shadows itself.

    Raises
    ------
    ValueError
        For another method, or shapes that do not fit.
    """
    zx, zy = gradient(z, pixel_size_m, method)
    n, look = unit_normal(zx, zy), look_vector(_like(incidence, z), _like(azimuth, z))
    return n[0] * look[0] + n[1] * look[1] + n[2] * look[2]


def rise_toward(z: Tensor, pixel_size_m: Sizes, azimuth: Angle, method: Method = "horn") -> Tensor:
    """Compute the rise per metre toward the sensor.

    Parameters
    ----------
    z, pixel_size_m, azimuth, method
        As in `cos_local_incidence`.

    Returns
    -------
    Tensor
        (…, y, x); negative on ground that faces the sensor.

    Raises
    ------
    ValueError
        For another method, or shapes that do not fit.
    """
    zx, zy = gradient(z, pixel_size_m, method)
    alpha = _radians(_like(azimuth, z))
    return zx * torch.sin(alpha) + zy * torch.cos(alpha)


def layover(z: Tensor, pixel_size_m: Sizes, incidence: Angle, azimuth: Angle, method: Method = "horn") -> Tensor:
    """Find ground that faces the sensor more steeply than θ, whose echoes arrive in reverse order.

    In the range plane, with s toward the sensor, slant range is r = −(s sin θ + z cos θ) + a constant. It falls toward
    the sensor unless dr/ds = −(sin θ + z′ cos θ) ≥ 0, that is −z′ ≥ tan θ. `shadow.cast_layover` finds what such ground
    covers in front of it and behind it.

    Parameters
    ----------
    z, pixel_size_m, incidence, azimuth, method
        As in `cos_local_incidence`.

    Returns
    -------
    Tensor
        Bool (…, y, x).

    Raises
    ------
    ValueError
        For another method, or shapes that do not fit.
    """
    with torch.no_grad():
        theta = _radians(_like(incidence, z))
        return -rise_toward(z, pixel_size_m, azimuth, method) >= torch.tan(theta)


def shadow(z: Tensor, pixel_size_m: Sizes, incidence: Angle, azimuth: Angle, method: Method = "horn") -> Tensor:
    """Find ground that faces away from the sensor so steeply that LIA ≥ 90°; `shadow.cast_shadow` finds what it shades.

    Parameters
    ----------
    z, pixel_size_m, incidence, azimuth, method
        As in `cos_local_incidence`.

    Returns
    -------
    Tensor
        Bool (…, y, x).

    Raises
    ------
    ValueError
        For another method, or shapes that do not fit.
    """
    with torch.no_grad():
        return cos_local_incidence(z, pixel_size_m, incidence, azimuth, method) <= 0


def layover_or_shadow(z: Tensor, pixel_size_m: Sizes, incidence: Angle, azimuth: Angle) -> Tensor:
    """Find ground in layover or in shadow by its own slope.

    Parameters
    ----------
    z, pixel_size_m, incidence, azimuth
        As in `cos_local_incidence`.

    Returns
    -------
    Tensor
        Bool (…, y, x).

    Raises
    ------
    ValueError
        For shapes that do not fit.
    """
    return layover(z, pixel_size_m, incidence, azimuth) | shadow(z, pixel_size_m, incidence, azimuth)


def _like(angle: Angle, z: Tensor) -> Tensor:
    return torch.as_tensor(angle, dtype=z.dtype, device=z.device)


def _radians(angle: Angle) -> Tensor:
    return torch.deg2rad(torch.as_tensor(angle, dtype=None if isinstance(angle, Tensor) else torch.float64))
