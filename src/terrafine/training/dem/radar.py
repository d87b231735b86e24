"""Simulation of backscatter over real terrain, with random orbits, ground covers, drifts and speckle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from terrafine.errors import RecipeError
from terrafine.physics.backscatter import Backscatter, simulate_db
from terrafine.physics.radar import ORBITS, look_azimuth, look_vector
from terrafine.physics.speckle import speckle
from terrafine.schema.types import Interval, Within
from terrafine.training.dem.simulation import covers, guide_band, perturb_heights, texture

__all__ = ["RadarFamily"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_POLARISATIONS = ("vv", "vh")
_Pair = tuple[float, float]
_Spread = Annotated[float, Within(0, 100)]
_Cells = Annotated[float, Within(0, 16)]


@dataclass(frozen=True, slots=True)
class RadarFamily:
    """A recipe's `[radar]`: ranges from which the radar of every patch is drawn, uniformly unless stated.

    Attributes
    ----------
    incidence
        Incidence on the ellipsoid, degrees.
    heading, latitude
        Largest deviation from the orbit's heading, degrees, and largest latitude north or south, degrees.
    exponent, area
        Exponents of the cosine law and of the footprint, for each polarisation (`physics.backscatter`).
    looks
        Number of looks of the speckle, from a single date to a long series; logarithmically uniform.
    cover_db
        Largest spread of ground covers, dB: plateaus with sharp borders that do not follow the terrain.
    drift_db
        Largest spread of slow drifts, dB.
    texture_db
        Spread of variation from cell to cell that is not relief, dB, logarithmically uniform; none where it is 0.
    shift
        Largest displacement along y and x, fine cells.
    smooth
        Largest blur of the heights in the radar's geometry, fine cells (1σ), for the radar's own resolution.
    error
        Largest spread of relief that the radar observes and the elevation model lacks, fine cells (1σ). An error of
        3 m in a model of 30 m cells is 0.1.
    drop
        Probability that a patch lacks one of its polarisations, and again that it lacks radar.

    Raises
    ------
    RecipeError
        For ranges that are not from low to high, or out of bounds.
    """

    incidence: Annotated[_Pair, Interval(1, 80)] = (31.0, 46.0)
    heading: Annotated[float, Within(0, 180)] = 5.0
    latitude: Annotated[float, Within(0, 80)] = 60.0
    exponent: Annotated[_Pair, Interval(0, 100)] = (0.0, 2.5)
    area: Annotated[_Pair, Interval(0, 100)] = (0.5, 1.0)
    looks: Annotated[_Pair, Interval(0.01, 1e6)] = (4.0, 400.0)
    cover_db: _Spread = 2.5
    drift_db: _Spread = 2.5
    texture_db: Annotated[_Pair, Interval(0, 100)] = (0.0, 0.0)
    shift: _Cells = 0.3
    smooth: _Cells = 0.7
    error: Annotated[float, Within(0, 1, below=True)] = 0.0
    drop: Annotated[float, Within(0, 0.5, below=True)] = 0.125

    def __post_init__(self) -> None:
        for name in ("incidence", "exponent", "area", "looks", "texture_db"):
            low, high = getattr(self, name)
            if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high):
                raise RecipeError(f"[radar] {name} = [{low}, {high}]: expected two numbers from low to high, from 0 on")
        if self.texture_db[1] > 0 and self.texture_db[0] == 0:
            raise RecipeError("[radar] texture_db: expected a lowest spread above 0, or [0, 0] for none")
        if not 0 <= self.error < 1:
            raise RecipeError(f"[radar] error = {self.error}: expected from 0 to below 1, in cells")
        if not 0 <= self.drop < 0.5:
            raise RecipeError(f"[radar] drop = {self.drop}: expected from 0 to below 0.5")

    def simulate(self, fine: F64, pixel_size_m: tuple[float, float], rng: np.random.Generator) -> dict[str, F32]:
        """Simulate radar over a patch.

        Parameters
        ----------
        fine
            Heights in metres, (y, x), in map orientation, whatever transform was applied to the patch before.
        pixel_size_m
            Metres along y and x.
        rng
            Random number generator.

        Returns
        -------
        dict[str, ndarray]
            Band -> (2, y, x): value, and 1 where observed. Bands are vv and vh in dB, and look_east and look_north, the
            horizontal components of the unit vector to the sensor.
        """
        theta = float(rng.uniform(*self.incidence))
        orbit = ORBITS[int(rng.integers(2))]
        azimuth = look_azimuth(orbit, float(rng.uniform(-self.latitude, self.latitude)), incidence=theta)
        azimuth += float(rng.uniform(-self.heading, self.heading))
        noise_m = self.error * min(pixel_size_m)
        observed_z = torch.from_numpy(perturb_heights(fine, self.shift, self.smooth, rng, noise_m)).float()
        cover = covers(fine.shape, self.cover_db, self.drift_db, rng)
        rough = math.exp(rng.uniform(*np.log(self.texture_db))) if self.texture_db[1] else 0.0
        cover = cover + (texture(fine.shape, rough, rng) if rough else 0)
        looks = math.exp(rng.uniform(*np.log(self.looks)))
        missing = self.draw_missing(rng)
        out: dict[str, F32] = {}
        for name in _POLARISATIONS:
            model = Backscatter(rng.uniform(-20, -5), rng.uniform(*self.exponent), rng.uniform(*self.area))
            value = simulate_db(observed_z, pixel_size_m, theta, azimuth, model).numpy()
            noise = 10 * np.log10(speckle(fine.shape, looks, rng).numpy())
            share = rng.uniform(0.5, 1.0)  # the polarisations have similar, not equal, covers
            own = covers(fine.shape, self.cover_db, self.drift_db, rng)
            own = own + (texture(fine.shape, rough, rng) if rough else 0)
            out[name] = guide_band(value + noise + share * cover + (1 - share) * own, name not in missing)
        east, north, _ = look_vector(theta, azimuth)
        observed = len(missing) < len(_POLARISATIONS)
        for name, part in (("look_east", east), ("look_north", north)):
            out[name] = guide_band(np.full(fine.shape, float(part)), observed)
        return out

    def draw_missing(self, rng: np.random.Generator) -> tuple[str, ...]:
        """Draw the polarisations that a patch lacks; the number of random values used is always two.

        Parameters
        ----------
        rng
            Random number generator.

        Returns
        -------
        tuple[str, ...]
            Names of the missing polarisations.
        """
        none, which = rng.random(2)
        if none < self.drop:
            return _POLARISATIONS
        if none < 2 * self.drop:
            return (_POLARISATIONS[int(which * len(_POLARISATIONS))],)
        return ()
