"""Label rasters in or below a folder, with the names of the images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from terrafine.errors import DataError
from terrafine.raster.read.opened import OpenRaster, open_if_raster

__all__ = ["LabelFolder"]

_NAMED = 4  # files that a message names


class LabelFolder:
    """Files in and below a folder, except the images themselves; links to folders are not followed.

    Parameters
    ----------
    folder
        Path of the folder.
    images
        Paths of the images.

    Raises
    ------
    DataError
        Where the folder holds no other file.
    """

    def __init__(self, folder: Path, images: Sequence[Path]) -> None:
        self.folder = folder
        own = {os.path.realpath(path) for path in images}
        self._images: dict[str, list[Path]] = {}
        for image in images:
            self._images.setdefault(image.stem, []).append(image)
        self._files: dict[str, list[Path]] = {}
        for here, _, names in os.walk(folder):
            for path in (Path(here, name) for name in names):
                if os.path.realpath(path) not in own:
                    self._files.setdefault(path.stem, []).append(path)
        if not self._files:
            raise DataError(f"{folder}: holds no file besides the images; expected rasters named as the images are")

    def raster_of(self, image: Path) -> OpenRaster:
        """Open the raster with the image's stem that shares the deepest folder with it.

        Parameters
        ----------
        image
            Path of the image.

        Returns
        -------
        OpenRaster
            The open raster.

        Raises
        ------
        DataError
            Where there is none, there are several, or it is nearer to another image of that stem.
        """
        named = sorted(self._files.get(image.stem, []))
        with ExitStack() as opened:
            rasters = {path: opened.enter_context(raster) for path in named if (raster := open_if_raster(path))}
            chosen = self._nearest(image, named, list(rasters))
            opened.pop_all()
        for path, raster in rasters.items():
            if path != chosen:
                raster.close()
        return rasters[chosen]

    def _nearest(self, image: Path, named: Sequence[Path], found: Sequence[Path]) -> Path:
        """Which of the rasters `found`, among all files `named` so, is meant; raises DataError."""
        wanted = f"expected a raster of labels named {image.stem}, as {image} is"
        if not found:
            seen = f"{_listed(named)}, none of which GDAL opens as a raster" if named else "nothing of that name"
            raise DataError(f"{self.folder}: found {seen}; {wanted}")
        shared = [_shared(path, image) for path in found]
        nearest = [path for path, depth in zip(found, shared, strict=True) if depth == max(shared)]
        if len(nearest) > 1:
            raise DataError(
                f"{self.folder}: found {len(nearest)} rasters equally near, {_listed(nearest)}; {wanted}, one "
                "of which shares more folders with the image than the others"
            )
        for other in self._images.get(image.stem, []):
            if _shared(nearest[0], other) > max(shared):
                raise DataError(f"{self.folder}: found {nearest[0]}, which is nearer to {other}; {wanted}")
        if len(found) > 1 and nearest[0].parent == image.parent:
            raise DataError(
                f"{self.folder}: found {_listed(found)}, of which the nearest is beside the image and may be a "
                f"picture of it; {wanted}, and no other raster of that name in the image's own folder"
            )
        return nearest[0]


def _shared(one: Path, other: Path) -> int:
    """Number of folders from the root that both paths share."""
    return len(Path(os.path.commonpath([os.path.abspath(p.parent) for p in (one, other)])).parts)  # noqa: PTH100


def _listed(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(map(str, paths[:_NAMED])) + more
