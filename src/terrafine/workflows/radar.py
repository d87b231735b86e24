"""`map_radar`: map layover, shadow and simulated backscatter of an elevation model; `terrafine radar` calls it."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError, EmptyError, UsageError
from terrafine.notebook import table_of
from terrafine.version import __version__
from terrafine.workflows.advice import advice_for, names_own_arguments
from terrafine.workflows.fields import RadarFields, merge_options
from terrafine.workflows.inputs.look_direction import check_latitude, sensor_azimuth
from terrafine.workflows.options import ReadOptions

if TYPE_CHECKING:
    from terrafine.physics.backscatter import Backscatter
    from terrafine.raster.read.aligned import AlignedSource
    from terrafine.raster.read.source import Source

__all__ = ["BANDS", "INCIDENCES", "RadarReport", "map_radar"]

PathLike = str | os.PathLike[str]

BANDS = {"local_incidence": "degree", "layover": "1", "shadow": "1", "backscatter": "dB"}
INCIDENCES = (10.0, 60.0)
"""Plausible incidence angles of a spaceborne radar on the ellipsoid, degrees."""

_TILE = (256, 1024)
_MOST_HALO = 1024  # cells; shadow of higher ground farther away is not followed


@dataclass(frozen=True, slots=True)
class RadarReport:
    """Result of `map_radar`.

    Attributes
    ----------
    sensor_azimuth
        Direction to the sensor, degrees clockwise from north.
    incidence
        Smallest and largest incidence on the ellipsoid, degrees.
    layover_share, shadow_share
        Shares of the valid cells.
    reach_m
        Distance to which shadow and layover were followed.
    notes
        Remarks about the input.
    """

    sensor_azimuth: float
    incidence: tuple[float, float]
    layover_share: float
    shadow_share: float
    reach_m: float
    notes: tuple[str, ...]

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        return table_of(self)


@dataclass(frozen=True, slots=True)
class _View:
    """Viewing geometry on the grid: azimuth from the grid's north, angles, halo in cells (y, x)."""

    azimuth: float
    incidence: AlignedSource | float
    parameters: Backscatter
    halo: tuple[int, int]


@names_own_arguments(RadarFields)
def map_radar(
    source: PathLike | Sequence[PathLike],
    destination: PathLike,
    *,
    orbit: str,
    heading: float | None = None,
    incidence: PathLike | float | None = None,
    latitude: float | None = None,
    parameters: Backscatter | None = None,
    read: ReadOptions | None = None,
    **fields: Unpack[RadarFields],
) -> RadarReport:
    """Map layover, shadow and simulated backscatter of a DEM as Sentinel-1, which looks right, would observe it.

    Bands on the DEM's own grid: `local_incidence`, degrees between the surface normal and the direction to the sensor;
    `layover` and `shadow`, 1 or 0, both active and passive; `backscatter`, dB of uniform ground, without speckle. A
    cell that is nodata, beside nodata or without incidence is nodata. The DEM is read in tiles with a halo as wide as
    the relief can cast shadow (at most 1024 cells), so memory does not grow with the raster.

    Parameters
    ----------
    source
        A DEM, or several files that are read as one mosaic.
    destination
        The GeoTIFF to write.
    orbit
        Direction of the pass: `ascending` or `descending`.
    heading
        Heading of the track, degrees clockwise from north; by default from the orbit at the latitude of the centre.
    incidence
        Incidence on the ellipsoid in degrees: a number, or a file with a band `incidence`; by default mid-swath.
    latitude
        Degrees, for files without CRS.
    parameters
        Parameters of the backscatter model; the tags state them.
    read
        How the DEM is read.
    **fields
        `bands`, `nodata`, `elevation_unit`, `assume_crs` and `pixel_size_m` of `ReadOptions`.

    Returns
    -------
    RadarReport
        Directions, angles and shares of layover and shadow.

    Raises
    ------
    UsageError, SourceError, BandError, GridError, EmptyError
        If an argument or an input cannot be used.
    DiskError, OutputError
        If the output cannot be written.
    """
    reading, writing = merge_options(map_radar, RadarFields, read, None, fields)
    from terrafine.physics.backscatter import Backscatter
    from terrafine.physics.radar import MID_SWATH, ORBITS
    from terrafine.raster.read.source import open_source
    from terrafine.raster.write.cog_writer import check_free_space, write_cog
    from terrafine.workflows.outputs.destinations import listed, outputs_for

    if isinstance(reading.pixel_size_m, np.ndarray):
        raise UsageError("pixel_size_m by row is for numpy heights; for a file without CRS give one number, or (y, x)")
    if orbit not in ORBITS:
        raise UsageError(f"no orbit is called {orbit!r}; expected 'ascending' or 'descending'")
    if isinstance(incidence, (int, float)):
        _check_incidence(incidence)
    check_latitude(latitude)
    params, notes = parameters or Backscatter(), []
    guides = [os.fspath(incidence)] if isinstance(incidence, (str, os.PathLike)) else []
    target, _, _ = outputs_for(source, destination, inputs=guides)
    origin = Path(guides[0]).name if guides else "stated"
    if incidence is None:
        incidence, origin = MID_SWATH, "mid-swath, not given"
        notes.append(f"no incidence was given: mid-swath, {MID_SWATH:g} degrees, is assumed for every cell")
    with contextlib.ExitStack() as files:
        dem = files.enter_context(
            open_source(
                listed(source),
                bands=reading.bands,
                assume_crs=reading.assume_crs,
                nodata=reading.nodata,
                elevation_unit=reading.elevation_unit,
                pixel_size_m=reading.pixel_size_m,
            )
        )
        angle = _incidence(incidence, dem)
        if not isinstance(angle, float):
            files.enter_context(angle)
        low, high, relief = _survey(dem, angle)
        towards, turned = sensor_azimuth(dem, orbit, heading, latitude, (low + high) / 2)
        halo, reach = _halo(dem, towards + turned, relief, (low, high))
        if reach < _reach(relief, low, high):
            notes.append(f"shadow and layover are followed for {reach:.0f} m, {_MOST_HALO} cells, and no farther")
        tags = _tags(dem, orbit, heading, towards, towards + turned, (low, high), params, reach, origin)
        check_free_space(target, dem.shape[0] * dem.shape[1] * 4 * len(BANDS))
        tally = np.zeros(3)
        view = _View(towards + turned, angle, params, halo)
        write_cog(
            target,
            dem.geobox,
            _rows(dem, view, tally),
            band_names=tuple(BANDS),
            units=tuple(BANDS.values()),
            tags=tags,
            area_or_point=dem.area_or_point,
            **writing.layout,
        )
    cells = max(tally[0], 1.0)
    return RadarReport(towards, (low, high), tally[1] / cells, tally[2] / cells, reach, tuple(notes))


def _incidence(given: PathLike | float, dem: Source) -> AlignedSource | float:
    from terrafine.raster.read.aligned import align_to
    from terrafine.raster.read.source import open_source

    if isinstance(given, (str, os.PathLike)):
        with advice_for(()):
            return align_to(open_source(given, want=("incidence",)), dem.geobox)
    return float(given)


def _check_incidence(given: float) -> None:
    if not INCIDENCES[0] <= given <= INCIDENCES[1]:
        raise UsageError(
            f"incidence {given:g} degrees; expected {INCIDENCES[0]:g} to {INCIDENCES[1]:g}, on the ellipsoid"
        )


def _survey(dem: Source, angle: AlignedSource | float) -> tuple[float, float, float]:
    """Return the smallest and largest incidence, and the relief in metres, from one pass over the files."""
    low, high = (math.inf, -math.inf) if not isinstance(angle, float) else (angle, angle)
    bottom, top = math.inf, -math.inf
    for rows, cols in _tiles(dem.shape):
        z, valid = dem.read("elevation", rows, cols)
        if valid.any():
            bottom, top = min(bottom, float(z[valid].min())), max(top, float(z[valid].max()))
        if not isinstance(angle, float):
            theta, known = angle.read("incidence", rows, cols)
            if known.any():
                low, high = min(low, float(theta[known].min())), max(high, float(theta[known].max()))
    if bottom > top:
        dem.require_valid("elevation")
    if not isinstance(angle, float):
        if low > high:
            raise EmptyError(f"{angle.paths[0]}: no incidence within the DEM's extent; expected some, or give a number")
        if low < INCIDENCES[0] or high > INCIDENCES[1]:
            raise BandError(
                f"{angle.paths[0]}: incidence from {low:g} to {high:g} degrees; expected {INCIDENCES[0]:g} to "
                f"{INCIDENCES[1]:g}: the angle on the ellipsoid, not the local one, in degrees, not radians"
            )
    return low, high, top - bottom


def _reach(relief: float, low: float, high: float) -> float:
    from terrafine.physics.shadow import reach_m

    return max(reach_m(relief, high)[0], reach_m(relief, low)[1])


def _halo(dem: Source, azimuth: float, relief: float, angles: tuple[float, float]) -> tuple[tuple[int, int], float]:
    """Return the cells along y and x that a ray may cross, and its length in metres."""
    size = dem.pixel_size_m(slice(0, dem.shape[0])).min(axis=1)
    cells = np.abs([math.cos(math.radians(azimuth)), math.sin(math.radians(azimuth))]) / size  # per metre, y and x
    reach = min(_reach(relief, *angles), _MOST_HALO / float(cells.max()))
    y, x = np.ceil(reach * cells).astype(int) + 2
    return (int(y), int(x)), reach


def _tiles(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    for top in range(0, shape[0], _TILE[0]):
        for left in range(0, shape[1], _TILE[1]):
            yield slice(top, min(top + _TILE[0], shape[0])), slice(left, min(left + _TILE[1], shape[1]))


def _rows(dem: Source, view: _View, tally: NDArray[np.float64]) -> Iterator[NDArray[np.float32]]:
    """Rows of the output from the top; counts valid cells, layover and shadow into `tally`."""
    for rows, cols in _tiles(dem.shape):
        if cols.start == 0:
            block = np.empty((len(BANDS), rows.stop - rows.start, dem.shape[1]), np.float32)
        block[:, :, cols] = _tile(dem, view, rows, cols)
        if cols.stop == dem.shape[1]:
            known = np.isfinite(block[0])
            tally += known.sum(), np.nansum(block[1]), np.nansum(block[2])
            yield block


def _tile(dem: Source, view: _View, rows: slice, cols: slice) -> NDArray[np.float32]:
    """Return the four bands of one window, NaN at nodata; read with the halo, cropped at the raster's edge."""
    import torch

    from terrafine.physics.backscatter import backscatter_db
    from terrafine.physics.radar import cos_local_incidence
    from terrafine.physics.shadow import radar_masks

    wide = [
        slice(max(0, part.start - halo), min(size, part.stop + halo))
        for part, halo, size in zip((rows, cols), view.halo, dem.shape, strict=True)
    ]
    heights, valid = dem.read("elevation", *wide)
    z, size = np.where(valid, heights, np.nan).astype(np.float64), dem.pixel_size_m(wide[0])
    theta: Any = view.incidence
    if not isinstance(theta, float):
        values, known = view.incidence.read("incidence", *wide)  # type: ignore[union-attr]
        valid &= known
        theta = np.where(known, values, np.float32(45.0)).astype(np.float64)  # 45: neither mask's reach grows
    inner = tuple(slice(part.start - w.start, part.stop - w.start) for part, w in zip((rows, cols), wide, strict=True))
    cosine = cos_local_incidence(torch.from_numpy(z), torch.from_numpy(size), torch.as_tensor(theta), view.azimuth)
    modelled = backscatter_db(cosine, torch.as_tensor(theta), view.parameters)
    hidden = radar_masks(z, size, theta, view.azimuth)
    angle = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
    out = np.stack([a[inner] for a in (angle.numpy(), hidden.layover, hidden.shadow, modelled.numpy())])
    missing = ~valid[inner] | np.isnan(out[0])
    return np.where(missing, np.nan, out).astype(np.float32)


def _tags(
    dem: Source,
    orbit: str,
    heading: float | None,
    azimuth: float,
    grid_azimuth: float,
    angles: tuple[float, float],
    params: Backscatter,
    reach: float,
    incidence_source: str,
) -> dict[str, str]:
    return {
        "VERSION": __version__,
        "SOURCE": ", ".join(Path(p).name for p in dem.paths[:20]),
        "ORBIT": orbit,
        "HEADING": "from the orbit" if heading is None else f"{heading:g}",
        "SENSOR_AZIMUTH_DEG": f"{azimuth:.3f}",
        "SENSOR_AZIMUTH_GRID_DEG": f"{grid_azimuth % 360:.3f}",
        "INCIDENCE_DEG": f"{angles[0]:g}" if angles[0] == angles[1] else f"{angles[0]:g} to {angles[1]:g}",
        "INCIDENCE_SOURCE": incidence_source,
        "BACKSCATTER_MODEL": "simulated: level + exponent*10lg(cos LIA/cos inc) + area*10lg(sin inc/sin LIA)",
        "BACKSCATTER_LEVEL_DB": f"{params.level_db:g}",
        "BACKSCATTER_EXPONENT": f"{params.exponent:g}",
        "BACKSCATTER_AREA": f"{params.area:g}",
        "SHADOW_REACH_M": f"{reach:.0f}",
    }
