"""The functions of a campaign: `terrafine campaign` calls them, and they are public as `terrafine.NAME`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.campaign.folder import DONE, EMPTY, FAILED, Folder
from terrafine.campaign.settings import locate, read_settings
from terrafine.errors import IncompleteError, UsageError
from terrafine.workflows.advice import names_own_arguments

if TYPE_CHECKING:
    from terrafine.campaign.plan import Plan, Unit
    from terrafine.campaign.sizes import PlanReport
    from terrafine.campaign.status import Status
    from terrafine.inference.progress import Progress

__all__ = [
    "bar_of",
    "campaign_status",
    "open_campaign",
    "plan_campaign",
    "retry_campaign",
    "run_campaign",
]

PathLike = str | os.PathLike[str]


@names_own_arguments()
def plan_campaign(campaign: PathLike, *, time_model: bool = False) -> PlanReport:
    """Plan a campaign: tiles by zone, the disk that its outputs need at most, and the time that its model takes.

    Parameters
    ----------
    campaign
        The settings file or the folder of a campaign: `isa.toml` or `isa`.
    time_model
        Time the model on a small batch.

    Returns
    -------
    PlanReport

    Raises
    ------
    UsageError, SourceError, GridError, WeightsError
        For settings, a region, scenes or a model that cannot serve.
    """
    from terrafine.campaign.sizes import report_plan

    plan, folder = open_campaign(campaign)
    if not time_model:
        return report_plan(plan, folder.path)
    from terrafine.campaign.timing import seconds_of_unit

    return report_plan(plan, folder.path, seconds_of_unit(plan))


@names_own_arguments()
def run_campaign(
    campaign: PathLike,
    *,
    epochs: Sequence[str] | None = None,
    tiles: Sequence[str] | None = None,
    dask: Any = None,
    progress: Progress | bool | None = None,
    verify: bool = False,
) -> Status:
    """Run what is not done of a campaign; the same call resumes one that was stopped.

    Every finished tile stays as it is, unless settings, inputs or model of that very tile have changed. A tile that
    fails is tried again as often as the settings state, then listed; the others are run all the same.

    Parameters
    ----------
    campaign
        The settings file or the folder of a campaign.
    epochs, tiles
        Names of those to run; by default all.
    dask
        Address of a scheduler, or a distributed.Client; its workers share the file system of the campaign. By default
        tiles run one after the other here.
    progress
        True for a progress bar, or an object with its methods.
    verify
        Also compare the digests of finished tiles, and run again those that differ.

    Returns
    -------
    Status

    Raises
    ------
    IncompleteError
        At the end, if a tile failed or its sources hold no observation; the message lists them. Its attribute `status`
        is the status.
    UsageError, SourceError, GridError, WeightsError
        For settings, a region, scenes or a model that cannot serve.
    JobError, DiskError
        For a campaign that another process runs, a cluster that does not answer, and a disk that is too small.
    """
    return _run(campaign, epochs, tiles, dask, progress, verify=verify, only=None)


@names_own_arguments()
def retry_campaign(
    campaign: PathLike,
    *,
    epochs: Sequence[str] | None = None,
    tiles: Sequence[str] | None = None,
    dask: Any = None,
    progress: Progress | bool | None = None,
) -> Status:
    """Run again the tiles that failed, and those whose sources held no observation.

    Parameters
    ----------
    campaign, epochs, tiles, dask, progress
        As in `run_campaign`.

    Returns
    -------
    Status

    Raises
    ------
    IncompleteError
        If some still fail or are empty.
    UsageError, SourceError, GridError, WeightsError, JobError, DiskError
        As in `run_campaign`.
    """
    return _run(campaign, epochs, tiles, dask, progress, verify=False, only=(FAILED, EMPTY))


@names_own_arguments()
def campaign_status(campaign: PathLike) -> Status:
    """Report where a campaign stands, and every hole with its reason.

    Parameters
    ----------
    campaign
        The settings file or the folder of a campaign.

    Returns
    -------
    Status

    Raises
    ------
    UsageError, SourceError, GridError, WeightsError
        For settings, a region, scenes or a model that cannot serve.
    """
    from terrafine.campaign.status import states_of, status_of

    plan, folder = open_campaign(campaign)
    return status_of(plan, states_of(plan, folder))


def open_campaign(campaign: PathLike) -> tuple[Plan, Folder]:
    """The plan of a campaign, and its folder."""
    from terrafine.campaign.plan import make_plan

    file, path = locate(campaign)
    return make_plan(read_settings(file)), Folder(path)


def _run(
    campaign: PathLike,
    epochs: Sequence[str] | None,
    tiles: Sequence[str] | None,
    dask: Any,
    progress: Any,
    *,
    verify: bool,
    only: tuple[str, ...] | None,
) -> Status:
    from terrafine.acquire.scene_records import forget_problems
    from terrafine.atomic import write_whole
    from terrafine.campaign.execute import run_units
    from terrafine.campaign.sizes import check_disk
    from terrafine.campaign.status import states_of, status_of

    plan, folder = open_campaign(campaign)
    chosen = _chosen(plan, epochs, tiles)
    folder.path.parent.mkdir(parents=True, exist_ok=True)
    folder.prepare()
    with folder.locked():
        folder.sweep()
        forget_problems(folder.scenes)
        write_whole(folder.path / "settings.toml", Path(plan.settings.path).read_bytes())
        todo = []
        for unit in chosen:
            state = folder.state(plan, unit)
            if only is not None:
                wanted = state.name in only
            elif state.name == DONE:
                wanted = verify and folder.damaged(plan, unit, state.record)
            else:
                wanted = state.name != EMPTY
            if wanted:
                if state.name in (DONE, EMPTY):
                    folder.forget(plan, unit)
                todo.append(unit)
        check_disk(plan, folder.path, len(todo))
        bar = bar_of(progress)
        if todo and dask is None:
            _announce(plan, len(todo), bar)
        bar.start("tiles", len(todo), 0)
        try:
            run_units(plan, folder, todo, dask=dask, progress=bar, retries=plan.settings.run.retries)
        finally:
            bar.stop()
        status = status_of(plan, states_of(plan, folder))
    _require_whole(status, {(u.epoch, u.tile.name) for u in chosen}, plan)
    return status


def _announce(plan: Plan, units: int, bar: Progress) -> None:
    """Report how long the model takes, where the progress can print it."""
    from terrafine.campaign.timing import seconds_of_unit
    from terrafine.inference.progress import Announcer
    from terrafine.inference.projection import duration

    if not isinstance(bar, Announcer):
        return
    seconds = seconds_of_unit(plan)
    if seconds is not None:
        bar.announce(
            f"{plan.settings.name}: the model takes about {duration(seconds)} for a tile, {duration(seconds * units)} "
            f"for {units:,} tiles here; reading and writing come on top"
        )


def _chosen(plan: Plan, epochs: Sequence[str] | None, tiles: Sequence[str] | None) -> list[Unit]:
    names = [epoch.name for epoch in plan.settings.epochs]
    known = {tile.name for tile in plan.tiles}
    for what, given, have in (("epochs", epochs, set(names)), ("tiles", tiles, known)):
        if strange := sorted(set(given or ()) - have):
            some = ", ".join(sorted(have)[:6])
            raise UsageError(f"{plan.settings.path}: no {what[:-1]} is called {', '.join(strange)}; there are {some}")
    return [
        unit
        for unit in plan.units()
        if (epochs is None or names[unit.epoch] in epochs) and (tiles is None or unit.tile.name in tiles)
    ]


def _require_whole(status: Status, chosen: set[tuple[int, str]], plan: Plan) -> None:
    """Raise IncompleteError where a chosen unit has no result."""
    number = {epoch.name: i for i, epoch in enumerate(plan.settings.epochs)}
    holes = [h for h in status.holes if (number[h.epoch], h.tile) in chosen]
    if status.empty_allowed:
        holes = [h for h in holes if h.state != EMPTY]
    if holes:
        shown = "\n".join(f"  {h.epoch} {h.tile}: {h.state}, {h.reason}" for h in holes[:20])
        more = f"\n  and {len(holes) - 20} more" if len(holes) > 20 else ""
        error = IncompleteError(
            f"{status.name}: {len(holes)} of {len(chosen)} tiles have no result:\n{shown}{more}\nthe others are done; "
            "`terrafine campaign retry` tries these again"
        )
        error.status = status
        raise error


def bar_of(progress: Any) -> Progress:
    """What progress goes to: a bar of tiles for True, nothing for False or None."""
    from terrafine.inference.progress import NoProgress

    if progress is True:
        from terrafine.campaign.bar import TileBar

        return TileBar()
    return progress or NoProgress()
