"""What a campaign needs of the disk, reported before it runs and refused where the disk is too small."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from terrafine.campaign.plan import Plan
from terrafine.errors import DiskError
from terrafine.raster.utm_tiles import zone_name

__all__ = ["PlanReport", "check_disk", "output_bytes", "report_plan"]

_WITH_OVERVIEWS = 4 / 3
_PACKED = {"map": 0.15, "image": 0.9, "height": 0.9, "dem": 0.9}  # of the plain size: a class map compresses well


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What a campaign comes to, before it runs.

    Attributes
    ----------
    name
        Name of the campaign.
    area_km2
        Area of the region on the ellipsoid.
    tiles
        UTM zone -> tiles in it.
    units
        Tiles times epochs.
    output_bytes
        Bytes of all outputs without compression.
    work_bytes
        Bytes of the intermediate files of one unit, without compression.
    free_bytes
        Free bytes of the disk of the campaign's folder.
    seconds_per_unit
        Seconds of the model for one unit on this machine, timed on a small batch; None where it was not timed, or the
        model is chosen for each DEM.
    """

    name: str
    area_km2: float
    tiles: dict[str, int]
    units: int
    output_bytes: int
    work_bytes: int
    free_bytes: int
    seconds_per_unit: float | None = None


def output_bytes(plan: Plan) -> int:
    """Bytes of the outputs of one unit without compression."""
    each: int = plan.settings.options.bytes_per_cell
    return int(_WITH_OVERVIEWS * each * (plan.lattice.cells * _scale(plan)) ** 2)


def _scale(plan: Plan) -> int:
    verb = plan.settings.model.verb
    return int(plan.model.get("scale") or (1 if verb == "height" else 4))


def _work_bytes(plan: Plan) -> int:
    """Bytes of the intermediate files of one unit: the input, and the outputs with their halo, twice."""
    wide = (1 + 2 * plan.lattice.halo / plan.lattice.cells) ** 2
    return int(wide * (16 * plan.lattice.cells**2 + 5 * output_bytes(plan)))


def report_plan(plan: Plan, folder: Path, seconds_per_unit: float | None = None) -> PlanReport:
    """What a campaign comes to."""
    zones = Counter(zone_name(tile.epsg) for tile in plan.tiles)
    return PlanReport(
        plan.settings.name,
        plan.area_km2,
        dict(sorted(zones.items())),
        len(plan),
        output_bytes(plan) * len(plan),
        _work_bytes(plan),
        _free(folder),
        seconds_per_unit,
    )


def check_disk(plan: Plan, folder: Path, units: int) -> None:
    """Refuse a run whose outputs the disk cannot hold.

    Parameters
    ----------
    plan, folder
        The plan, and the campaign's folder.
    units
        Units that are still to be run.

    Raises
    ------
    DiskError
        If not; the message states both numbers.
    """
    if units == 0:
        return
    needed = int(_PACKED[plan.settings.model.verb] * output_bytes(plan) * units) + _work_bytes(plan)
    free = _free(folder)
    if free < needed:
        raise DiskError(
            f"{folder}: {units:,} tiles need about {needed / 1e9:,.1f} GB, but the disk has {free / 1e9:,.1f} GB free; "
            "free space, choose fewer epochs or tiles, or put the campaign elsewhere"
        )


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
