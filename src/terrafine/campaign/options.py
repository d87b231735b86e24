"""Options of the verbs that a campaign runs, with the cells that each reads and writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from terrafine.schema.types import Matches, Share, Within

__all__ = ["CELL_M", "HALO_CELLS", "OPTIONS", "DemOptions", "FileName", "HeightOptions", "ImageOptions", "MapOptions"]

FileName = Annotated[str, Matches(r"[^\x00-\x1f\x7f-\x9f]{1,1000}", "a path of one line")]


@dataclass(frozen=True, slots=True)
class MapOptions:
    """Options of `terrafine map`."""

    threshold: Annotated[float, Within(0, 1, above=True, below=True)] | None = None
    probability: bool = False
    sigma: bool = False
    max_bright: Share | None = None

    @property
    def bytes_per_cell(self) -> int:
        """Uncompressed bytes of an output cell: the class, and the probability and its σ where requested."""
        return 1 + 2 * self.sigma + self.probability


@dataclass(frozen=True, slots=True)
class DemOptions:
    """Options of `terrafine dem`."""

    scale: Literal[2, 3, 4] | None = None
    consistency: Literal["hard", "soft", "product", "none"] | None = None
    tolerance_m: Annotated[float, Within(0, 1000)] = 1.0
    uncertainty: bool = False
    self_ensemble: bool = False
    orbit: Literal["ascending", "descending"] | None = None
    heading: Annotated[float, Within(-360, 360)] | None = None
    incidence: Annotated[float, Within(0, 90)] | FileName | None = None
    guide_unit: Literal["dB", "linear"] = "dB"

    @property
    def bytes_per_cell(self) -> int:
        """Uncompressed bytes of an output cell: float32 heights, and as many of their uncertainty."""
        return 4 * (1 + self.uncertainty)


@dataclass(frozen=True, slots=True)
class HeightOptions:
    """Options of `terrafine height`."""

    anchor: FileName | None = None
    uncertainty: bool = False
    max_bright: Share | None = None

    @property
    def bytes_per_cell(self) -> int:
        """Uncompressed bytes of an output cell: float32 heights, and as many of their uncertainty."""
        return 4 * (1 + self.uncertainty)


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """Options of `terrafine image`."""

    scale: Literal[4, 10] = 10
    max_bright: Share | None = None

    @property
    def bytes_per_cell(self) -> int:
        """Uncompressed bytes of an output cell: 16 bits of each of three bands."""
        return 2 * 3


OPTIONS: Mapping[str, Any] = {
    "map": MapOptions,
    "dem": DemOptions,
    "height": HeightOptions,
    "image": ImageOptions,
}
CELL_M = {"map": 10.0, "image": 10.0, "height": 30.0, "dem": 30.0}
HALO_CELLS = {"map": 64, "image": 64, "height": 160, "dem": 40}  # cells, no fewer than shipped models look around each
