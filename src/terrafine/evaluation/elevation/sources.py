"""Open elevation models for a comparison: each as it states itself, else as the caller states."""

from __future__ import annotations

from dataclasses import dataclass

from terrafine.evaluation.inputs import PathLike
from terrafine.raster.read.content_type import described_bands, states_height_unit
from terrafine.raster.read.source import Source, open_source

__all__ = ["Reading", "holds_relief", "open_surface"]


@dataclass(frozen=True)
class Reading:
    """What the caller states for files that do not state it themselves."""

    assume_crs: str | None = None
    elevation_unit: str | None = None
    vertical_datum: str | None = None


def holds_relief(path: PathLike) -> bool:
    """Whether a file holds `relief`, heights above an unstated level, as `estimate_height` writes without an anchor."""
    names = described_bands(path)
    return "relief" in names and "elevation" not in names


def open_surface(path: PathLike, reading: Reading, *, sigma: bool = False) -> Source:
    """Open an elevation model as the band `elevation`, or a relief as if it were one.

    Parameters
    ----------
    path : path
        The file.
    reading : Reading
        CRS, unit and datum where the file states none. A unit that the file states is kept, because the candidates
        and the reference of one comparison may be in different units.
    sigma : bool
        Open the band of standard errors as `elevation_sigma` too, where the file describes one.

    Raises
    ------
    SourceError, BandError, GridError, DatumError
        As `open_source`; GridError for heights of unstated unit under a CRS that is not in metres.
    """
    names = described_bands(path)
    heights = "relief" if holds_relief(path) else "elevation"
    want = ["elevation"]
    if sigma and {heights, f"{heights}_sigma"} <= set(names):
        want.append("elevation_sigma")
    numbers = None
    if heights == "relief":
        numbers = {name: names.index(name.replace("elevation", "relief")) + 1 for name in want}
    unit = None if states_height_unit(path, heights) else reading.elevation_unit
    return open_source(
        path,
        bands=numbers,
        want=want,
        assume_crs=reading.assume_crs,
        elevation_unit=unit,
        vertical_datum=reading.vertical_datum,
    )
