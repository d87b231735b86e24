"""`terrafine dataset impervious`: fine images and labels into samples that a network learns sealed ground from.

The recipe is ISASeg's (Deng et al. 2025, arXiv:2505.05367): stratified random squares at least 3 km apart, a fine
image of 1 m, sealed ground labelled at 1 m, and a 10 m image of the same ground. The 10 m image is real and
registered, or made from the fine one by a stated sensor; the index says which.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import terrafine
from terrafine.atomic import written
from terrafine.datasets.impervious.folder import LabelFolder
from terrafine.datasets.impervious.images import FineImage, Labels
from terrafine.datasets.impervious.sites import Place, choose, nearest_between, split
from terrafine.errors import DataError, OutputError, UsageError
from terrafine.physics.sensor_model import SENTINEL2, Sensor
from terrafine.raster.metric_grid import metre_grid
from terrafine.raster.read.content_type import open_labels
from terrafine.raster.read.labels import UNKNOWN, LabelRaster, open_label_raster
from terrafine.raster.read.rasterize import read_shapes
from terrafine.raster.read.source import Source, open_source
from terrafine.raster.write.small_image import write_patch

__all__ = ["FORMAT", "SCALE", "build_dataset"]

FORMAT = "terrafine-impervious/1"
SCALE = 10
STORED = 10_000
"""Reflectance times this is what the samples' files hold."""

PathLike = str | os.PathLike[str]
_COLOURS = 8  # beside those listed that a note tells
_VECTORS = {".geojson", ".json", ".gpkg", ".shp", ".fgb", ".parquet"}
_FULL_SCALE = {"uint8": 255.0, "uint16": 10_000.0, "int16": 10_000.0}


def build_dataset(
    images: Sequence[PathLike],
    labels: Sequence[PathLike],
    out: PathLike,
    *,
    sealed: Sequence[str] = ("1",),
    unknown: Sequence[str] = (),
    road_widths: Mapping[str, float] | None = None,
    bands: Sequence[str] = ("red", "green", "blue"),
    band_numbers: Mapping[str, int] | None = None,
    full_scale: float | None = None,
    pixel_size_m: float | None = None,
    coarse: PathLike | None = None,
    coarse_scale: float = STORED,
    histogram_of: PathLike | None = None,
    sensor: Sensor = SENTINEL2,
    regions: PathLike | None = None,
    side: int = 320,
    count: int | None = None,
    spacing_m: float = 3000.0,
    shares: Mapping[str, float] | None = None,
    hold_out: Mapping[str, str] | None = None,
    block_m: float = 5000.0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write samples and `index.json` into the folder `out`, and return the index.

    images         fine images; those without CRS need `pixel_size_m`
    labels         vector files (polygons, and roads as wide as `read_shapes` says), rasters, or folders in and below
                   which lies a raster named as each image: of several, that which shares the deepest folder with it;
                   `sealed` and `unknown` are the classes or colours of rasters
    full_scale     what images hold for a reflectance of 1; by default 255 of bytes, 10,000 of 16 bits, 1 of floats
    coarse         a real coarse image of the same ground, registered by correlation; without it the `sensor` makes one
    histogram_of   a coarse image whose histogram the fine images are given, band by band
    regions        a raster of integers: the strata
    side           metres along a sample, a multiple of 10; `count`, `spacing_m`, `seed`: see `places.choose`
    shares         share of samples by split, by default val 0.15 and test 0.15; blocks of `block_m` metres, or folders
                   of images without CRS, stay whole
    hold_out       {split: text in the path of images whose samples go there}

    Same inputs and seed, same bytes. Raises UsageError, DataError, OutputError, and what reading raises.
    """
    if side < 4 * SCALE or side % SCALE or block_m <= 0:
        raise UsageError(
            f"side {side} m, blocks of {block_m:g} m; expected a multiple of {SCALE}, at least {4 * SCALE}"
        )
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"{target}: exists and is not an empty folder; choose another name, or remove it")
    listed = sorted(Path(i) for i in images)
    if not listed or not labels:
        raise UsageError("found no image or no label; expected at least one of each")
    strata = None if regions is None else _Regions(open_labels(regions))
    real = None if coarse is None else open_source(coarse, want=tuple(bands), check_range=False)
    like = None if histogram_of is None else _histograms(histogram_of, bands, coarse_scale)
    where = [LabelFolder(p, listed) if p.is_dir() and not _vector(p) else p for p in map(Path, labels)]
    fine = [
        _open(path, where, sealed, unknown, road_widths, bands, band_numbers, full_scale, pixel_size_m)
        for path in listed
    ]
    for image in fine:
        image.real, image.real_scale = real, coarse_scale
        if like is not None:
            image.learn_tones(like)
        image.learn_shift()
    places = [p for i, image in enumerate(fine) for p in image.squares(i, side, block_m, strata)]
    if not places:
        raise DataError(
            f"{len(fine)} images hold no square of {side} m whose pixels are all valid and half of whose labels are "
            "known; expected at least one: choose a smaller side"
        )
    choice = choose(places, count, spacing_m, float(side), seed)
    taken = [places[i] for i in choice.taken]
    held = _held(listed, hold_out or {})
    splits, notes = split(taken, {"val": 0.15, "test": 0.15} if shares is None else shares, held, seed)
    notes += _notes(fine, choice.spacing_m, spacing_m, taken, real)
    target.mkdir(parents=True, exist_ok=True)
    samples, besides, folders = [], _Besides(), _folders(listed)
    for i, (place, part) in enumerate(zip(taken, splits, strict=True)):
        image = fine[place.image]
        samples.append(_write(target, f"{i:05d}", image, place, part, side, sensor, seed, folders[image.path]))
        besides.look(image, place, side)
        if progress is not None:
            progress(i + 1, len(taken))
    index = {
        "format": FORMAT,
        "terrafine": terrafine.__version__,
        "bands": list(bands),
        "scale": SCALE,
        "fine_m": 1.0,
        "side": side,
        "stored_per_reflectance": STORED,
        "label": {"0": "other", "1": "impervious", str(UNKNOWN): "not known"},
        "coarse": {"real": Path(coarse).name} if coarse is not None else {"sensor": asdict(sensor)},
        "histogram_of": None if histogram_of is None else Path(histogram_of).name,
        "labels": [Path(p).name for p in labels],
        "regions": None if regions is None else Path(regions).name,
        "spacing_m": {"wanted": spacing_m, "reached": choice.spacing_m},
        "nearest_between_splits_m": nearest_between(taken, splits),
        "block_m": block_m,
        "seed": seed,
        "notes": notes + besides.notes(),
        "samples": samples,
    }
    _publish(target / "index.json", json.dumps(index, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return index


class _Besides:
    """Colours of the masks' cells in the samples that are neither sealed nor unknown."""

    def __init__(self) -> None:
        self._looked, self._masks = 0, set[str]()
        self._cells, self._in = Counter[str](), defaultdict[str, set[str]](set)

    def look(self, image: FineImage, place: Place, side: int) -> None:
        """Count those of a sample's masks."""
        grid = image.grid[place.row : place.row + side, place.col : place.col + side]
        for raster in (r for r in image.labels if isinstance(r, LabelRaster) and r.painted):
            mask = raster.source.paths[0]
            self._looked += int(grid.shape[0] * grid.shape[1])
            self._masks.add(mask)
            for colour, cells in raster.unlisted(grid).items():
                self._cells[colour] += cells
                self._in[colour].add(mask)

    def notes(self) -> list[str]:
        """One line, the commonest first; none where every colour is listed."""
        if not self._cells:
            return []
        told = [f"{c} {n / self._looked:.1%} in {len(self._in[c])}" for c, n in self._cells.most_common(_COLOURS)]
        more = f" and {len(self._cells) - _COLOURS} more" if len(self._cells) > _COLOURS else ""
        return [
            f"Colours neither sealed nor unknown count as not sealed; share of the samples' cells, and in how many of "
            f"{len(self._masks)} masks: {', '.join(told)}{more}."
        ]


class _Regions:
    """Integers at the middle of a square."""

    def __init__(self, source: Source) -> None:
        self._raster = LabelRaster(source, (), ())

    def burn(self, geobox: Any) -> Any:
        return self._raster.numbers(geobox)


def _open(
    path: Path,
    labels: Sequence[Path | LabelFolder],
    sealed: Sequence[str],
    unknown: Sequence[str],
    road_widths: Mapping[str, float] | None,
    bands: Sequence[str],
    numbers: Mapping[str, int] | None,
    full_scale: float | None,
    pixel_size_m: float | None,
) -> FineImage:
    source = open_source(path, want=tuple(bands), bands=numbers, check_range=False, pixel_size_m=pixel_size_m)
    grid = metre_grid(source)
    found: list[Labels] = []
    for label in labels:
        if isinstance(label, Path) and _vector(label):
            found.append(read_shapes(label, None if grid.crs is None else grid.crs.to_wkt(), road_widths))
        else:
            raster = label.of(path) if isinstance(label, LabelFolder) else label
            found.append(open_label_raster(raster, sealed, unknown, pixel_size_m))
    if full_scale is None:
        dtype = str(next(iter(source.describe()["bands"].values()))["dtype"])
        full_scale = 1.0 if source.scaled else _FULL_SCALE.get(dtype, 1.0)
    return FineImage(path, source, grid, tuple(bands), full_scale, found, SCALE)


def _vector(path: Path) -> bool:
    return path.suffix.lower() in _VECTORS


def _histograms(path: PathLike, bands: Sequence[str], scale: float) -> dict[str, Any]:
    source = open_source(path, want=tuple(bands), check_range=False)
    out = {}
    for band in bands:
        size = [min(n, 4096) for n in source.shape]
        values, valid = source.read(band, slice(0, size[0]), slice(0, size[1]))
        if not valid.any():
            raise DataError(f"{path}: band {band} is void; expected an image to take the histogram of")
        out[band] = values[valid] / scale
    return out


def _held(images: Sequence[Path], hold_out: Mapping[str, str]) -> dict[int, str]:
    held = {i: name for i, path in enumerate(images) for name, text in hold_out.items() if text in path.as_posix()}
    for name, text in hold_out.items():
        if name not in held.values():
            raise UsageError(f"hold out {name}: no image has {text!r} in its path; expected at least one")
    return held


def _notes(
    fine: Sequence[FineImage], reached: Mapping[str, float], wanted: float, taken: Sequence[Place], real: Source | None
) -> list[str]:
    notes = [
        f"Region {region}: the area does not allow {wanted:g} m between samples; {m:g} m were kept."
        for region, m in reached.items()
        if m < wanted
    ]
    frames = {p.frame for p in taken} - {"earth"}
    if frames:
        notes.append(
            f"{len(frames)} images have no CRS: how far their samples lie from those of other images is not known."
        )
    if real is not None:
        lost = sum(image.shift is None for image in fine)
        notes.append(
            f"{len(fine) - lost} of {len(fine)} images were registered to the coarse image; the rest lie as they are."
        )
    return notes


def _folders(images: Sequence[Path]) -> dict[Path, str]:
    """The folder of each image as the index tells it: `tile_3/images`, from where the ways of all part."""
    folders = {path: Path(os.path.abspath(path.parent)) for path in images}  # noqa: PTH100
    common = os.path.commonpath([folder.parent for folder in folders.values()])
    return {path: folder.relative_to(common).as_posix() for path, folder in folders.items()}


def _write(
    target: Path,
    name: str,
    image: FineImage,
    place: Place,
    part: str,
    side: int,
    sensor: Sensor,
    seed: int,
    folder: str,
) -> dict[str, Any]:
    sample = image.cut(place, side, sensor, np.random.default_rng([seed, place.image, place.row, place.col]))
    for suffix, values, grid in (("fine", sample.fine, sample.grid), ("coarse", sample.coarse, sample.coarse_grid)):
        stored = np.clip(np.round(values * STORED), 0, 65_535).astype(np.uint16)
        write_patch(target / f"{name}_{suffix}.tif", stored, grid, image.bands)
    write_patch(target / f"{name}_label.tif", sample.label[None], sample.grid, ("class",), UNKNOWN)
    known = sample.label != UNKNOWN
    shift = None if image.shift is None else [image.shift.dy, image.shift.dx]
    return {
        "name": name,
        "split": part,
        "region": place.region,
        "image": image.path.name,
        "folder": folder,
        "row_col": [place.row, place.col],
        "block": place.block if place.frame == "earth" else folder,
        "impervious": float((sample.label == 1).sum() / max(1, known.sum())),
        "known": float(known.mean()),
        "registered_cells": shift,
    }


def _publish(path: Path, text: str) -> None:
    try:
        with written(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error}); free space or choose another folder") from error
