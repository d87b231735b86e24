"""Samples of impervious surface from fine images and labels, for training a network.

The method is that of ISASeg (Deng et al. 2025, https://arxiv.org/abs/2505.05367): stratified random squares at least
3 km apart, a fine image of 1 m, impervious surface labelled at 1 m, and a 10 m image of the same ground. The 10 m image
is real and registered, or simulated from the fine one by a stated sensor model; the index states which.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from terrafine.datasets.impervious.fine_image import FineImage
from terrafine.datasets.impervious.index import FORMAT, UnlistedColours, image_folders, index_of, notes_of, write_index
from terrafine.datasets.impervious.inputs import histograms, is_vector, open_images, require_files
from terrafine.datasets.impervious.options import SCALE, STORED, DatasetFields, DatasetOptions, merged
from terrafine.datasets.impervious.sites import SampleSite, choose_sites, split_sites
from terrafine.errors import DataError, OutputError, UsageError
from terrafine.raster.read.content_type import open_labels
from terrafine.raster.read.labels import UNKNOWN, LabelRaster
from terrafine.raster.read.source import open_source
from terrafine.raster.write.small_image import write_patch

__all__ = ["FORMAT", "SCALE", "STORED", "build_dataset"]

PathLike = str | os.PathLike[str]


def build_dataset(
    images: Sequence[PathLike],
    labels: Sequence[PathLike],
    out: PathLike,
    options: DatasetOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **fields: Unpack[DatasetFields],
) -> dict[str, Any]:
    """Write samples and `index.json` into a new folder.

    The same inputs and seed give the same bytes.

    Parameters
    ----------
    images
        Fine images; those without CRS need `pixel_size_m`.
    labels
        Vector files (polygons, and roads with the widths of `read_shapes`), rasters, or folders. In and below a folder,
        the raster of an image has its name; of several, the one that shares the deepest folder with the image is used.
    out
        A new or empty folder.
    options
        How samples are read, made and selected.
    progress
        Function that is called after each sample with the number written and the total.
    **fields
        Single fields of `DatasetOptions`, which take precedence over `options`.

    Returns
    -------
    dict
        The index, as written.

    Raises
    ------
    UsageError
        For an option out of range.
    DataError
        Where images and labels hold no sample.
    OutputError
        Where `out` is not an empty folder or cannot be written.
    SourceError
        Where a file cannot be read.
    """
    chosen = merged(options, fields)
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"{target}: exists and is not an empty folder; choose another name, or remove it")
    listed = sorted(Path(i) for i in images)
    if not listed or not labels:
        raise UsageError("found no image or no label; expected at least one of each")
    held = _held_out(listed, chosen.hold_out or {})
    require_files(target, listed, list(map(Path, labels)), chosen)
    with ExitStack() as sources:
        fine = _prepared(listed, list(map(Path, labels)), chosen, sources)
        sites, splits, spacing, notes = _selected(fine, held, chosen, sources)
        with _emptied_on_failure(target):
            colours, folders, samples = UnlistedColours(), image_folders(listed), []
            for i, (site, part) in enumerate(zip(sites, splits, strict=True)):
                image = fine[site.image]
                samples.append(_write_sample(target, f"{i:05d}", image, site, part, chosen, folders[image.path]))
                colours.count(image, site, chosen.side)
                if progress is not None:
                    progress(i + 1, len(sites))
            _require_impervious(samples, labels, chosen)
            index = index_of(chosen, labels, sites, splits, spacing, notes + colours.notes(), samples)
            write_index(target / "index.json", index)
    return index


@contextmanager
def _emptied_on_failure(folder: Path) -> Iterator[None]:
    """Make a folder, or take an empty one; after a failure it is as before, so that the next run is not refused."""
    there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in folder.iterdir():
            path.unlink()
        if not there:
            folder.rmdir()
        raise


def _prepared(images: list[Path], labels: list[Path], options: DatasetOptions, sources: ExitStack) -> list[FineImage]:
    """Every image opened, its histogram matched and its coarse image registered."""
    real = None
    if options.coarse is not None:
        real = sources.enter_context(open_source(options.coarse, want=tuple(options.bands), check_range=False))
    like = None if options.histogram_of is None else histograms(options)
    fine = open_images(images, labels, options, sources)
    for image in fine:
        image.real, image.real_scale = real, options.coarse_scale
        if like is not None:
            image.match_histograms(like)
        image.register()
    return fine


def _selected(
    fine: list[FineImage], held: Mapping[int, str], options: DatasetOptions, sources: ExitStack
) -> tuple[list[SampleSite], list[str], dict[str, float], list[str]]:
    """Sites that are sampled, the split of each, the spacing reached in each region, and notes."""
    strata = None
    if options.regions is not None:
        strata = sources.enter_context(LabelRaster(open_labels(options.regions), (), ()))
    candidates = [s for i, image in enumerate(fine) for s in image.sites(i, options.side, options.block_m, strata)]
    if not candidates:
        raise DataError(
            f"{len(fine)} images hold no square of {options.side} m whose pixels are all valid and half of whose "
            "labels are known; expected at least one: choose a smaller side"
        )
    choice = choose_sites(candidates, options.count, options.spacing_m, float(options.side), options.seed)
    sites = [candidates[i] for i in choice.chosen]
    shares = {"val": 0.15, "test": 0.15} if options.shares is None else options.shares
    splits, notes = split_sites(sites, shares, held, options.seed)
    return sites, splits, choice.spacing_m, notes + notes_of(fine, sites, choice.spacing_m, options)


def _require_impervious(
    samples: Sequence[Mapping[str, Any]], labels: Sequence[PathLike], options: DatasetOptions
) -> None:
    """Refuse samples without one impervious cell: most often the labels use other numbers or colours."""
    if any(sample["impervious"] > 0 for sample in samples):
        return
    named = ", ".join(map(str, labels[:3])) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
    if all(is_vector(Path(label)) for label in labels):
        raise DataError(
            f"{named}: none of the {len(samples)} samples holds a cell under one of their polygons or lines; expected "
            "some. Check that the vectors cover the images, and that their CRS is the right one"
        )
    raise DataError(
        f"{named}: none of the {len(samples)} samples holds a cell of {' or '.join(options.impervious)}, which is "
        "taken as impervious; expected some. State the classes or colours of the labels that are impervious"
    )


def _held_out(images: Sequence[Path], hold_out: Mapping[str, str]) -> dict[int, str]:
    """Split of each image whose path holds the text of that split."""
    held = {i: name for i, path in enumerate(images) for name, text in hold_out.items() if text in path.as_posix()}
    for name, text in hold_out.items():
        if name not in held.values():
            raise UsageError(f"hold out {name}: no image has {text!r} in its path; expected at least one")
    return held


def _write_sample(
    target: Path, name: str, image: FineImage, site: SampleSite, part: str, options: DatasetOptions, folder: str
) -> dict[str, Any]:
    """Write the three files of a sample; returns its entry in the index."""
    rng = np.random.default_rng([options.seed, site.image, site.row, site.col])
    sample = image.sample(site, options.side, options.sensor, rng)
    for suffix, values, grid in (("fine", sample.fine, sample.grid), ("coarse", sample.coarse, sample.coarse_grid)):
        stored = np.clip(np.round(values * STORED), 0, 65_535).astype(np.uint16)
        write_patch(target / f"{name}_{suffix}.tif", stored, grid, image.bands)
    write_patch(target / f"{name}_label.tif", sample.label[None], sample.grid, ("class",), UNKNOWN)
    known = sample.label != UNKNOWN
    return {
        "name": name,
        "split": part,
        "region": site.region,
        "image": image.path.name,
        "folder": folder,
        "row_col": [site.row, site.col],
        "block": site.block if site.frame == "earth" else folder,
        "impervious": float((sample.label == 1).sum() / max(1, known.sum())),
        "known": float(known.mean()),
        "registered_cells": None if image.shift is None else [image.shift.dy, image.shift.dx],
    }
