"""One unit: its input on the tile with its halo, the model, the core cut out, the files published, the record last."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrafine.campaign.folder import DONE, Folder
from terrafine.campaign.inputs import Input, gather
from terrafine.campaign.plan import Plan, Unit
from terrafine.errors import EmptyError, JobError

__all__ = ["Outcome", "run_unit"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a unit.

    Attributes
    ----------
    key
        Key of the unit.
    empty
        Whether its sources hold no observation there.
    bytes
        Bytes that were published.
    seconds
        Seconds by step: `input`, `model`, `publish`.
    """

    key: str
    empty: bool
    bytes: int
    seconds: Mapping[str, float]


def run_unit(plan: Plan, folder: Path, unit: Unit, threads: int | None = None) -> Outcome:
    """Run one unit, here and now; one that is done already is left as it is.

    Parameters
    ----------
    plan, folder, unit
        The plan, the campaign's folder, and the unit of the plan.
    threads
        CPU threads of the model; None for those of the settings, else all.

    Returns
    -------
    Outcome

    Raises
    ------
    TerrafineError
        Whatever stops it; what was published before stays as it was.
    """
    place = Folder(folder)
    if place.state(plan, unit).name == DONE:
        return Outcome(unit.key, False, 0, {})
    try:
        with place.working(plan, unit) as work:
            return _run(plan, place, unit, work, threads)
    except JobError:
        if place.state(plan, unit).name == DONE:  # another worker, thought lost, has finished it
            return Outcome(unit.key, False, 0, {})
        raise


def _run(plan: Plan, place: Folder, unit: Unit, work: Path, threads: int | None) -> Outcome:
    begun = time.perf_counter()
    try:
        given = gather(plan, unit, work, place.scenes)
        read = time.perf_counter()
        made = _model(plan, unit, given, work, threads)
        modelled = time.perf_counter()
        files = _publish(plan, place, unit, given, made)
    except EmptyError as error:
        place.finish(plan, unit, {"empty": True, "message": str(error)})
        return Outcome(unit.key, True, 0, {"input": time.perf_counter() - begun})
    seconds = {"input": read - begun, "model": modelled - read, "publish": time.perf_counter() - modelled}
    record = {
        "empty": False,
        "tile": unit.tile.name,
        "epoch": plan.settings.epochs[unit.epoch].name,
        "files": files,
        "clear": given.clear,
        "inputs": given.lineage,
        "notes": list(given.notes)[:50],
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }
    place.finish(plan, unit, record)
    return Outcome(unit.key, False, sum(int(f["bytes"]) for f in files), seconds)


def _model(plan: Plan, unit: Unit, given: Input, work: Path, threads: int | None) -> dict[str, Path]:
    """The model over the input; asset name -> file, still with its halo."""
    s, out = plan.settings, work / "output.tif"
    run: dict[str, Any] = {"device": s.run.device, "memory": s.run.memory, "threads": s.run.threads or threads}
    options = s.options
    name = plan.model["name"]
    verb = s.model.verb
    if verb == "map":
        from terrafine.workflows.impervious import map_impervious

        more: dict[str, Any] = {} if options.max_bright is None else {"max_bright": options.max_bright}
        map_impervious(
            given.path,
            out,
            threshold=options.threshold,
            probability=options.probability,
            sigma=options.sigma,
            model=name,
            sensor="reflectance",
            **more,
            **run,
        )
        chance = {"probability": work / "output_probability.tif"} if options.probability or options.sigma else {}
        return {"class": out, **chance}
    if verb == "image":
        from terrafine.workflows.image import sharpen_image

        more = {} if options.max_bright is None else {"max_bright": options.max_bright}
        sharpen_image(given.path, out, scale=options.scale, model=name, sensor="reflectance", **more, **run)
        return {"image": out}
    if verb == "height":
        from terrafine.workflows.height import estimate_height

        more = {} if options.max_bright is None else {"max_bright": options.max_bright}
        anchor = None if options.anchor is None else s.beside(options.anchor)
        estimate_height(
            given.path,
            out,
            anchor=anchor,
            model=name,
            uncertainty=options.uncertainty,
            sensor="reflectance",
            elevation_unit=s.source.elevation_unit if anchor is not None else None,
            vertical_datum=s.source.vertical_datum if anchor is not None else None,
            **more,
            **run,
        )
        return {"relief" if anchor is None else "elevation": out}
    return {"elevation": _sharpen(plan, unit, given, out, run)}


def _sharpen(plan: Plan, unit: Unit, given: Input, out: Path, run: Mapping[str, Any]) -> Path:
    from terrafine.workflows.dem import sharpen_dem
    from terrafine.workflows.options import Guidance, TargetGrid

    s, options = plan.settings, plan.settings.options
    scale = options.scale or 4
    cell = plan.lattice.resolution_m / scale
    guidance = None
    if given.guides:
        stated = str(s.beside(options.incidence)) if isinstance(options.incidence, str) else options.incidence
        guidance = Guidance(
            files=dict(given.guides),
            orbit=options.orbit,
            heading=options.heading,
            incidence=given.incidence if stated is None else stated,
            unit=options.guide_unit,
        )
    sharpen_dem(
        given.path,
        out,
        scale=scale,
        model=plan.model["name"],
        consistency=options.consistency,
        tolerance_m=options.tolerance_m,
        uncertainty=options.uncertainty,
        self_ensemble=options.self_ensemble,
        guidance=guidance,
        product=given.product,
        target=TargetGrid((cell, cell), f"EPSG:{unit.tile.epsg}", snapped=True),
        **run,
    )
    return out


def _publish(plan: Plan, place: Folder, unit: Unit, given: Input, made: Mapping[str, Path]) -> list[dict[str, Any]]:
    """The cores of the outputs under their final names, together."""
    from terrafine.atomic import PublishSet
    from terrafine.raster.write.crop import crop_cog

    s, epoch = plan.settings, plan.settings.epochs[unit.epoch]
    primary = place.tile(plan, unit)
    primary.parent.mkdir(parents=True, exist_ok=True)
    tags = {
        "CAMPAIGN": s.name,
        "EPOCH": epoch.name,
        "DATES": epoch.dates,
        "TILE": unit.tile.name,
        "UNIT_KEY": unit.key,
        "CLEAR_SHARE": f"{given.clear:.4f}",
        "SCENES": ", ".join(given.names)[:4000],
        **given.tags,
    }
    core = plan.lattice.core(unit.tile)
    files = []
    with PublishSet(primary) as published:
        for number, (name, path) in enumerate(made.items()):
            target = primary if number == 0 else primary.with_name(f"{unit.tile.name}_{name}.tif")
            cut = crop_cog(path, core, target, tags=tags, fill=s.model.verb == "dem", publish=published.stage)
            files.append(
                {
                    "asset": name,
                    "name": target.name,
                    "bytes": cut.bytes,
                    "sha256": cut.sha256,
                    "valid": round(cut.valid, 6),
                }
            )
            if cut.valid == 0:
                raise EmptyError(f"the sources of {epoch.name} hold no value in the core of the tile {unit.tile.name}")
    return files
