"""What a product is: its grid and heights, and how its cells differ from the mean of the true ground."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeVar

from terrafine.raster.products.noise import mean_variance

__all__ = ["Product", "SensorModel", "SensorUncertainty", "Surface"]

Surface = Literal["DSM", "DTM"]
Values = TypeVar("Values", bound=Any)  # numbers, arrays or tensors
SAME = 0.15
"""Share of the posting by which cells may differ from it and still be the product's own."""
ARCSECOND_M = 111_132 / 3600  # along a meridian, mean over the ellipsoid


@dataclass(frozen=True, slots=True)
class SensorModel:
    """How a cell of a product differs from the mean of the true ground over the cell.

    The standard deviation of the noise of a cell is `noise_flat_m + noise_slope_m * t`, with t the tangent of the slope
    of the surface of cell means.

    Attributes
    ----------
    psf_cells
        Standard deviation of a Gaussian blur beyond the mean over the cell, in cells; 0 for exact block means.
    noise_flat_m
        Standard deviation of the noise of one cell on flat ground, in metres.
    noise_slope_m
        Its increase for each unit of slope (tangent), in metres.
    correlation_cells
        The noise is white noise smoothed by a Gaussian of this standard deviation, in cells, then scaled to the stated
        standard deviation.
    rounding_m
        Step of the stored heights in metres; 0 for none.
    exact
        Whether cells are block means of the ground, which results keep exactly.
    """

    psf_cells: float
    noise_flat_m: float
    noise_slope_m: float
    correlation_cells: float
    rounding_m: float
    exact: bool

    def noise_m(self, slope: Values) -> Values:
        """Standard deviation of the noise of one cell on a slope of that tangent, in metres."""
        noise: Any = self.noise_flat_m + self.noise_slope_m * slope
        found: Values = noise
        return found

    def __str__(self) -> str:
        if self.exact and not (self.psf_cells or self.noise_flat_m or self.noise_slope_m):
            return "exact block means" + (f", steps of {self.rounding_m:g} m" if self.rounding_m else "")
        parts = [
            f"point spread {self.psf_cells:.2g} cells",
            f"noise {self.noise_flat_m:.2g} m" + (f" + {self.noise_slope_m:.2g} m × slope" * (self.noise_slope_m > 0)),
            f"correlated over {self.correlation_cells:.2g} cells",
        ]
        if self.rounding_m:
            parts.append(f"steps of {self.rounding_m:g} m")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class SensorUncertainty:
    """Standard errors (1 sigma) of the fields of a `SensorModel` with the same names."""

    psf_cells: float
    noise_flat_m: float
    noise_slope_m: float
    correlation_cells: float


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of DEM: how its files are called, what its heights stand on, and the model of its sensor.

    Attributes
    ----------
    key
        Short name for options and tags, unique: `srtm1`.
    name
        Name of the product or its family: `SRTM`. Two products of one family have the same name.
    pattern
        Regular expression that is sought in file names, without regard to case; empty for none.
    datum
        Vertical datum that its guide states, a name of `terrafine.raster.vertical.DATUMS`; empty where it has none.
    surface
        DSM with canopy and roofs, DTM without; None where either may be.
    url
        Where the product is described.
    posting
        Distance between its cells along a meridian, in `posting_unit`; None for any.
    posting_unit
        `arcsec` or `m`.
    sensor
        How its cells differ from the ground.
    uncertainty
        Standard errors of `sensor`; None where it is taken from literature.
    origin
        Where `sensor` comes from: `fitted on ...` or `literature: ...`.
    """

    key: str
    name: str
    pattern: str
    datum: str
    surface: Surface | None
    url: str
    posting: float | None
    posting_unit: Literal["arcsec", "m"]
    sensor: SensorModel
    uncertainty: SensorUncertainty | None
    origin: str

    @property
    def label(self) -> str:
        """Name with the posting where it belongs to the name: `SRTM 1"`, `3DEP`."""
        if self.posting is None or any(c.isdigit() for c in self.name):
            return self.name
        return f"{self.name} {self.posting:g}" + ('"' if self.posting_unit == "arcsec" else " m")

    @property
    def posting_m(self) -> float | None:
        """Distance between its cells along a meridian in metres; None for any."""
        if self.posting is None:
            return None
        return self.posting * (ARCSECOND_M if self.posting_unit == "arcsec" else 1.0)

    def stretched(self, size_m: tuple[float, float]) -> float:
        """How many times cells of that size (y, x) in metres are the product's own; 1 where it has no posting.

        A posting in arc seconds is compared along the meridian, one in metres by the area of the cell.
        """
        if self.posting_m is None:
            return 1.0
        own = size_m[0] if self.posting_unit == "arcsec" else math.sqrt(size_m[0] * size_m[1])
        return own / self.posting_m

    def on_cells(self, size_m: tuple[float, float]) -> Product:
        """The product on cells of that size (y, x) in metres.

        Point spread and correlation keep their metres: on a geographic grid they grow in cells towards the poles, as
        columns draw together. Cells of more than 1.15 times the posting are taken as means of its own cells, whose
        noise is smaller; those of less than 0.85 times as interpolated.
        """
        if self.posting_m is None:
            return self
        cell, sensor, times = math.sqrt(size_m[0] * size_m[1]), self.sensor, self.stretched(size_m)
        blur = (sensor.psf_cells * self.posting_m) ** 2
        if times < 1.0 - SAME:  # the mean over its own cell is part of the blur of an interpolated one
            blur += max(self.posting_m**2 - cell**2, 0.0) / 12.0
        factor = math.sqrt(mean_variance(sensor.correlation_cells, (times, times))) if times > 1.0 + SAME else 1.0
        adapted = replace(
            sensor,
            psf_cells=round(math.sqrt(blur) / cell, 3),
            noise_flat_m=round(sensor.noise_flat_m * factor, 3),
            noise_slope_m=round(sensor.noise_slope_m * factor, 3),
            correlation_cells=round(sensor.correlation_cells * self.posting_m / cell, 3),
        )
        return replace(self, sensor=adapted)

    def identity(self) -> dict[str, Any]:
        """What a result made for this product depends on, as plain JSON."""
        return {"key": self.key, "sensor": asdict(self.sensor)}
