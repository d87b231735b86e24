"""Translate arguments of the library to options of a command, in errors and notes; the only table of both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

__all__ = ["FLAGS", "as_options"]

FLAGS = {
    "allow_folders": "--allow-folder",
    "allow_remote": "--allow-remote",
    "anchor": "--anchor",
    "assume_crs": "--assume-crs",
    "bands": "--band",
    "class_names": "--class-name",
    "classes": "--classes",
    "coarse": "--coarse",
    "consistency": "--consistency",
    "coregister": "--coregistration",
    "creation_options": "--creation-option",
    "dask": "--dask",
    "data_root": "--data",
    "dem": "--dem",
    "device": "--device",
    "divide_by": "--divide-by",
    "elevation_unit": "--elevation-unit",
    "engine": "--engine",
    "files": "--guide",
    "geoid_m": "--geoid",
    "guidance": "--guide",
    "heading": "--heading",
    "hold_out": "--hold-out",
    "hydro": "--hydro",
    "hydrology": "--hydrology",
    "hydrology_memory": "--hydrology-memory",
    "incidence": "--incidence",
    "kind": "--as",
    "latitude": "--latitude",
    "mask": "--mask",
    "masks": "--mask",
    "max_bright": "--max-bright",
    "max_cloud": "--max-cloud",
    "max_scenes": "--max-scenes",
    "memory": "--memory",
    "min_clear": "--min-clear",
    "model": "--model",
    "multipliers": "--sigma-multiple",
    "nodata": "--nodata",
    "offset": "--offset",
    "orbit": "--orbit",
    "out": "--output",
    "overwrite": "--overwrite",
    "packed": "--packed",
    "pixel_size_m": "--pixel-size",
    "reference_product": "--reference-product",
    "precision": "--precision",
    "region_name": "--region-name",
    "product": "--product",
    "regions": "--region",
    "restart": "--restart",
    "scale": "--scale",
    "stack": "--stack",
    "self_ensemble": "--self-ensemble",
    "sensor": "--sensor",
    "slope_method": "--slope",
    "stages_m": "--stage",
    "stream_area_km2": "--stream-area",
    "stream_areas_km2": "--stream-area",
    "sun": "--sun",
    "target_crs": "--t-srs",
    "target_resolution": "--tr",
    "threads": "--threads",
    "tile": "--tile",
    "tolerance_m": "--tolerance",
    "uncertainty": "--uncertainty",
    "unit": "--guide-unit",
    "vertical_datum": "--vertical-datum",
}


def as_options(text: str, command: click.Command) -> str:
    """Return a message of the library with arguments as options: `elevation_unit="ft"` as `--elevation-unit ft`.

    A phrase of `terrafine.workflows.advice.INSTEAD` replaces an argument that the command has no option for.

    Parameters
    ----------
    text
        The message.
    command
        The command that was run.

    Returns
    -------
    str
        The translated message.
    """
    from terrafine.workflows.advice import INSTEAD, rewritten

    known = _options(command)

    def write(name: str, value: str) -> str:
        flag, values = FLAGS[name], _plain(value)
        if name == "incidence" and flag not in known:
            flag, values = "--guide", [f"incidence={v}" for v in values]
        if value == "False":
            flag, values = flag.replace("--", "--no-", 1), []
        return " ".join([flag, *values]) if flag in known else INSTEAD[name]

    return rewritten(text, write)


def _options(command: click.Command) -> set[str]:
    """Every option of a command."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def _plain(value: str) -> list[str]:
    """Python's value as words of a command line: `"ft"` as ft, `{"red": 3}` as red=3, `(10, 10)` as 10 10."""
    if value == "True":
        return []
    if value.startswith("{"):
        return [re.sub(r":\s*", "=", value.strip("{}").replace('"', ""), count=1)]
    if value.startswith("("):
        return [part.strip() for part in value.strip("()").split(",") if part.strip()]
    return [value.replace('"', "")] if value else []
