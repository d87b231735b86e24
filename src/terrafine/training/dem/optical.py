"""Simulation of an optical image over real terrain, with random sun, sky and ground cover."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from terrafine.errors import RecipeError
from terrafine.physics.shading import shade_db
from terrafine.schema.types import Interval, Within
from terrafine.training.dem.simulation import covers, guide_band, perturb_heights, texture

__all__ = ["OpticalFamily"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_Pair = tuple[float, float]
_Spread = Annotated[float, Within(0, 100)]
_Cells = Annotated[float, Within(0, 16)]


@dataclass(frozen=True, slots=True)
class OpticalFamily:
    """A recipe's `[optical]`: ranges from which the image of every patch is drawn, uniformly unless stated.

    Attributes
    ----------
    azimuth, elevation
        Azimuth and elevation of the sun, degrees from north and above the horizon.
    diffuse
        Light of the sky relative to that of the sun at perpendicular incidence.
    haze
        Brightness that atmosphere and sensor add to every cell, relative to level ground, logarithmically uniform. For
        example, of a Landsat 8 digital number of 8,000 an offset of 5,000 is added, besides haze.
    cover_db, drift_db
        Largest spread of ground covers and of slow drifts, dB; neither follows the terrain.
    texture_db
        Spread of variation from cell to cell that is not relief, dB, logarithmically uniform.
    shift, smooth
        Largest displacement along y and x, and largest blur (1σ), fine cells.
    error
        Largest spread of relief that the image shows and the elevation model lacks, fine cells (1σ).
    drop
        Probability that a patch has no image.

    Raises
    ------
    RecipeError
        For ranges that are not from low to high, or out of bounds.
    """

    azimuth: Annotated[_Pair, Interval(0, 360)] = (0.0, 360.0)
    elevation: Annotated[_Pair, Interval(0.1, 90)] = (25.0, 65.0)
    diffuse: Annotated[_Pair, Interval(1e-4, 10)] = (0.1, 0.6)
    haze: Annotated[_Pair, Interval(1e-4, 100)] = (0.02, 3.0)
    cover_db: _Spread = 3.0
    drift_db: _Spread = 2.0
    texture_db: Annotated[_Pair, Interval(1e-4, 20)] = (0.15, 1.5)
    shift: _Cells = 0.3
    smooth: _Cells = 0.7
    error: Annotated[float, Within(0, 1, below=True)] = 0.0
    drop: Annotated[float, Within(0, 1, below=True)] = 0.3

    def __post_init__(self) -> None:
        for name, high_end in (
            ("azimuth", 360.0),
            ("elevation", 90.0),
            ("diffuse", 10.0),
            ("haze", 100.0),
            ("texture_db", 20.0),
        ):
            low, high = getattr(self, name)
            if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high <= high_end):
                raise RecipeError(f"[optical] {name} = [{low}, {high}]: expected from low to high, 0 to {high_end:g}")
        if not min(self.elevation[0], self.diffuse[0], self.haze[0], self.texture_db[0]) > 0:
            raise RecipeError("[optical] elevation, diffuse, haze and texture_db: expected above 0")
        if not 0 <= self.error < 1:
            raise RecipeError(f"[optical] error = {self.error}: expected from 0 to below 1, in cells")
        if not 0 <= self.drop < 1:
            raise RecipeError(f"[optical] drop = {self.drop}: expected from 0 to below 1")

    def simulate(self, fine: F64, pixel_size_m: tuple[float, float], rng: np.random.Generator) -> dict[str, F32]:
        """Simulate an image over a patch.

        Parameters
        ----------
        fine
            Heights in metres, (y, x), in map orientation.
        pixel_size_m
            Metres along y and x.
        rng
            Random number generator.

        Returns
        -------
        dict[str, ndarray]
            Band -> (2, y, x): value, and 1 where observed. Bands are optical, 10 lg of brightness, and sun_east and
            sun_north, the horizontal unit vector toward the sun.
        """
        azimuth, elevation, diffuse = (rng.uniform(*r) for r in (self.azimuth, self.elevation, self.diffuse))
        seen = torch.from_numpy(perturb_heights(fine, self.shift, self.smooth, rng, self.error * min(pixel_size_m)))
        light = shade_db(seen, pixel_size_m, azimuth, elevation, diffuse).numpy()
        ground = covers(fine.shape, self.cover_db, self.drift_db, rng)
        ground = ground + texture(fine.shape, math.exp(rng.uniform(*np.log(self.texture_db))), rng)
        haze = math.exp(rng.uniform(*np.log(self.haze)))
        observed = bool(rng.random() >= self.drop)
        alpha = math.radians(azimuth)
        bright = 10 * np.log10(10 ** ((light + ground) / 10) + haze)
        out = {"optical": guide_band(bright, observed)}
        for name, part in (("sun_east", math.sin(alpha)), ("sun_north", math.cos(alpha))):
            out[name] = guide_band(np.full(fine.shape, part), observed)
        return out
