"""`view`: rasters as a map in the browser. `terrafine view` calls it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from terrafine.errors import SourceError, UsageError
from terrafine.workflows.advice import names_own_arguments

if TYPE_CHECKING:
    from terrafine.viewer.server import Viewer

__all__ = ["view"]

PathLike = str | os.PathLike[str]
_MOST_FILES = 64
_TOGETHER = (".vrt",)
_SINGLE = (".tif", ".tiff")
_PORTS = 65_535


@names_own_arguments()
def view(
    *paths: PathLike,
    port: int = 0,
    allow_folders: Sequence[PathLike] = (),
) -> Viewer:
    """Serve rasters as a map in the browser of this computer, without any network.

    The map draws heights as shaded relief and in 3D, classes in the colours of the file, images and any other quantity.
    Two layers lie side by side under a swipe: input and result, two epochs, two models.

    Parameters
    ----------
    *paths
        Raster files with a CRS, or folders: the VRTs in a folder, or else its GeoTIFFs.
    port
        Port to listen on, 0 for a free one. The server answers to 127.0.0.1 alone.
    allow_folders
        Folders in which the sources of a VRT may lie besides its own.

    Returns
    -------
    Viewer
        The running server: `url`, `wait()` and `close()`; it is a context manager too.

    Raises
    ------
    SourceError, GridError, EmptyError
        For a file that cannot be opened, has no CRS, or holds no valid cell.
    UsageError
        For no file, too many files, or a port that is none.
    OutputError
        For a port that is in use.

    Examples
    --------
    >>> with terrafine.view("glo30.tif", "fine.tif") as viewer:  # doctest: +SKIP
    ...     print(viewer.url)
    ...     viewer.wait()
    """
    from terrafine.raster.read.checks.access import allow
    from terrafine.viewer.layers import Layer, comparable, layers_of
    from terrafine.viewer.server import Viewer

    if not 0 <= port <= _PORTS:
        raise UsageError(f"port {port}: expected 0 to {_PORTS:,}, 0 for a free one")
    chosen = _files(paths)
    layers: list[Layer] = []

    def close() -> None:
        for layer in layers:
            layer.tiles.close()

    try:
        allow(list(allow_folders))
        for number, path in enumerate(chosen):
            layers += layers_of(path, number)
        return Viewer(comparable(layers), port, close)
    except BaseException:
        close()
        raise


def _files(paths: Sequence[PathLike]) -> list[str]:
    """The files themselves, and those of the folders."""
    found: list[str] = []
    for path in paths:
        found += _of_folder(Path(path)) if Path(path).is_dir() else [os.fspath(path)]
    if not found:
        raise UsageError("no file is given; expected one or more rasters, or a folder of them")
    if len(found) > _MOST_FILES:
        raise UsageError(f"{len(found)} files: a map shows up to {_MOST_FILES}; name fewer, or a VRT of them")
    return found


def _of_folder(folder: Path) -> list[str]:
    for suffixes in (_TOGETHER, _SINGLE):
        found = sorted(str(p) for p in folder.iterdir() if p.suffix.lower() in suffixes)
        if found:
            return found
    raise SourceError(f"{folder}: holds no VRT and no GeoTIFF; expected a folder of rasters, or a file")
