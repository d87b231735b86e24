"""Images in memory: the verbs of images run on them through files in a temporary folder."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.errors import TerrafineError, UsageError
from terrafine.workflows.options import ReadOptions, RunOptions

if TYPE_CHECKING:
    from terrafine.raster.read.image_form import ImageForm

__all__ = ["destination_of", "is_array", "is_dataarray", "only_for_files", "through_image", "warn_of"]


def is_array(source: Any) -> bool:
    """Whether a source is an image in memory and no path.

    Parameters
    ----------
    source
        What a verb was given.

    Returns
    -------
    bool
        True for numpy, a DataArray or a Dataset.
    """
    import numpy as np

    return isinstance(source, np.ndarray) or is_dataarray(source)


def is_dataarray(source: Any) -> bool:
    """Whether a source is a DataArray or a Dataset.

    Parameters
    ----------
    source
        What a verb was given.

    Returns
    -------
    bool
        False for numpy arrays and paths.
    """
    return hasattr(source, "dims") and hasattr(source, "coords")


def destination_of(source: Any, destination: Any, reading: ReadOptions) -> Path:
    """Return the path of an output of files, and refuse what only arrays take.

    Parameters
    ----------
    source
        What the verb was given, no array.
    destination
        What the verb was given.
    reading
        How the input is read.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    UsageError
        If there is none, the source is no path, or a cell size is stated.
    """
    several = source if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    if not several or not all(isinstance(one, (str, os.PathLike)) for one in several):
        raise UsageError(
            f"an image cannot be a {type(source).__name__}; expected a path, several paths, a DataArray, a "
            "Dataset or a numpy array"
        )
    if destination is None:
        raise UsageError("an image in a file needs a destination, the path of the GeoTIFF to write")
    if reading.pixel_size_m is not None:
        raise UsageError("pixel_size_m is for numpy images; for a file without CRS state assume_crs=CRS")
    return Path(destination)


def only_for_files(**given: Any) -> None:
    """Refuse arguments that arrays do not take.

    Parameters
    ----------
    given
        Arguments; None where they were left out.

    Raises
    ------
    UsageError
        If one was given.
    """
    for name, value in given.items():
        if value is not None and value is not False:
            raise UsageError(f"{name} is for an image in a file; the result of an array is an array")


def warn_of(name: str, notes: Iterable[str]) -> None:
    """Warn of what is noted of an array whose result is not computed yet, so that no report can hold it.

    Parameters
    ----------
    name
        What messages call the array.
    notes
        The notes; one that does not begin with the name has it put in front.

    Warns
    -----
    UserWarning
        For each different note.
    """
    for note in dict.fromkeys(notes):
        text = note if note.startswith(name) else f"{name}: {note}"
        warnings.warn(text, UserWarning, stacklevel=5)  # where the verb was called


def through_image(
    source: Any,
    reading: ReadOptions,
    running: RunOptions,
    work: Callable[[Path, Path, ReadOptions, RunOptions], None],
    read_back: Callable[[Path, ImageForm], Any],
) -> Any:
    """Write an image as a file, run a verb on it, and return its results as arrays.

    Parameters
    ----------
    source
        A DataArray, a Dataset or a numpy array.
    reading, running
        Options of the verb.
    work
        Runs the verb: input, output, and the options for files.
    read_back
        Makes the result from the output and the form of the source.

    Returns
    -------
    DataArray or ndarray
        What `read_back` returns.

    Raises
    ------
    TerrafineError
        As the verb; messages name the array and not the temporary files.
    """
    from terrafine.atomic import temporary_folder
    from terrafine.raster.read.image_array import write_image

    only_for_files(creation_options=running.creation_options, stack=reading.stack)
    with temporary_folder() as folder:
        coarse, fine = folder / "image.tif", folder / "result.tif"
        form = write_image(
            source,
            coarse,
            bands=reading.bands,
            pixel_size_m=reading.pixel_size_m,
            located=reading.assume_crs is not None,
        )
        try:
            work(coarse, fine, dataclasses.replace(reading, pixel_size_m=None), running)
        except TerrafineError as error:
            text = str(error).replace(str(coarse), form.name).replace(coarse.name, form.name)
            error.args = (text.replace(str(fine), "the result"),)
            raise
        return read_back(fine, form)
