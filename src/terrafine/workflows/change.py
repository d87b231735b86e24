"""`measure_change`: two elevation models of one ground into their difference. `terrafine change` calls it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from terrafine.errors import EmptyError, ResourceError, UsageError
from terrafine.workflows.advice import names_own_arguments
from terrafine.workflows.fields import MeasureFields, merge_options
from terrafine.workflows.options import ReadOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.evaluation.elevation.change import Volume

__all__ = ["ChangeReport", "measure_change"]

PathLike = str | os.PathLike[str]
_MOST_CELLS = 60_000_000  # held as float64 several times: about 4 GB
_REJECT = 4.0  # NMAD from the median beyond which ground is not stable
_WHOLE = "all"


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """Result of `measure_change`.

    Attributes
    ----------
    path
        The GeoTIFF of the change.
    shift_m
        How far the later model was moved: metres to the east, north and up; None where no shift was identifiable.
    stable_nmad_m
        Spread of the change on stable ground.
    correlation_m
        Distances at which the correlation of errors ends.
    zones
        Name -> volume.
    notes
        What limits the result.
    """

    path: Path
    shift_m: tuple[float, float, float] | None
    stable_nmad_m: float
    correlation_m: tuple[float, float]
    zones: Mapping[str, Volume]
    notes: tuple[str, ...]


@names_own_arguments(MeasureFields)
def measure_change(
    before: PathLike,
    after: PathLike,
    destination: PathLike,
    *,
    zones: PathLike | None = None,
    zone_field: str | None = None,
    stable: PathLike | None = None,
    coregister: bool = True,
    seed: int = 0,
    read: ReadOptions | None = None,
    **fields: Unpack[MeasureFields],
) -> ChangeReport:
    """Measure the change of elevation between two epochs, with its standard error, and volumes by zone.

    The finer model is averaged over the cells of the coarser. The later one is moved onto the earlier by one shift
    (Nuth & Kääb) and by one level, both found on stable ground. The standard error of each cell comes from bands
    `elevation_sigma` where both models have one, else from the spread on stable ground by slope; it is scaled to that
    spread in either case. Volumes take into account that errors are correlated over distance.

    Parameters
    ----------
    before, after
        Elevation models of the earlier and the later epoch.
    destination
        The GeoTIFF to write: bands `elevation_change`, after minus before, and `elevation_change_sigma`, in metres.
        Beside it NAME.json and NAME_zones.csv.
    zones
        Polygons that volumes are summed by, such as glaciers or pits; outside them ground counts as stable.
    zone_field
        Field that names them; by default all are one zone.
    stable
        Polygons of stable ground; by default all that is outside the zones, without what differs by more than 4 NMAD.
    coregister
        Whether the later model is moved; otherwise only its level is taken off.
    seed
        Of the random pairs of cells.
    read
        How the files are read.
    **fields
        `assume_crs`, `elevation_unit` and `vertical_datum` of `ReadOptions`, for files that do not state them.

    Returns
    -------
    ChangeReport
        The shift, the spread on stable ground, and the volume of each zone.

    Raises
    ------
    UsageError, SourceError, BandError, GridError, DatumError, EmptyError
        For arguments or files that cannot serve: no overlap, other datums, no stable ground.
    ResourceError
        For more cells than are held in memory.
    OutputError, DiskError
        For an output that cannot be written.
    MissingExtraError
        Where `coregister` needs the extra `evaluate`.

    Examples
    --------
    >>> terrafine.measure_change("2000.tif", "2015.tif", "change.tif", zones="glaciers.geojson")  # doctest: +SKIP
    """
    import numpy as np

    from terrafine.evaluation.elevation.sources import Reading, open_surface
    from terrafine.raster.vertical import same_or_raise
    from terrafine.workflows.destinations import check_names, outputs_for

    reading, _ = merge_options(measure_change, MeasureFields, read, None, fields)
    if seed < 0:
        raise UsageError(f"the seed is {seed}; expected 0 or more")
    if zone_field is not None and zones is None:
        raise UsageError("zone_field is a field of zones, which are not given")
    target = Path(destination)
    beside = (target.with_suffix(".json"), target.with_name(f"{target.stem}_zones.csv"))
    check_names(target, None)
    out, _, sidecars = outputs_for([before, after], target, sidecars=beside, inputs=(zones, stable))
    stated = Reading(reading.assume_crs, reading.elevation_unit, reading.vertical_datum)
    notes: list[str] = []
    with contextlib.ExitStack() as opened:
        first, second = (opened.enter_context(open_surface(p, stated, sigma=True)) for p in (before, after))
        same_or_raise(first.vertical, second.vertical, os.fspath(before), os.fspath(after))
        for source in (first, second):
            source.require_valid()
        pair = _Pair(first, second)
        named = _zones(zones, zone_field)
        inside = {name: pair.burn(area) for name, area in named.items()}
        anywhere = np.logical_or.reduce(list(inside.values())) if inside else np.zeros(pair.shape, bool)
        ground = ~anywhere if stable is None else pair.burn(_zones(stable, None)[_WHOLE])
        shift = pair.register(ground, seed) if coregister else None
        if not inside and stable is None:
            notes.append("no zones and no stable ground were given: change is stated against the median of all ground")
        if coregister and shift is None:
            notes.append("no shift could be estimated; only the level of the later model was taken off")
        hidden = anywhere if stable is None else np.zeros(pair.shape, bool)
        errors = _Errors(pair, _settled(pair.change(), ground, hidden, os.fspath(before)), seed)
        found = {}
        for name, cells in (inside or {_WHOLE: np.isfinite(errors.dz)}).items():
            volume = errors.volume(cells)
            if volume is None:
                notes.append(f"zone {name}: no cell holds a height in both epochs; it has no volume")
            else:
                found[name] = volume
        if not found:
            raise EmptyError(f"{zones}: no zone holds a height in both epochs; expected zones on common ground")
        moved = None if shift is None else (shift.east, shift.north, -errors.level)
        report = ChangeReport(target, moved, errors.nmad, errors.correlation.ranges_m, found, tuple(notes))
        _write(out, sidecars, pair, errors, _tags(before, after, report, coregister), report)
    return report


class _Errors:
    """The change with its level taken off, and its errors, from stable ground."""

    def __init__(self, pair: _Pair, ground: NDArray[np.bool_], seed: int) -> None:
        import numpy as np

        from terrafine.evaluation.elevation import change as numerics

        dz, slope = pair.change(), pair.slope()
        self.level = float(np.median(dz[ground]))
        self.dz = dz - self.level
        self.nmad = numerics.nmad(self.dz[ground])
        sigma = pair.sigma()
        if sigma is None:
            sigma = numerics.fit_spread(self.dz, slope, ground).at(slope)
        known = ground & np.isfinite(sigma)
        ratio = numerics.nmad(self.dz[known] / sigma[known])
        self.sigma = np.where(np.isfinite(self.dz), sigma * max(ratio, 1e-6), np.nan)
        self.correlation = numerics.fit_correlation(self.dz / self.sigma, known, pair.pixel_m, seed)
        rows, cols = np.nonzero(known)
        area = pair.cell_m2[rows]
        variance = numerics.mean_covariance(rows, cols, area, self.sigma[known], pair.pixel_m, self.correlation, seed)
        self._bias, self._pair, self._seed = variance**0.5, pair, seed

    def volume(self, cells: NDArray[np.bool_]) -> Volume | None:
        """Volume of a zone; None where no cell of it is known."""
        from terrafine.evaluation.elevation.change import volume_of

        pair = self._pair
        return volume_of(
            self.dz, self.sigma, cells, pair.cell_m2, pair.pixel_m, self.correlation, self._bias, self._seed
        )


class _Pair:
    """Two models on the coarser one's grid."""

    def __init__(self, first: Any, second: Any) -> None:
        import numpy as np

        from terrafine.evaluation.surfaces import aligned, pixel_size

        own, other = pixel_size(first), pixel_size(second)
        self.geobox = first.geobox if own[0] * own[1] >= other[0] * other[1] else second.geobox
        self.shape = (int(self.geobox.shape[0]), int(self.geobox.shape[1]))
        if self.shape[0] * self.shape[1] > _MOST_CELLS:
            raise ResourceError(
                f"{first.paths[0]}: {self.shape[0]:,} × {self.shape[1]:,} cells to compare; expected at most "
                f"{_MOST_CELLS:,}. Cut both models to the area of interest: gdalwarp -te"
            )
        self.sources = first, second
        there = aligned(first, self.geobox)
        self.before = _read(there, "elevation")
        self.pixel_m = pixel_size(there)
        size = there.pixel_size_m(slice(0, self.shape[0]))
        self.cell_m2 = np.asarray(size[0] * size[1])
        self.grid = self.geobox
        self.after = _read(aligned(second, self.geobox), "elevation")

    def register(self, ground: NDArray[np.bool_], seed: int) -> Any:
        """Move the later model; the shift, or None where none is identifiable or it makes the spread no smaller."""
        import numpy as np

        from terrafine.evaluation.elevation.change import nmad
        from terrafine.evaluation.elevation.coregistration import estimate_shift
        from terrafine.evaluation.surfaces import aligned, moved

        held = np.where(ground, self.before, np.nan)
        shift = estimate_shift(held, np.where(ground, self.after, np.nan), self.pixel_m, seed=seed)
        if shift is None:
            return None
        rows, cols = shift.cells(self.pixel_m)
        grid = moved(self.geobox, -rows, -cols)
        after = _read(aligned(self.sources[1], grid), "elevation")
        was, now = self.after - self.before, after - self.before
        both = ground & np.isfinite(was) & np.isfinite(now)
        if not both.any() or nmad(now[both]) > nmad(was[both]):
            return None
        self.after, self.grid = after, grid
        return shift

    def change(self) -> NDArray[np.float64]:
        return self.after - self.before

    def slope(self) -> NDArray[np.float64]:
        """Slope of the earlier model in degrees."""
        import numpy as np

        with np.errstate(invalid="ignore"):
            down, across = np.gradient(self.before, *self.pixel_m)
            return np.asarray(np.degrees(np.arctan(np.hypot(down, across))))

    def sigma(self) -> NDArray[np.float64] | None:
        """Standard error of the difference where both models have one."""
        import numpy as np

        from terrafine.evaluation.surfaces import aligned

        if not all("elevation_sigma" in source.bands for source in self.sources):
            return None
        one = _read(aligned(self.sources[0], self.geobox), "elevation_sigma")
        two = _read(aligned(self.sources[1], self.grid), "elevation_sigma")
        total = np.hypot(one, two)
        return np.where(total > 0, total, np.nan)

    def burn(self, area: Any) -> NDArray[np.bool_]:
        from terrafine.raster.read.class_stack import inside

        return inside(area, self.geobox)


def _read(source: Any, band: str) -> NDArray[np.float64]:
    from terrafine.evaluation.surfaces import window

    return window(source, slice(0, source.shape[0]), slice(0, source.shape[1]), band)


def _zones(path: PathLike | None, field: str | None) -> dict[str, Any]:
    from terrafine.raster.read.region import read_named_areas

    if path is None:
        return {}
    return {name or _WHOLE: area for name, area in read_named_areas(path, field)}


def _settled(
    dz: NDArray[np.float64], ground: NDArray[np.bool_], zones: NDArray[np.bool_], path: str
) -> NDArray[np.bool_]:
    """Stable ground without what plainly changed."""
    import numpy as np

    from terrafine.evaluation.elevation.change import nmad

    known = ground & np.isfinite(dz)
    if known.sum() < 200:
        raise EmptyError(
            f"{path}: {int(known.sum())} cells of stable ground hold a height in both epochs; expected 200 or more "
            "outside the zones"
        )
    middle, spread = float(np.median(dz[known])), nmad(dz[known])
    kept = known & (np.abs(dz - middle) <= _REJECT * max(spread, 1e-6)) & ~zones
    return np.asarray(kept if kept.sum() >= 200 else known)


def _tags(before: PathLike, after: PathLike, report: ChangeReport, coregister: bool) -> dict[str, str]:
    from terrafine.version import __version__

    shift = "none" if report.shift_m is None else " ".join(f"{v:.3f}" for v in report.shift_m)
    return {
        "VERSION": __version__,
        "BEFORE": Path(before).name,
        "AFTER": Path(after).name,
        "COREGISTERED": "yes" if coregister and report.shift_m is not None else "no",
        "SHIFT_M": shift,
        "STABLE_NMAD_M": f"{report.stable_nmad_m:.4f}",
        "CORRELATION_M": " ".join(f"{v:.0f}" for v in report.correlation_m),
    }


def _write(
    out: Path,
    sidecars: Sequence[Path | None],
    pair: _Pair,
    errors: _Errors,
    tags: Mapping[str, str],
    report: ChangeReport,
) -> None:
    """The change and its sidecar files, published together."""
    import numpy as np

    from terrafine.atomic import PublishSet, written
    from terrafine.raster.write.cog_writer import write_cog

    table, record = io.StringIO(), {}
    names = list(asdict(next(iter(report.zones.values()))))
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("zone", *names, "volume_low_m3", "volume_high_m3"))
    for name, volume in report.zones.items():
        values = asdict(volume)
        low, high = volume.interval_m3
        writer.writerow((name, *(f"{values[n]:.9g}" for n in names), f"{low:.9g}", f"{high:.9g}"))
        record[name] = {**values, "interval_m3": [low, high]}
    text = json.dumps(
        {
            "before": tags["BEFORE"],
            "after": tags["AFTER"],
            "shift_m": report.shift_m,
            "stable_nmad_m": report.stable_nmad_m,
            "correlation": {
                "shares": errors.correlation.shares,
                "ranges_m": errors.correlation.ranges_m,
                "lags_m": errors.correlation.lags_m,
                "semivariance": errors.correlation.semivariance,
            },
            "zones": record,
            "notes": report.notes,
        },
        indent=1,
        allow_nan=False,
    )
    with PublishSet(out) as published:
        write_cog(
            out,
            pair.geobox,
            [np.stack([errors.dz, errors.sigma]).astype(np.float32)],
            band_names=("elevation_change", "elevation_change_sigma"),
            units=("m", "m"),
            tags=tags,
            publish=published.stage,
        )
        for path, content in zip(sidecars, (text, table.getvalue()), strict=True):
            if path is not None:
                with written(path, published.stage) as part:
                    part.write_text(content, encoding="utf-8")
