"""Keywords of each verb that are fields of its option objects, and how they are merged with the objects."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from terrafine.errors import UsageError
from terrafine.raster.read.checks.access import allow
from terrafine.workflows.options import Guidance, ReadOptions, RunOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.inference.engine import RunReport
    from terrafine.inference.progress import Progress
    from terrafine.raster.products import Product

__all__ = [
    "GUIDANCE_FIELDS",
    "ChangeFields",
    "DemFields",
    "EvaluateFields",
    "GeocodeFields",
    "HeightFields",
    "ImageFields",
    "MapFields",
    "MeasureFields",
    "RadarFields",
    "ReadFields",
    "RunFields",
    "WriteFields",
    "merge_options",
    "on_device",
]

GUIDANCE_FIELDS = tuple(field.name for field in dataclasses.fields(Guidance))
Part = TypeVar("Part", ReadOptions, RunOptions)


class ReadFields(TypedDict, total=False):
    """Fields of `ReadOptions` that every verb takes."""

    bands: Mapping[str, int] | None
    nodata: float | None
    assume_crs: str | None
    allow_remote: bool
    allow_folders: Sequence[str | os.PathLike[str]]


class WriteFields(TypedDict, total=False):
    """Fields of `RunOptions` that every verb takes which writes GeoTIFFs."""

    creation_options: Mapping[str, str] | None


class RunFields(WriteFields, total=False):
    """Fields of `RunOptions` that every verb takes which runs a model."""

    device: str
    memory: int | str | None
    threads: int | None
    tile: int | None
    dask: Any
    restart: bool
    progress: Progress | bool | None
    report: Callable[[RunReport], None] | None


class ImageFields(ReadFields, RunFields, total=False):
    """Keywords of `sharpen_image`; the size of a cell is for numpy images."""

    sensor: str | None
    pixel_size_m: float | tuple[float, float] | NDArray[np.float64] | None


class MapFields(ImageFields, total=False):
    """Keywords of `map_impervious`."""

    stack: bool


class HeightFields(ImageFields, total=False):
    """Keywords of `estimate_height`; unit and datum are of the anchor's heights."""

    elevation_unit: str | None
    vertical_datum: str | None


class RadarFields(ReadFields, WriteFields, total=False):
    """Keywords of `map_radar`."""

    elevation_unit: str | None
    pixel_size_m: float | tuple[float, float] | NDArray[np.float64] | None


class GeocodeFields(ReadFields, WriteFields, total=False):
    """Keywords of `geocode_radar`; all but `creation_options` are of the DEM."""

    elevation_unit: str | None
    vertical_datum: str | None


class DemFields(RadarFields, RunFields, total=False):
    """Keywords of `sharpen_dem`."""

    vertical_datum: str | None
    product: str | os.PathLike[str] | Product | None
    engine: str
    precision: str
    tolerance_m: float
    target_resolution: tuple[float, float] | None
    target_crs: str | None
    hydro: bool
    stream_area_km2: float | None


class MeasureFields(TypedDict, total=False):
    """Keywords of `measure_product`."""

    assume_crs: str | None
    elevation_unit: str | None
    vertical_datum: str | None


class ChangeFields(MeasureFields, WriteFields, total=False):
    """Keywords of `measure_change`."""


class EvaluateFields(TypedDict, total=False):
    """Keywords of `evaluate`."""

    bands: Mapping[str, int] | None
    assume_crs: str | None
    allow_remote: bool
    allow_folders: Sequence[str | os.PathLike[str]]
    elevation_unit: str | None
    vertical_datum: str | None
    coregister: bool
    slope_method: str
    hydrology: bool
    hydrology_memory: int | str
    stream_areas_km2: Sequence[float]
    stages_m: Sequence[float]
    uncertainty: bool
    multipliers: Mapping[float, float]
    tolerance_m: float
    block: int
    bootstrap_side: int
    draws: int
    seed: int
    divide_by: float


def merge_options(
    verb: Callable[..., Any],
    accepted: Any,
    read: ReadOptions | None,
    run: RunOptions | None,
    given: Mapping[str, Any],
) -> tuple[ReadOptions, RunOptions]:
    """Options of a verb from its `read`, its `run` and its keywords, of which a keyword overrides.

    Parameters
    ----------
    verb
        The function that was called.
    accepted
        TypedDict of the keywords that it takes.
    read, run
        Options as objects.
    given
        Keywords as they were given.

    Returns
    -------
    tuple[ReadOptions, RunOptions]
        The merged options.

    Raises
    ------
    UsageError
        For a keyword or a field that the verb does not take, naming the closest that it does, and for a device that
        is not there.
    MissingExtraError
        For an engine or Dask that is not installed.
    """
    known = set(accepted.__annotations__)
    for name in given:
        if name not in known:
            raise UsageError(_unknown(verb, name, known))
    options = read or ReadOptions(), run or RunOptions()
    for part in options:
        for field in dataclasses.fields(part):
            if field.name not in known and getattr(part, field.name) is not field.default:
                raise UsageError(f"{verb.__name__} does not use {field.name} of {type(part).__name__}; leave it out")
    merged = _replaced(options[0], given), _replaced(options[1], given)
    allow(merged[0].allow_folders, merged[0].allow_remote)
    _require_extras(merged[1])
    return merged[0], on_device(merged[1]) if "device" in known else merged[1]


def on_device(run: RunOptions) -> RunOptions:
    """Resolve the device of a run: of this machine, or of the workers of a Dask cluster.

    Parameters
    ----------
    run
        Options of the run.

    Returns
    -------
    RunOptions
        The same options with the name of one device.

    Raises
    ------
    UsageError
        If there is no such device.
    JobError
        If no Dask scheduler answers.
    """
    if run.engine != "torch":
        return dataclasses.replace(run, device="cpu")
    if run.dask is not None:
        from terrafine.inference.executors.dask import cluster_device

        return dataclasses.replace(run, device=cluster_device(run.dask, run.device))
    from terrafine.nn.device import find_device

    return dataclasses.replace(run, device=str(find_device(run.device)))


def _replaced(part: Part, given: Mapping[str, Any]) -> Part:
    own = {field.name for field in dataclasses.fields(part)}
    return dataclasses.replace(part, **{name: value for name, value in given.items() if name in own})


def _require_extras(run: RunOptions) -> None:
    if run.engine != "torch":
        from terrafine.systems import require_engine

        require_engine(run.engine)
    if isinstance(run.dask, str):
        from terrafine.inference.executors.dask import require_distributed

        require_distributed()


def _unknown(verb: Callable[..., Any], name: str, known: set[str]) -> str:
    own = [p.name for p in signature(verb).parameters.values() if p.kind is not p.VAR_KEYWORD]
    close = get_close_matches(name, [*own, *sorted(known)], n=3, cutoff=0.5)
    hint = f"closest are {', '.join(close)}" if close else f"expected one of {', '.join([*own, *sorted(known)])}"
    return f"{verb.__name__} has no argument {name!r}; {hint}"
