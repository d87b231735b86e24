"""Advice in messages: the arguments that it names, and what replaces an argument that a function does not have.

The library writes an argument as Python has it, `name=value`, where a noun may stand: `state it with
assume_crs="EPSG:32633"`. If a function lacks the argument, or it does not apply to the input that is read, a phrase
about the file replaces it. The command line writes arguments as flags: `terrafine.cli.advice`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from terrafine.arguments import check_arguments
from terrafine.errors import TerrafineError
from terrafine.host import of_system
from terrafine.raster.read.checks.access import access_scope

__all__ = ["INSTEAD", "adapted", "advice_for", "arguments_of", "names_own_arguments", "rewritten"]

P = ParamSpec("P")
R = TypeVar("R")

INSTEAD = {
    "allow_folders": "a copy in the folder of the VRT",
    "allow_remote": "a copy on this machine",
    "anchor": "a coarse elevation model",
    "assume_crs": "`gdal_edit -a_srs EPSG:xxxx FILE`",
    "bands": "a band description in the file, or one band alone in a file (`gdal_translate -b N`)",
    "class_names": "names of the classes",
    "classes": "a raster of integers",
    "coarse": "the image that they were made from",
    "consistency": "the output as the model gives it",
    "coregister": "surfaces that are already aligned",
    "creation_options": "creation options",
    "dask": "a local run",
    "data_root": "the folder of the data",
    "dem": "heights of the ground",
    "device": "another device",
    "divide_by": "values of a known scale",
    "elevation_unit": "`gdal_edit -units UNIT FILE` (m, ft, us-ft)",
    "engine": "another engine",
    "files": "a file of one band (`gdal_translate -b N`)",
    "geoid_m": "heights above the ellipsoid",
    "guidance": "guides",
    "heading": "the track's heading",
    "hold_out": "a share that is held out",
    "hydro": "streams and basins",
    "hydrology": "an evaluation without hydrology",
    "hydrology_memory": "more memory for hydrology",
    "incidence": "the angle of incidence",
    "kind": "files of one kind",
    "latitude": "a CRS in the file (`gdal_edit -a_srs EPSG:xxxx FILE`)",
    "mask": "scenes without clouds",
    "masks": "masks",
    "max_bright": "a scene with less cloud",
    "stack": "images of one grid",
    "max_cloud": "scenes with more cloud",
    "max_scenes": "more scenes",
    "memory": "more memory",
    "min_clear": "scenes with less clear ground",
    "model": "another model",
    "multipliers": "the tag SIGMA_COVERS",
    "nodata": "`gdal_edit -a_nodata VALUE FILE`",
    "offset": "scenes whose offset is known",
    "orbit": "the direction of the pass",
    "out": "another folder",
    "overwrite": "another output",
    "packed": "terrain of this version",
    "precision": "another precision",
    "pixel_size_m": "a georeference in the file (`gdal_edit -a_srs EPSG:xxxx -a_ullr ...`)",
    "product": "the product that it was made from",
    "reference_product": "the product of the reference",
    "region_name": "the field that names them",
    "regions": "polygons",
    "restart": "an empty job folder",
    "scale": "another scale",
    "self_ensemble": "the mean over mirrored and rotated inputs",
    "sensor": "band descriptions that say which sensor it is",
    "slope_method": "the method of slopes",
    "stages_m": "flood heights",
    "stream_area_km2": "the area at which streams begin",
    "stream_areas_km2": "contributing areas",
    "sun": "the azimuth of the sun",
    "target_crs": "another CRS (`gdalwarp -t_srs`)",
    "target_resolution": "another cell size (`gdalwarp -tr`)",
    "threads": "another number of threads",
    "tile": "another tile size",
    "tolerance_m": "another tolerance",
    "uncertainty": "a result without uncertainty",
    "unit": "the guide's unit",
    "vertical_datum": "a compound CRS in the file (`gdal_edit -a_srs EPSG:xxxx+yyyy FILE`)",
}
"""Every argument that a message may name, and the noun phrase that stands in its place where there is none such."""

_VALUE = r'"[^"]*"(?: \| "[^"]*")*|\'[^\']*\'|\{[^{}]*\}|\([^()]*\)|[A-Za-z0-9_+-]*(?:\.[0-9]+)?'
_ARGUMENT = re.compile(rf"(?<![\w./#=-])({'|'.join(sorted(INSTEAD))})=({_VALUE})")


def rewritten(text: str, write: Callable[[str, str], str]) -> str:
    """Return a message with each argument rewritten.

    Parameters
    ----------
    text
        The message.
    write
        Function of the name and the value as Python writes it, quotes included.

    Returns
    -------
    str
        The rewritten message.
    """
    return _ARGUMENT.sub(lambda match: write(match[1], match[2]), text)


def adapted(text: str, has: Collection[str]) -> str:
    """Return a message in which a phrase of `INSTEAD` replaces each argument that a function does not have.

    Parameters
    ----------
    text
        The message.
    has
        Arguments of the function.

    Returns
    -------
    str
        The adapted message.
    """
    return rewritten(text, lambda name, value: f"{name}={value}" if name in has else INSTEAD[name])


@contextmanager
def advice_for(has: Collection[str]) -> Iterator[None]:
    """Adapt the errors raised in the block to the arguments that apply to the input that is being read.

    Parameters
    ----------
    has
        Names of these arguments.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    TerrafineError
        The error of the block, with an adapted message.
    """
    try:
        yield
    except TerrafineError as error:
        error.args = (adapted(str(error), has),)
        raise


def names_own_arguments(fields: Any = None, also: Collection[str] = ()) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator of verbs: arguments are held against their declared kinds, and errors name only their own arguments.

    Parameters
    ----------
    fields
        TypedDict of the keywords that the verb takes besides its named parameters.
    also
        Names that its parameters have inside, such as the fields of a `Guidance`.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(verb: Callable[P, R]) -> Callable[P, R]:
        own = {name for name, p in signature(verb).parameters.items() if p.kind is not p.VAR_KEYWORD}
        has = frozenset(own | set(also) | set(() if fields is None else fields.__annotations__))

        @functools.wraps(verb)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            with advice_for(has), access_scope():
                check_arguments(verb, fields, args, kwargs)
                try:
                    return verb(*args, **kwargs)
                except BrokenPipeError:  # whoever reads the output has gone, which is no failure of the run
                    raise
                except (OSError, MemoryError) as error:
                    raise of_system(error) from error

        wrapped.__dict__["arguments"] = has
        return wrapped

    return decorate


def arguments_of(verb: Callable[..., Any]) -> frozenset[str]:
    """Return every argument of a verb that advice may name.

    Parameters
    ----------
    verb
        A function decorated with `names_own_arguments`.

    Returns
    -------
    frozenset of str
        Its arguments.
    """
    return frozenset(verb.__dict__["arguments"])
