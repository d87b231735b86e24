"""A first settings file: complete where the region and the epochs are given, commented throughout."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from terrafine.errors import OutputError, UsageError
from terrafine.workflows.advice import names_own_arguments

__all__ = ["new_campaign"]

PathLike = str | os.PathLike[str]

_TEXT = """\
# Settings of a campaign. Paths are relative to this file.
#   terrafine campaign plan {stem}      tiles and disk space, before anything is read
#   terrafine campaign run {stem}       run it, or resume it, here or on a Dask cluster
#   terrafine campaign status {stem}    what is done, what failed and why
#   terrafine campaign publish {stem}   STAC collection, mosaics and style
#   terrafine campaign stats {stem}     areas, change and growth

name = {name}
region = {region}          # polygons of the area: GeoJSON, or another vector format

[model]
verb = {verb}              # map, dem, height or image
# name = "citymap"          # a name of `terrafine models`, or a .safetensors file

[model.options]            # options of `terrafine {plain}`
{options}
[grid]
# resolution_m = {cell}      # cells of the input
# tile_m = 10240            # side of a tile's core
# halo_m = {halo}             # what is read around it: at least as far as the model looks

[source]
kind = {kind}              # "files": scenes on this machine; "stac": fetched for each tile
{service}  # of kind "stac": earth-search, planetary-computer, cdse, or a TOML file
# collection = {collection}   # of kind "stac"
# max_cloud = 80.0          # of kind "stac": percent of a scene
# offset = "auto"           # of kind "stac", Sentinel-2: "none" or "subtract" where it is known
# sensor = "sentinel2"      # of kind "files": what their numbers mean, where it is not found
# composite = "median"      # or "first" of files; "geomedian" or "best-clear" of fetched scenes
# empty_allowed = false     # true: tiles without any observation are no failure

[run]
# device = "auto"
# retries = 2               # of a tile that fails

[product]
# title = ""
# licence = "CC-BY-4.0"
# provider = ""
# doi = "10.5281/zenodo.1234567"

[zones]
# file = "districts.geojson"   # polygons that statistics are summed by
# field = "name"
"""
_OPTIONS = {
    "map": "# threshold = 0.5          # by default that of the model\n# probability = false\n",
    "dem": '# scale = 4\n# uncertainty = false\n# orbit = "descending"   # of radar guides\n',
    "height": '# anchor = "glo30.tif"\n# uncertainty = false\n',
    "image": "# scale = 10\n",
}
_HALO = {"map": "640", "image": "640", "height": "4800", "dem": "1200"}


@names_own_arguments()
def new_campaign(
    path: PathLike,
    *,
    region: PathLike = "region.geojson",
    verb: str = "map",
    epochs: Mapping[str, str] | None = None,
    files: Mapping[str, Sequence[str]] | None = None,
    service: PathLike | None = None,
) -> Path:
    """Write a first settings file of a campaign.

    Parameters
    ----------
    path
        The file to write, such as `isa.toml`; never overwritten.
    region
        Polygons of the area, relative to the file.
    verb
        `map`, `dem`, `height` or `image`.
    epochs
        Name -> dates, such as {"2023": "2023-04/2023-10"}; by default two as examples.
    files
        Name of an epoch -> patterns of its scenes; by default scenes/NAME/*.tif.
    service
        Fetch the scenes of each tile instead: `earth-search`, `planetary-computer`, `cdse`, or the TOML file of a STAC
        API, relative to the settings file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError
        For a name that does not end in .toml, or settings that cannot be.
    OutputError
        For a file that exists, or a folder that does not.
    """
    from terrafine.atomic import write_whole
    from terrafine.campaign.settings import VERBS, read_settings

    target = Path(path)
    if target.suffix != ".toml":
        raise UsageError(f"{target}: settings of a campaign end in .toml")
    if target.exists():
        raise OutputError(f"{target}: exists already; edit it, or give another name")
    if not target.parent.is_dir():
        raise OutputError(f"{target}: there is no folder {target.parent}; make it first")
    if verb not in VERBS:
        raise UsageError(f"verb {verb!r}: expected one of {', '.join(VERBS)}")
    given = dict(epochs or {"2019": "2019-04/2019-10", "2023": "2023-04/2023-10"})
    if files and service is not None:
        raise UsageError("files and service contradict each other; expected scenes of this machine, or fetched ones")
    if strange := sorted(set(files or {}) - set(given)):
        raise UsageError(f"files of {', '.join(strange)}: no such epoch; there are {', '.join(given)}")
    stem = target.stem
    text = _TEXT.format(
        stem=stem,
        name=json.dumps(re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "campaign"),
        region=json.dumps(os.fspath(region)),
        verb=json.dumps(verb),
        plain=verb,
        options=_OPTIONS[verb],
        cell="10" if verb in ("map", "image") else "30",
        halo=_HALO[verb],
        kind=json.dumps("files" if service is None else "stac"),
        collection=json.dumps("copernicus-dem" if verb == "dem" else "sentinel-2"),
        service='# service = "earth-search"' if service is None else f"service = {json.dumps(os.fspath(service))}",
    )
    for name, dates in given.items():
        if service is not None:
            text += f"\n[[epochs]]\nname = {json.dumps(name)}\ndates = {json.dumps(dates)}\n"
            continue
        listed = list((files or {}).get(name, [f"scenes/{name}/*.tif"]))
        text += f"\n[[epochs]]\nname = {json.dumps(name)}\ndates = {json.dumps(dates)}\nfiles = {json.dumps(listed)}\n"
    write_whole(target, text.encode())
    try:
        read_settings(target)
    except UsageError:
        target.unlink()
        raise
    return target
