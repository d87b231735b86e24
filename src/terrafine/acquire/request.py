"""What is fetched: a collection over a grid within dates, merged in one way."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrafine.acquire.omnicloudmask import require_cells
from terrafine.acquire.options import COMPOSITES, FetchOptions
from terrafine.acquire.service import Collection, Service
from terrafine.errors import UsageError
from terrafine.raster.area import AreaOfInterest
from terrafine.version import __version__

__all__ = ["OPTICAL", "RADAR", "Request"]

OPTICAL = ("sentinel-2-l2a", "landsat-l2", "reflectance")
RADAR = ("sentinel-1-rtc", "sentinel-1-grd")


@dataclass(frozen=True)
class Request:
    """One raster to be made of a collection.

    Attributes
    ----------
    service, collection
        Where the scenes are, and what they hold.
    geobox
        The grid to write.
    area
        The ground that is searched.
    bands
        Bands to write, of the collection's.
    dates
        First and last day; None for a DEM.
    composite
        How scenes are merged: a name of `COMPOSITES`; `mean-db` for radar, `mosaic` for a DEM.
    orbit
        Of radar: ascending or descending; empty for all.
    options
        Limits.
    part
        Whether the grid is one part of a region that is fetched part by part: which scenes are clear enough, and which
        of them is the clearest, is then decided for the whole scene and not for this grid.
    records
        Folder for what is decided about scenes, shared by the parts of a region; None for none.
    """

    service: Service
    collection: Collection
    geobox: Any
    area: AreaOfInterest
    bands: tuple[str, ...]
    dates: tuple[dt.date, dt.date] | None
    composite: str
    orbit: str = ""
    options: FetchOptions = field(default_factory=FetchOptions)
    part: bool = False
    records: Path | None = None

    def __post_init__(self) -> None:
        known = COMPOSITES if self.optical else ("mean-db",) if self.radar else ("mosaic",)
        if self.composite not in known:
            raise UsageError(f"composite {self.composite!r}: expected {' or '.join(known)} of {self.collection.kind}")
        if unknown := sorted(set(self.bands) - set(self.collection.assets)):
            raise UsageError(
                f"bands {', '.join(unknown)}: {self.service.key} {self.collection.id} has "
                f"{', '.join(self.collection.assets)}"
            )

        if self.network_mask:
            if not self.optical:
                raise UsageError(f"mask='omnicloudmask' is of reflectance; {self.collection.id} holds other values")
            crs = self.geobox.crs
            metres = 111_320.0 if crs is not None and crs.geographic else 1.0
            require_cells(self.bands, abs(float(self.geobox.resolution.y)) * metres)

    @property
    def network_mask(self) -> bool:
        """Whether clouds are found by OmniCloudMask."""
        return self.options.mask == "omnicloudmask"

    @property
    def optical(self) -> bool:
        """Whether it holds reflectance."""
        return self.collection.kind in OPTICAL

    @property
    def whole_numbers(self) -> bool:
        """Whether the files of the product hold whole numbers."""
        return self.collection.kind in ("sentinel-2-l2a", "landsat-l2")

    @property
    def radar(self) -> bool:
        """Whether it holds backscatter."""
        return self.collection.kind in RADAR

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bands of the output."""
        return self.bands if self.composite == "mosaic" else (*self.bands, "clear_count", "date")

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the bands of the output."""
        own = {"elevation": "m", "vv": "dB", "vh": "dB", "incidence": "degree"}
        found = tuple(own.get(b, "1") for b in self.bands)
        return found if self.composite == "mosaic" else (*found, "1", "d")

    def record(self) -> Mapping[str, Any]:
        """Return everything that determines the output, as plain JSON."""
        options = dataclasses.asdict(self.options)
        for name in ("timeout_s", "attempts", "backoff_s", "connections"):
            options.pop(name)
        collection = dataclasses.asdict(self.collection)
        crs = self.geobox.crs
        return dict(
            json.loads(
                json.dumps(
                    {
                        "service": self.service.url,
                        "collection": collection,
                        "grid": [
                            *map(int, self.geobox.shape),
                            *tuple(self.geobox.affine)[:6],
                            None if crs is None else crs.to_epsg() or crs.to_wkt(),
                        ],
                        "area": self.area.key,
                        "bands": self.bands,
                        "dates": [str(d) for d in self.dates or ()],
                        "composite": self.composite,
                        "orbit": self.orbit,
                        "part": self.part,
                        "options": options,
                        "terrafine": __version__,
                    }
                )
            )
        )

    @property
    def key(self) -> str:
        """SHA-256 of the record: equal for requests with the same output from the same scenes."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()
