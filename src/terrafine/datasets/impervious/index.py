"""`index.json` of a data set: origin and split of every sample, the options, and notes."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terrafine.atomic import write_whole
from terrafine.datasets.impervious.fine_image import FineImage
from terrafine.datasets.impervious.options import SCALE, STORED, DatasetOptions
from terrafine.datasets.impervious.sites import SampleSite, nearest_between
from terrafine.errors import OutputError
from terrafine.raster.read.labels import UNKNOWN, LabelRaster
from terrafine.version import __version__

__all__ = ["FORMAT", "UnlistedColours", "image_folders", "index_of", "notes_of", "write_index"]

FORMAT = "terrafine-impervious/1"
_COLOURS = 8  # unlisted colours that a note names


def index_of(
    options: DatasetOptions,
    labels: Sequence[str | os.PathLike[str]],
    sites: Sequence[SampleSite],
    splits: Sequence[str],
    spacing_m: Mapping[str, float],
    notes: list[str],
    samples: list[dict[str, Any]],
) -> dict[str, Any]:
    """Create the index as plain JSON data.

    Parameters
    ----------
    options
        Options of the data set.
    labels
        Paths of the labels.
    sites
        Sites of the samples.
    splits
        Split of each sample.
    spacing_m
        Spacing reached in each region, metres.
    notes
        Notes for the user.
    samples
        Entries of the samples.

    Returns
    -------
    dict[str, Any]
        The index.
    """
    coarse = {"sensor": asdict(options.sensor)} if options.coarse is None else {"real": Path(options.coarse).name}
    return {
        "format": FORMAT,
        "terrafine": __version__,
        "bands": list(options.bands),
        "scale": SCALE,
        "fine_m": 1.0,
        "side": options.side,
        "stored_per_reflectance": STORED,
        "label": {"0": "other", "1": "impervious", str(UNKNOWN): "not known"},
        "coarse": coarse,
        "histogram_of": None if options.histogram_of is None else Path(options.histogram_of).name,
        "labels": [Path(p).name for p in labels],
        "regions": None if options.regions is None else Path(options.regions).name,
        "spacing_m": {"wanted": options.spacing_m, "reached": dict(spacing_m)},
        "nearest_between_splits_m": nearest_between(sites, splits),
        "block_m": options.block_m,
        "seed": options.seed,
        "notes": notes,
        "samples": samples,
    }


def write_index(path: Path, index: Mapping[str, Any]) -> None:
    """Write the index, completely or not at all.

    Parameters
    ----------
    path
        File to write.
    index
        The index.

    Raises
    ------
    OutputError
        Where the file cannot be written.
    """
    text = json.dumps(index, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error}); free space or choose another folder") from error


def notes_of(
    fine: Sequence[FineImage], sites: Sequence[SampleSite], reached: Mapping[str, float], options: DatasetOptions
) -> list[str]:
    """Write notes for the user on spacing that was not reached, images without CRS and images that were not registered.

    Parameters
    ----------
    fine
        Images of the data set.
    sites
        Sites of the samples.
    reached
        Spacing reached in each region, metres.
    options
        Options of the data set.

    Returns
    -------
    list[str]
        The notes.
    """
    wanted = options.spacing_m
    notes = [
        f"Region {region}: the area does not allow {wanted:g} m between samples; {m:g} m were kept."
        for region, m in reached.items()
        if m < wanted
    ]
    frames = {s.frame for s in sites} - {"earth"}
    if frames:
        notes.append(
            f"{len(frames)} images have no CRS: the distance of their samples from those of other images is not known."
        )
    if options.coarse is not None:
        lost = sum(image.shift is None for image in fine)
        notes.append(
            f"{len(fine) - lost} of {len(fine)} images were registered to the coarse image; the others were not moved."
        )
    return notes


def image_folders(images: Sequence[Path]) -> dict[Path, str]:
    """Return the folder of each image relative to the folder that all images share, such as `tile_3/images`.

    Parameters
    ----------
    images
        Paths of the images.

    Returns
    -------
    dict[Path, str]
        Path -> folder.
    """
    folders = {path: Path(os.path.abspath(path.parent)) for path in images}  # noqa: PTH100
    common = os.path.commonpath([folder.parent for folder in folders.values()])
    return {path: folder.relative_to(common).as_posix() for path, folder in folders.items()}


class UnlistedColours:
    """Counter of colours in the masks of the samples that are listed neither as impervious nor as unknown."""

    def __init__(self) -> None:
        self._counted, self._masks = 0, set[str]()
        self._cells, self._masks_of = Counter[str](), defaultdict[str, set[str]](set)

    def count(self, image: FineImage, site: SampleSite, side: int) -> None:
        """Count the unlisted cells in the masks of a sample.

        Parameters
        ----------
        image
            Image of the sample.
        site
            Site of the sample.
        side
            Side of the sample in cells.
        """
        grid = image.grid[site.row : site.row + side, site.col : site.col + side]
        for raster in (r for r in image.labels if isinstance(r, LabelRaster) and r.painted):
            mask = raster.source.paths[0]
            self._counted += int(grid.shape[0] * grid.shape[1])
            self._masks.add(mask)
            for colour, cells in raster.unlisted(grid).items():
                self._cells[colour] += cells
                self._masks_of[colour].add(mask)

    def notes(self) -> list[str]:
        """Return one note with the most frequent colours first, or none where every colour is listed."""
        if not self._cells:
            return []
        named = [
            f"{c} {100 * n / self._counted:.1f} % in {len(self._masks_of[c])}"
            for c, n in self._cells.most_common(_COLOURS)
        ]
        more = f" and {len(self._cells) - _COLOURS} more" if len(self._cells) > _COLOURS else ""
        return [
            "Colours listed neither as impervious nor as unknown count as not impervious; share of the samples' cells, "
            f"and in how many of {len(self._masks)} masks: {', '.join(named)}{more}."
        ]
