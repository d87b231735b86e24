"""The options of a comparison of elevation models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from terrafine.arguments import check_fields
from terrafine.errors import UsageError
from terrafine.evaluation.elevation.drainage import DEFAULT_LIMIT_BYTES, DrainageOptions
from terrafine.evaluation.elevation.terrain import Method
from terrafine.evaluation.hydrology import DEFAULT_STAGES_M

__all__ = ["Options"]

_METHODS = {"horn": "Horn", "zevenbergen-thorne": "Zevenbergen–Thorne"}


@dataclass(frozen=True)
class Options:
    """Options of `elevation.compare.compare`; each may be given to it directly by keyword.

    Parameters
    ----------
    uncertainty : bool
        Evaluate the σ band of a candidate that has one (a band described `elevation_sigma`).
    multipliers : mapping of float to float
        Half width over σ by nominal probability; by default what the tag SIGMA_COVERS states, else Gaussian.
    coregister : bool
        Shift each surface onto the reference before differencing (Nuth & Kääb 2011). The reference is averaged onto
        the moved grid; a candidate is never resampled. Both baselines share one shift.
    slope_method : {"horn", "zevenbergen-thorne"}
        How gradients are computed.
    tolerance_m : float
        Tolerance of the consistency with the coarse input, metres.
    hydrology : bool
        Compare streams, watersheds and floods.
    stream_areas_km2 : sequence of float, optional
        Contributing areas from which a stream runs; by default chosen by the extent.
    stages_m : sequence of float
        Flood heights above the streams, metres.
    hydrology_memory : int
        Bytes; hydrology is left out with a note where it needs more, because it holds whole surfaces.
    block : int
        Cells along a side of what is read at once; the results are the same to float64 rounding.
    bootstrap_side : int, optional
        Cells along a block of the spatial bootstrap; by default a sixteenth of the longer side of the grid.
    draws, seed : int
        Bootstrap samples, and the seed of the random generator.

    Raises
    ------
    UsageError
        If a value is outside its range.
    """

    uncertainty: bool = True
    multipliers: Mapping[float, float] = field(default_factory=dict)
    coregister: bool = True
    slope_method: str = "horn"
    tolerance_m: float = 0.01
    hydrology: bool = True
    stream_areas_km2: Sequence[float] | None = None
    stages_m: Sequence[float] = DEFAULT_STAGES_M
    hydrology_memory: int = DEFAULT_LIMIT_BYTES
    block: int = 768
    bootstrap_side: int | None = None
    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.slope_method not in _METHODS:
            raise UsageError(f"slope method {self.slope_method!r}: expected 'horn' or 'zevenbergen-thorne'")
        if not self.tolerance_m >= 0:
            raise UsageError(f"tolerance of {self.tolerance_m!r} m; expected 0 or more")
        if not all(0 < p < 1 and k > 0 for p, k in self.multipliers.items()):
            raise UsageError(f"multipliers={dict(self.multipliers)!r}; expected for example {{0.9: 1.8}}")
        if self.seed < 0 or (self.bootstrap_side is not None and self.bootstrap_side < 1):
            raise UsageError(
                f"seed {self.seed!r}, bootstrap blocks of {self.bootstrap_side!r} cells; expected a seed of 0 or more, "
                "and at least 1 cell"
            )
        if self.block < 64 or self.draws < 100:
            raise UsageError(f"block {self.block} and draws {self.draws}: expected at least 64 cells and 100 draws")
        if self.hydrology:
            _ = self.drainage  # its values are checked

    @property
    def method(self) -> Method:
        """The slope method, as `terrain` takes it."""
        return cast(Method, self.slope_method)

    @property
    def slope_name(self) -> str:
        """The slope method as results.json names it."""
        return _METHODS[self.slope_method]

    @property
    def drainage(self) -> DrainageOptions | None:
        """Options of the drainage comparison; None where hydrology is left out."""
        if not self.hydrology:
            return None
        areas = tuple(self.stream_areas_km2) if self.stream_areas_km2 else None
        return DrainageOptions(areas, tuple(self.stages_m), self.hydrology_memory)

    def record(self) -> dict[str, Any]:
        """Return the `settings` of results.json; the block size changes no result, so it is not among them."""
        return {
            "coregistration": "Nuth & Kääb 2011" if self.coregister else "none",
            "slope_method": self.slope_name,
            "consistency_tolerance_m": self.tolerance_m,
            "hydrology": "steepest descent (D8)" if self.hydrology else "left out",
            "bootstrap_draws": self.draws,
            "seed": self.seed,
            "sigma_multiples": {str(p): float(k) for p, k in self.multipliers.items()} or "as each file states",
        }
