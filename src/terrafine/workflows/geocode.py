"""`geocode_radar`: Sentinel-1 GRD products on the grid of a DEM, averaged over dates; `terrafine geocode` calls it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError, EmptyError, UsageError
from terrafine.notebook import table_of
from terrafine.version import __version__
from terrafine.workflows.advice import names_own_arguments
from terrafine.workflows.fields import GeocodeFields, merge_options
from terrafine.workflows.inputs.ellipsoid import lift_of
from terrafine.workflows.outputs.destinations import outputs_for

if TYPE_CHECKING:
    from terrafine.acquire.ground_range import GroundRange
    from terrafine.raster.read.source import Source
    from terrafine.workflows.options import ReadOptions

__all__ = ["Geocoded", "geocode_products", "geocode_radar"]

PathLike = str | os.PathLike[str]
_BLOCK = 256  # rows and columns; a block takes about 100 MB while it is worked on
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Geocoded:
    """Result of `geocode_radar`.

    Attributes
    ----------
    path
        The GeoTIFF.
    orbit
        `ascending` or `descending`.
    dates
        How many products were averaged.
    incidence
        Smallest and largest, degrees.
    empty_share
        Share of the cells without backscatter.
    notes
        What a user should know.
    """

    path: Path
    orbit: str
    dates: int
    incidence: tuple[float, float]
    empty_share: float
    notes: tuple[str, ...]

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        return table_of(self)


@names_own_arguments(GeocodeFields)
def geocode_radar(
    products: PathLike | Sequence[PathLike],
    destination: PathLike,
    *,
    dem: PathLike,
    geoid_m: float | None = None,
    **fields: Unpack[GeocodeFields],
) -> Geocoded:
    """Bring Sentinel-1 GRD products onto the grid of a DEM, and average them over dates: geocoded sigma0.

    The geometry is corrected with the DEM, by sarsen; the brightness of slopes is kept, so the result can guide
    `sharpen_dem`. Bands: sigma0 of each polarisation in dB (the mean of power), `incidence` on the ellipsoid in
    degrees, and `clear_count`, the number of dates. The grid is that of the DEM: resample it to the cells that the
    output should have, 10 m at the finest.

    Parameters
    ----------
    products
        SAFE folders of GRD products, all of ascending or all of descending passes.
    destination
        The GeoTIFF to write.
    dem
        Heights of the ground.
    geoid_m
        Height of the geoid above the ellipsoid there, in metres, for a DEM whose heights are above a geoid. An error of
        10 m moves the image by 10 to 17 m.
    **fields
        `bands`, `nodata`, `elevation_unit`, `vertical_datum`, `assume_crs`, `allow_remote` and `allow_folders` of
        `ReadOptions`, of the DEM; and `creation_options`.

    Returns
    -------
    Geocoded
        The file, what it was made of, and what a user should know.

    Raises
    ------
    UsageError, SourceError, BandError, GridError, EmptyError
        If an argument or an input cannot be used.
    DiskError, OutputError
        If the output cannot be written.
    MissingExtraError
        Without the extra `radar`.
    """
    reading, writing = merge_options(geocode_radar, GeocodeFields, None, None, fields)
    listed = [products] if isinstance(products, (str, os.PathLike)) else list(products)
    return geocode_products(listed, destination, dem=dem, geoid_m=geoid_m, reading=reading, layout=writing.layout)


def geocode_products(
    listed: Sequence[PathLike],
    destination: PathLike,
    *,
    dem: PathLike,
    geoid_m: float | None,
    reading: ReadOptions,
    layout: Mapping[str, Any],
    polarisations: Sequence[str] = (),
) -> Geocoded:
    """Do what `geocode_radar` does, of stated polarisations.

    Parameters
    ----------
    listed, destination, dem, geoid_m
        As in `geocode_radar`.
    reading
        How the DEM is read.
    layout
        Arguments of the writer from creation options.
    polarisations
        Those to write; by default all that every product holds.

    Returns
    -------
    Geocoded
        The file, what it was made of, and what a user should know.

    Raises
    ------
    BandError
        If a product lacks one of them.
    UsageError, SourceError, GridError, EmptyError, DiskError, OutputError, MissingExtraError
        As `geocode_radar`.
    """
    from terrafine.raster.read.source import open_source
    from terrafine.raster.write.cog_writer import check_free_space, write_cog

    if not listed:
        raise UsageError("no product is given; expected the SAFE folder of at least one")
    target, _, _ = outputs_for(dem, destination, inputs=listed)
    opened, shared = _opened([Path(p) for p in listed], polarisations)
    names, tally = (*shared, "incidence", "clear_count"), _Sums()
    with open_source(
        dem,
        bands=reading.bands,
        assume_crs=reading.assume_crs,
        nodata=reading.nodata,
        elevation_unit=reading.elevation_unit,
        vertical_datum=reading.vertical_datum,
    ) as ground:
        lift = lift_of(ground, geoid_m)
        check_free_space(target, ground.shape[0] * ground.shape[1] * 4 * len(names))
        rows = _rows(ground, lift, opened, shared, tally)
        first = next(rows, None)
        write_cog(
            target,
            ground.geobox,
            tally.checked(first, rows, opened),
            band_names=names,
            units=(*("dB" for _ in shared), "degree", "1"),
            tags=_tags(opened, ground, geoid_m),
            **layout,
        )
    return Geocoded(target, opened[0].orbit, len(opened), tally.angles, tally.empty_share, tuple(_notes(opened, tally)))


def _opened(paths: Sequence[Path], wanted: Sequence[str]) -> tuple[list[GroundRange], tuple[str, ...]]:
    """The products, oldest first, and the polarisations that are wanted, or that all of them hold."""
    from terrafine.acquire.ground_range import open_ground_range

    only = (tuple(wanted),) if wanted else ()
    opened = sorted((open_ground_range(p, *only) for p in paths), key=lambda p: (p.day, p.name))
    orbits = {p.orbit: p for p in opened}
    if len(orbits) > 1:
        raise UsageError(
            f"{orbits['ascending'].path} is of an ascending pass and {orbits['descending'].path} of a descending one; "
            "expected one direction, since slopes are bright on the side of the sensor. Run each on its own"
        )
    names = [p.name for p in opened]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise UsageError(f"{twice}: is given twice; it would count as two dates")
    for product in opened:
        if lacking := [name for name in wanted if name not in product.polarisations]:
            held = ", ".join(product.polarisations)
            raise BandError(f"{product.path}: holds {held}; expected {', '.join(lacking)} as well")
    shared = tuple(name for name in ("vv", "vh", "hh", "hv") if all(name in p.polarisations for p in opened))
    shared = tuple(name for name in shared if not wanted or name in wanted)
    if not shared:
        held = "; ".join(f"{p.name}: {', '.join(p.polarisations)}" for p in opened[:_LISTED])
        raise BandError(f"no polarisation is in all products ({held}); expected one, such as vv")
    return opened, shared


class _Sums:
    """What the rows come to."""

    def __init__(self) -> None:
        self.low, self.high, self.empty, self.cells = np.inf, -np.inf, 0, 0

    @property
    def angles(self) -> tuple[float, float]:
        return float(self.low), float(self.high)

    @property
    def empty_share(self) -> float:
        return self.empty / max(1, self.cells)

    def add(self, block: NDArray[np.float32]) -> None:
        seen = block[-1] > 0
        self.cells += seen.size
        self.empty += int(seen.size - seen.sum())
        if seen.any():
            self.low = min(self.low, float(np.nanmin(block[-2][seen])))
            self.high = max(self.high, float(np.nanmax(block[-2][seen])))

    def checked(
        self, first: NDArray[np.float32] | None, rest: Iterator[NDArray[np.float32]], opened: Sequence[GroundRange]
    ) -> Iterator[NDArray[np.float32]]:
        """All rows; raises EmptyError at their end, before the file has its name, if no cell was seen."""
        if first is not None:
            yield first
        yield from rest
        if self.empty == self.cells:
            raise EmptyError(
                f"none of {len(opened)} products shows the ground of the DEM, such as {opened[0].path}; expected some. "
                "Check the footprints"
            )


def _rows(
    ground: Source, lift: float, opened: Sequence[GroundRange], polarisations: tuple[str, ...], tally: _Sums
) -> Iterator[NDArray[np.float32]]:
    """Rows of the output from the top."""
    height, width = ground.shape
    for top in range(0, height, _BLOCK):
        rows = slice(top, min(height, top + _BLOCK))
        whole = np.empty((len(polarisations) + 2, rows.stop - top, width), np.float32)
        for left in range(0, width, _BLOCK):
            cols = slice(left, min(width, left + _BLOCK))
            whole[:, :, cols] = _block(ground, lift, opened, polarisations, rows, cols)
        tally.add(whole)
        yield whole


def _block(
    ground: Source,
    lift: float,
    opened: Sequence[GroundRange],
    polarisations: tuple[str, ...],
    rows: slice,
    cols: slice,
) -> NDArray[np.float32]:
    """Mean power in dB, mean incidence and number of dates of one block."""
    from terrafine.raster.geocentric import geocentric

    heights, valid = ground.read("elevation", rows, cols)
    places = geocentric(ground.geobox[rows, cols], np.where(valid, heights.astype(np.float64) + lift, 0.0))
    places[:, ~valid] = np.nan
    power, angle = np.zeros((len(polarisations), *valid.shape)), np.zeros(valid.shape)
    count = np.zeros(valid.shape)
    for product in opened:
        seen, theta = product.observe(places, polarisations)
        known = np.isfinite(seen).all(axis=0) & np.isfinite(theta)
        power += np.where(known, seen, 0.0)
        angle += np.where(known, theta, 0.0)
        count += known
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.concatenate([10 * np.log10(power / count), (angle / count)[None], count[None]])
    out[:-1, count == 0] = np.nan
    return out.astype(np.float32)


def _tags(opened: Sequence[GroundRange], ground: Source, geoid_m: float | None) -> dict[str, str]:
    more = ", ..." if len(opened) > _LISTED else ""
    return {
        "VERSION": __version__,
        "SOURCE_KIND": "sentinel-1-grd",
        "COMPOSITE": "mean-db",
        "CALIBRATION": "sigma0, geometry corrected with the DEM (sarsen), brightness of slopes kept",
        "ORBIT": opened[0].orbit,
        "RELATIVE_ORBITS": ", ".join(str(n) for n in sorted({p.relative_orbit for p in opened})),
        "ITEMS": str(len(opened)),
        "ITEM_IDS": ", ".join(p.name for p in opened[:_LISTED]) + more,
        "DATES": f"{opened[0].day}/{opened[-1].day}",
        "DEM": ", ".join(Path(p).name for p in ground.paths[:_LISTED]),
        "GEOID_M": f"{geoid_m or 0.0:g}",
        "ATTRIBUTION": "Contains modified Copernicus Sentinel data",
    }


def _notes(opened: Sequence[GroundRange], tally: _Sums) -> Iterator[str]:
    tracks = sorted({p.relative_orbit for p in opened})
    if len(tracks) > 1:
        yield (
            f"tracks {', '.join(map(str, tracks))} see the ground under different angles; their mean blurs the "
            "brightness of slopes. For a guide of a DEM take one track"
        )
    if tally.empty:
        yield f"{100 * tally.empty_share:.2g} % of the cells have no backscatter and hold nodata"
