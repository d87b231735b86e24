"""Open elevation models for a comparison: each as it states itself, else as the caller states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from terrafine.errors import UsageError
from terrafine.evaluation.inputs import PathLike
from terrafine.raster.protocol import closed_on_error
from terrafine.raster.read.content_type import stated_unit_m, unnamed_bands
from terrafine.raster.read.opened import open_raster, read_header
from terrafine.raster.read.source import Source, open_source
from terrafine.raster.units import unit_factor

__all__ = ["Reading", "holds_relief", "open_surface", "unit_notes"]


@dataclass(frozen=True)
class Reading:
    """What the caller states about files that do not state it themselves.

    Attributes
    ----------
    assume_crs, elevation_unit, vertical_datum
        CRS, unit of heights and vertical datum.
    bands
        Band numbers by name.
    """

    assume_crs: str | None = None
    elevation_unit: str | None = None
    vertical_datum: str | None = None
    bands: Mapping[str, int] | None = None


def holds_relief(path: PathLike) -> bool:
    """Return whether a file holds `relief`, as `estimate_height` writes without an anchor.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    bool
        True if a band is described `relief` and none `elevation`.
    """
    names = read_header(path).descriptions
    return "relief" in names and "elevation" not in names


def unit_notes(paths: Iterable[PathLike], reading: Reading) -> list[str]:
    """Return sentences on files whose own unit was kept although the caller stated another.

    Parameters
    ----------
    paths
        The files.
    reading
        What the caller states.

    Returns
    -------
    list of str
        The sentences.

    Raises
    ------
    UsageError
        If every file states a unit, so that the stated one applies to none of them.
    GridError
        If the stated unit is unknown.
    """
    if reading.elevation_unit is None:
        return []
    given = unit_factor(reading.elevation_unit, "elevation_unit")
    stated = {path: stated_unit_m(path, "relief" if holds_relief(path) else "elevation") for path in paths}
    others = {path: own for path, own in stated.items() if own is not None and abs(own - given) > 1e-9}
    if others and None not in stated.values():
        raise UsageError(
            f"elevation_unit={reading.elevation_unit!r} is for files that do not state their unit, and "
            f"{_listed(others)}; leave it out, or put the unit in the file right with `gdal_edit -units UNIT FILE`"
        )
    return [f"{_listed(others)}: kept, and elevation_unit serves the other files."] if others else []


def _listed(units: Mapping[PathLike, float]) -> str:
    return ", ".join(f"{Path(path).name} states units of {metres:.9g} m" for path, metres in units.items())


def open_surface(path: PathLike, reading: Reading, *, sigma: bool = False) -> Source:
    """Open an elevation model as the band `elevation`, or a relief as if it were one.

    Parameters
    ----------
    path
        The file.
    reading
        CRS, unit, datum and bands where the file states none. A known unit that the file states is kept, because the
        candidates and the reference of one comparison may have different units.
    sigma
        Whether to open the band of standard errors as `elevation_sigma` too, if the file has one.

    Returns
    -------
    Source
        The open file.

    Raises
    ------
    SourceError, BandError, GridError, DatumError
        As `open_source`; GridError for heights of unstated unit under a CRS that is not in metres.
    """
    raster = open_raster(path)
    with closed_on_error(raster):
        names = raster.header.descriptions
        heights = "relief" if holds_relief(raster) else "elevation"
        want = ["elevation"]
        if sigma and {heights, f"{heights}_sigma"} <= set(names):
            want.append("elevation_sigma")
        numbers: dict[str, int] | None = None
        if heights == "relief":
            numbers = {name: names.index(name.replace("elevation", "relief")) + 1 for name in want}
        elif stated := unnamed_bands(raster, reading.bands):
            numbers = stated
            want += [name for name in ("elevation_sigma",) if sigma and name in stated]
        unit = reading.elevation_unit if stated_unit_m(raster, heights) is None else None
        return open_source(
            raster,
            bands=numbers,
            want=want,
            assume_crs=reading.assume_crs,
            elevation_unit=unit,
            vertical_datum=reading.vertical_datum,
        )
