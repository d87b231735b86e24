"""`campaign_statistics` and `sample_campaign`: what the finished tiles come to, and the sample that adjusts it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.campaign.folder import DONE, EMPTY, Folder
from terrafine.campaign.settings import locate, read_settings
from terrafine.errors import IncompleteError, UsageError
from terrafine.workflows.advice import names_own_arguments

if TYPE_CHECKING:
    from terrafine.campaign.plan import Plan
    from terrafine.campaign.statistics.tiles import TileCounts
    from terrafine.inference.progress import Progress
    from terrafine.raster.utm_tiles import Tile

__all__ = ["campaign_statistics", "sample_campaign"]

PathLike = str | os.PathLike[str]
_REGION = "region"


@names_own_arguments()
def campaign_statistics(
    campaign: PathLike,
    *,
    reference: PathLike | None = None,
    partial: bool = False,
    dask: Any = None,
    progress: Progress | bool | None = None,
) -> Path:
    """Sum a campaign of class maps: areas and shares, change and growth, by zone and epoch.

    Areas are of the ground: the cells of a UTM zone are divided by the areal scale of the projection, and where two
    zones meet each cell counts in its own. Everything is stated twice, as mapped and after a temporal rule: each cell's
    history is replaced by the closest one that becomes impervious at most once and never reverts. With `reference`,
    the answered form of `sample_campaign`, areas and growth are also estimated from the sample, with 95 % intervals.

    Parameters
    ----------
    campaign
        The settings file or the folder of a campaign.
    reference
        The answered GeoPackage.
    partial
        Also sum a campaign that has tiles without a result; their ground counts as unknown.
    dask
        Address of a scheduler, or a distributed.Client; by default tiles are counted here.
    progress
        True for a progress bar, or an object with its methods.

    Returns
    -------
    Path
        The folder `statistics` of the campaign, with areas.csv, change.csv, growth.csv, zones.parquet, growth.png,
        change.png and statistics.json.

    Raises
    ------
    UsageError
        For a campaign that makes no class map.
    IncompleteError
        For tiles without a result, unless `partial`.
    DataError, SourceError
        For a reference that cannot serve, or tiles that cannot be read.
    MissingExtraError
        Where the extra `campaign` is not installed.
    """
    import numpy as np

    from terrafine.campaign.sampling.adjusted import adjusted_statistics
    from terrafine.campaign.sampling.form import read_answers, read_design
    from terrafine.campaign.statistics import pictures, tables
    from terrafine.campaign.statistics.sequences import Sequences
    from terrafine.raster.utm_tiles import geodesic_area_m2

    plan, folder = _class_maps(campaign)
    names, areas = _zones(plan)
    _require_complete(plan, folder, partial)
    adjusted = None
    if reference is not None:
        design = read_design(folder.path / "sample" / "design.json")
        if design.keys != _keys(plan):
            raise UsageError(
                f"{reference}: the sample was drawn from another version of the maps; draw a new one, or run the "
                "campaign with the settings that it was drawn with"
            )
        adjusted = adjusted_statistics(design, read_answers(Path(reference), design))
    counts = list(_count(plan, folder, areas, dask, progress))
    total = np.sum([c.area_m2 for c in counts], axis=0)
    epochs, sequences = plan.settings.epochs, Sequences(len(plan.settings.epochs))
    rows = tables.area_rows(sequences, epochs, names, total)
    change = tables.change_rows(sequences, epochs, names, total)
    growth = tables.growth_rows(sequences, epochs, names, total)
    out = folder.path / "statistics"
    out.mkdir(exist_ok=True)
    tables.write_parquet(out / "zones.parquet", names, areas, rows)
    for name, listed in (("areas", rows), ("change", change), ("growth", growth)):
        tables.write_csv(out / f"{name}.csv", listed)
    title = plan.settings.product.title or plan.settings.name
    intervals = {} if adjusted is None else _intervals(adjusted)
    pictures.draw_growth(out / "growth.png", epochs, rows, f"{title}: impervious surface", intervals)
    if len(epochs) > 1:
        span = f"{epochs[0].name} to {epochs[-1].name}"
        pictures.draw_change(out / "change.png", plan, counts, f"{title}: change from {span}")
    record = {
        "campaign": plan.settings.name,
        "keys": _keys(plan),
        "region_km2": geodesic_area_m2(plan.area) / 1e6,
        "counted_km2": float(total[0].sum()) / 1e6,
        "areas": rows,
        "change": change,
        "growth": growth,
        "adjusted": adjusted,
        "notes": [tables.TWO_EPOCHS] if len(epochs) == 2 else [],
    }
    tables.write_record(out / "statistics.json", record)
    return out


@names_own_arguments()
def sample_campaign(
    campaign: PathLike,
    *,
    points: int | None = None,
    standard_error: float = 0.01,
    minimum: int = 50,
    seed: int = 0,
    dask: Any = None,
    progress: Progress | bool | None = None,
) -> Path:
    """Draw a reference sample: cells at random within strata of what became of them from the first to the last epoch.

    Strata are stays other, stays impervious, became impervious and no longer impervious. Each gets `minimum` points,
    and the rest goes by area. The form does not show what the map says.

    Parameters
    ----------
    campaign
        The settings file or the folder of a campaign.
    points
        How many; by default as many as `standard_error` asks for, and no fewer than the strata's minimum.
    standard_error
        Of the overall accuracy, with accuracies assumed from 0.6 for loss to 0.95 for stays other.
    minimum
        Points of each stratum at least.
    seed
        Of the random numbers; the same seed draws the same cells.
    dask, progress
        As in `campaign_statistics`.

    Returns
    -------
    Path
        The GeoPackage `sample/responses.gpkg`, which opens in QGIS with a form; beside it `design.json`, which holds
        strata and map classes and is needed to read the answers.

    Raises
    ------
    UsageError
        For numbers that cannot be, a campaign that makes no class map, or a form that exists already.
    IncompleteError
        For tiles without a result.
    DataError
        For maps without a known cell.
    """
    from terrafine.campaign.sampling import design as designs
    from terrafine.campaign.sampling.form import write_design, write_form
    from terrafine.campaign.statistics.sequences import Sequences
    from terrafine.campaign.statistics.tiles import files_of, tile_tasks

    if points is not None and not 1 <= points <= 1_000_000:
        raise UsageError(f"{points} points; expected 1 to 1,000,000")
    if not 0.001 <= standard_error <= 0.5:
        raise UsageError(f"a standard error of {standard_error:g}; expected 0.001 to 0.5")
    if not 2 <= minimum <= 100_000:
        raise UsageError(f"a minimum of {minimum} points; expected 2 to 100,000")
    if seed < 0:
        raise UsageError(f"the seed is {seed}; expected 0 or more")
    plan, folder = _class_maps(campaign)
    _require_complete(plan, folder, False)
    form = folder.path / "sample" / "responses.gpkg"
    if form.exists():
        raise UsageError(f"{form}: exists already, and may hold answers; move it away first")
    sequences = Sequences(len(plan.settings.epochs))
    counts = list(_count(plan, folder, [plan.area], dask, progress))
    strata, cells = designs.strata_of(sequences, counts)
    least = sum(min(minimum, s.cells) for s in strata)
    wanted = points if points is not None else max(least, designs.suggested_points(strata, standard_error))
    strata = designs.allocate(strata, wanted, minimum)
    tasks = tile_tasks(plan)
    paths = {tile: files_of(plan, folder, units) for tile, units in tasks.items()}
    drawn = designs.draw(sequences, counts, strata, cells, paths, plan.area, seed)
    names = tuple(e.name for e in plan.settings.epochs)
    mapped = designs.mapped_areas(sequences, counts)
    made = designs.Design(seed, names, tuple(strata), tuple(drawn), _keys(plan), mapped)
    form.parent.mkdir(exist_ok=True)
    write_design(form.with_name("design.json"), made)
    write_form(form, made)
    return form


def _class_maps(campaign: PathLike) -> tuple[Plan, Folder]:
    from terrafine.campaign.plan import make_plan

    file, path = locate(campaign)
    settings = read_settings(file)
    if settings.model.verb != "map":
        raise UsageError(
            f"{file}: the campaign runs {settings.model.verb}; statistics and samples are of class maps. For elevation "
            "compare two epochs with `terrafine change`"
        )
    return make_plan(settings), Folder(path)


def _zones(plan: Plan) -> tuple[list[str], list[Any]]:
    """Names and outlines: the region first, then the zones of the settings."""
    from terrafine.raster.read.vectors.region import read_named_areas

    names, areas = [_REGION], [plan.area]
    zones = plan.settings.zones
    if zones.file is not None:
        path = plan.settings.beside(zones.file)
        for name, area in read_named_areas(path, zones.field or _first_field(path)):
            if not area.intersects(plan.area):
                continue
            names.append(name if name != _REGION else f"{name} (zone)")
            areas.append(area.intersection(plan.area))
        if len(names) == 1:
            raise UsageError(f"{path}: no zone overlaps the region; expected polygons inside it")
    return names, areas


def _first_field(path: Path) -> str:
    from terrafine.raster.read.vectors.rasterize import read_features

    features, _ = read_features(os.fspath(path))
    for _, fields in features:
        if fields:
            return str(next(iter(fields)))
    raise UsageError(f"{path}: its polygons have no field that names them; expected one")


def _require_complete(plan: Plan, folder: Folder, partial: bool) -> None:
    from terrafine.campaign.status import states_of, status_of

    status = status_of(plan, states_of(plan, folder))
    if status.total(DONE) == 0:
        raise IncompleteError(f"{plan.settings.name}: no tile is done; run the campaign first")
    if not status.complete and not partial:
        listed = ", ".join(f"{status.total(s):,} {s}" for s in (EMPTY, "failed", "pending", "stale") if status.total(s))
        raise IncompleteError(
            f"{plan.settings.name}: {listed} of {len(plan):,} tiles; run or retry them first, or have their ground "
            "counted as unknown: partial"
        )


def _keys(plan: Plan) -> str:
    """Digest of the keys of all units: the version of the maps."""
    digest = hashlib.sha256()
    for unit in plan.units():
        digest.update(unit.key.encode())
    return digest.hexdigest()


def _count(plan: Plan, folder: Folder, areas: Sequence[Any], dask: Any, progress: Any) -> Iterator[TileCounts]:
    """The counts of every tile; those without a map in any epoch first."""
    from terrafine.campaign.api import bar_of
    from terrafine.campaign.statistics.tiles import blank_tile, count_tile, files_of, tile_tasks

    todo: list[tuple[Tile, list[Path | None]]] = []
    for tile, units in tile_tasks(plan).items():
        paths = files_of(plan, folder, units)
        if any(p is not None for p in paths):
            todo.append((tile, paths))
        else:
            yield blank_tile(tile, plan.lattice, _near(plan, tile, areas), len(paths))
    bar = bar_of(progress)
    bar.start("statistics", len(todo), 0)
    try:
        if dask is None:
            for tile, paths in todo:
                yield count_tile(tile, paths, _near(plan, tile, areas))
                bar.advance(1)
            return
        from terrafine.inference.executors.dask import connected

        with connected(dask) as client:
            futures = [
                client.submit(count_tile, tile, paths, _near(plan, tile, areas), pure=False) for tile, paths in todo
            ]
            for future in futures:
                yield future.result()
                future.release()
                bar.advance(1)
    finally:
        bar.stop()


def _near(plan: Plan, tile: Tile, areas: Sequence[Any]) -> list[Any]:
    """The parts of areas around a tile, so that a country's border is not cut to cells in each of its tiles."""
    import shapely

    west, south, east, north = plan.lattice.outline(tile, plan.lattice.side_m / 4).bounds
    if east - west > 180:  # across the 180th meridian
        return list(areas)
    window = shapely.box(west, south, east, north)
    return [shapely.intersection(area, window) for area in areas]


def _intervals(adjusted: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
    found = {}
    for row in adjusted["epochs"]:
        area = row["impervious_km2"]
        if area["interval"] is not None:
            found[row["epoch"]] = (area["value"], *area["interval"])
    return found
