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

from terrafine.errors import EmptyError, UsageError
from terrafine.workflows.advice import names_own_arguments
from terrafine.workflows.fields import ChangeFields, merge_options
from terrafine.workflows.options import ReadOptions

if TYPE_CHECKING:
    from terrafine.evaluation.elevation.change import Volume
    from terrafine.evaluation.elevation.epochs import ChangeErrors, EpochPair

__all__ = ["ChangeReport", "measure_change"]

PathLike = str | os.PathLike[str]
_WHOLE = "all"
_LEVEL_M = 10.0  # more than models of one datum differ by on stable ground


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


@names_own_arguments(ChangeFields)
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
    **fields: Unpack[ChangeFields],
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
        `assume_crs`, `elevation_unit` and `vertical_datum` of `ReadOptions`, for files that do not state them;
        `creation_options` of `RunOptions`.

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

    from terrafine.evaluation.elevation.epochs import ChangeErrors, EpochPair, ZoneCells, settled
    from terrafine.evaluation.elevation.sources import Reading, open_surface
    from terrafine.raster.vertical import same_or_raise
    from terrafine.workflows.outputs.destinations import check_names, outputs_for

    reading, writing = merge_options(measure_change, ChangeFields, read, None, fields)
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
        pair = EpochPair(first, second)
        named = _zones(zones, zone_field)
        inside = {name: ZoneCells.of(pair.burn(area)) for name, area in named.items()}
        anywhere = np.zeros(pair.shape, bool)
        for cells in inside.values():
            anywhere[cells.window] |= cells.mask
        ground = ~anywhere if stable is None else pair.burn(_zones(stable, None)[_WHOLE])
        shift = pair.register(ground, seed) if coregister else None
        if not inside and stable is None:
            notes.append("no zones and no stable ground were given: change is stated against the median of all ground")
        if coregister and shift is None:
            notes.append("no shift could be estimated; only the level of the later model was taken off")
        hidden = anywhere if stable is None else np.zeros(pair.shape, bool)
        errors = ChangeErrors(pair, settled(pair.change(), ground, hidden, os.fspath(before)), seed)
        if abs(errors.level) > _LEVEL_M:
            notes.append(
                f"stable ground of the two models differs by {errors.level:+.1f} m, which was taken off; check that "
                "both are on the vertical datum that they state"
            )
        found = {}
        for name, cells in (inside or {_WHOLE: ZoneCells.of(np.isfinite(errors.dz))}).items():
            volume = errors.volume(cells)
            if volume is None:
                notes.append(f"zone {name}: no cell holds a height in both epochs; it has no volume")
            else:
                found[name] = volume
        if not found:
            raise EmptyError(f"{zones}: no zone holds a height in both epochs; expected zones on common ground")
        moved = None if shift is None else (shift.east, shift.north, -errors.level)
        report = ChangeReport(target, moved, errors.nmad, errors.correlation.ranges_m, found, tuple(notes))
        _write(out, sidecars, pair, errors, _tags(before, after, report, coregister), report, writing.layout)
    return report


def _zones(path: PathLike | None, field: str | None) -> dict[str, Any]:
    from terrafine.raster.read.vectors.region import read_named_areas

    if path is None:
        return {}
    return {name or _WHOLE: area for name, area in read_named_areas(path, field)}


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
    pair: EpochPair,
    errors: ChangeErrors,
    tags: Mapping[str, str],
    report: ChangeReport,
    layout: Mapping[str, Any],
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
            **layout,
        )
        for path, content in zip(sidecars, (text, table.getvalue()), strict=True):
            if path is not None:
                with written(path, published.stage) as part:
                    part.write_text(content, encoding="utf-8")
