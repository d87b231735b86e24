"""Terrains for training: read once, split by geography and checked for leaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import DataError
from terrafine.training.dem.hdf5 import SUFFIXES, Samples, read_samples

__all__ = ["Terrain", "check_leak", "load_terrains", "matching", "split"]

_ROWS = 1024
_PRINT = 12  # cells along a fingerprint
_LATTICE = 61  # cells between fingerprints
_DENSE = 17  # the same in samples of an HDF5 file, which may share a corner only
_TABLE = 1 << 22
_PRIMES = (1_000_003, 15_485_863, 32_452_843, 49_979_687, 67_867_967, 86_028_121)


@dataclass(frozen=True, slots=True)
class Terrain:
    """One elevation model in memory.

    Attributes
    ----------
    name
        Path under the data folder, without suffix.
    heights
        Metres, (y, x), int16 where the file holds whole metres, else float32.
    nodata
        Nodata value of `heights`.
    pixel_size_m
        Metres along y and x by row, (2, y).
    weight
        Relative frequency at which it is drawn.
    zones
        Half-open windows (y0, y1, x0, x1) that may be drawn from.
    samples
        Samples of an HDF5 file, which its patches come from; `heights` are then those of the samples, stacked along y.
    void
        The nodata value of `heights`.
    """

    name: str
    heights: NDArray[np.int16] | NDArray[np.float32]
    nodata: float
    pixel_size_m: NDArray[np.float64]
    weight: float
    zones: tuple[tuple[int, int, int, int], ...]
    samples: Samples | None = None

    def draw_window(self, side: int, rng: np.random.Generator) -> tuple[int, int] | None:
        """Draw the corner of a square window inside one zone, uniformly.

        Parameters
        ----------
        side
            Side of the window in cells.
        rng
            Random number generator.

        Returns
        -------
        tuple[int, int] | None
            Row and column, or None where no window fits.
        """
        room = [max(0, y1 - y0 - side + 1) * max(0, x1 - x0 - side + 1) for y0, y1, x0, x1 in self.zones]
        u, v, w = rng.random(3)
        if not sum(room):
            return None
        i = int(np.searchsorted(np.cumsum(room), u * sum(room), side="right"))
        y0, y1, x0, x1 = self.zones[min(i, len(room) - 1)]
        return y0 + int(v * (y1 - y0 - side + 1)), x0 + int(w * (x1 - x0 - side + 1))

    def draw_sample(self, samples: Samples, rng: np.random.Generator) -> int:
        """Draw the number of a sample inside the zones, uniformly.

        Parameters
        ----------
        samples
            Samples of the terrain.
        rng
            Random number generator.

        Returns
        -------
        int
            Number of the sample.
        """
        side = samples.fine.shape[1]
        known = np.concatenate([np.arange(y0 // side, y1 // side) for y0, y1, _, _ in self.zones])
        return int(known[int(rng.random() * len(known))])

    def usable(self, window: NDArray[np.int16] | NDArray[np.float32]) -> bool:
        """Report whether a window has no nodata.

        Parameters
        ----------
        window
            Heights, (y, x).

        Returns
        -------
        bool
            True where every cell is valid.
        """
        return not bool((window == self.nodata).any())

    def pixel_at(self, row: int) -> tuple[float, float]:
        """Return the pixel size at a row.

        Parameters
        ----------
        row
            Row of the terrain.

        Returns
        -------
        tuple[float, float]
            Metres along y and x.
        """
        return float(self.pixel_size_m[0, row]), float(self.pixel_size_m[1, row])


def load_terrains(root: Path, weights: Mapping[str, float]) -> list[Terrain]:
    """Read every elevation model that a recipe names.

    Parameters
    ----------
    root
        Data folder.
    weights
        Pattern under `root` -> weight, which its files share by their area. A file belongs to the first pattern that
        matches it. HDF5 in the layout of `training.dem.hdf5` needs its orbit behind the pattern,
        `pairs/*.h5#descending`.

    Returns
    -------
    list[Terrain]
        The terrains.

    Raises
    ------
    DataError
        For a pattern without a file, or HDF5 with other content.
    """
    taken: dict[Path, Terrain] = {}
    for entry, weight in weights.items():
        pattern, mark, orbit = entry.rpartition("#")
        pattern = pattern if mark else entry
        files = [p for p in sorted(root.glob(pattern)) if p not in taken]
        if not files:
            raise DataError(
                f"{root / pattern}: no file matches; expected elevation models there, or another data_root=DIR"
            )
        read = [_stacked(p, root, orbit if mark else "") if p.suffix in SUFFIXES else _read(p, root) for p in files]
        cells = sum(t.heights.size for t in read)
        taken.update({p: replace(t, weight=weight * t.heights.size / cells) for p, t in zip(files, read, strict=True)})
    return list(taken.values())


def matching(root: Path, patterns: Iterable[str]) -> list[Path]:
    """List every file that a recipe's patterns match; an orbit behind `#` is ignored.

    Parameters
    ----------
    root
        Data folder.
    patterns
        Patterns under it.

    Returns
    -------
    list[Path]
        Paths of the files.
    """
    return [p for entry in patterns for p in sorted(root.glob(entry.rpartition("#")[0] or entry))]


def split(
    terrains: Iterable[Terrain],
    held_out: Mapping[str, Sequence[float]],
    gap: int,
    *,
    only_validation: bool = False,
) -> tuple[list[Terrain], list[Terrain]]:
    """Split terrains into training and validation by whole files or bands of rows.

    For an HDF5 file the fractions are of its samples in their order, and the gap is whole samples. Their coordinates
    are not known, so the same ground may be on both sides; `check_leak` finds it only where the cells are the same.

    Parameters
    ----------
    terrains
        All terrains of the recipe.
    held_out
        Name -> fractions [from, to) of the rows.
    gap
        Cells between training windows and a held-out band.
    only_validation
        Whether only the held-out terrain is used, so that none need be left for training.

    Returns
    -------
    tuple[list[Terrain], list[Terrain]]
        Training and validation terrains.

    Raises
    ------
    DataError
        For a name that is not among the terrains, and where nothing is left to train on.
    """
    training, validation = [], []
    terrains = list(terrains)
    names = {t.name for t in terrains}
    if missing := sorted(set(held_out) - names):
        raise DataError(f"held-out terrains {missing} are not among the data: {sorted(names)}")
    for t in terrains:
        if t.name not in held_out:
            training.append(t)
            continue
        (height, width), (start, stop) = t.heights.shape, held_out[t.name]
        unit = 1 if t.samples is None else int(t.samples.fine.shape[1])
        a, b = (round(f * (height // unit)) * unit for f in (start, stop))
        validation.append(replace(t, zones=((a, b, 0, width),)))
        away = -(-gap // unit) * unit
        rest = tuple(z for z in ((0, a - away, 0, width), (b + away, height, 0, width)) if z[1] > z[0])
        if rest:
            training.append(replace(t, zones=rest))
    if not training and not only_validation:
        raise DataError(f"all of {sorted(names)} is held out; expected some terrain to train on")
    return training, validation


def check_leak(training: Iterable[Terrain], validation: Iterable[Terrain]) -> None:
    """Refuse validation terrain that is also in a training terrain, whatever the georeference states.

    Fingerprints of the relief on a sparse lattice of the validation zones are searched at every cell of the training
    zones. This finds copies and crops on the same grid, not resampled ones.

    Parameters
    ----------
    training, validation
        Terrains of both sides.

    Raises
    ------
    DataError
        Where the same terrain is on both sides; the message states both positions.
    """
    prints: dict[bytes, str] = {}
    hashes: list[int] = []
    for t in validation:
        for y0, y1, x0, x1 in t.zones:
            for y in _lattice(t, y0, y1):
                for x in range(x0, x1 - _PRINT, _LATTICE if t.samples is None else _DENSE):
                    key = _fingerprint(t.heights[y : y + _PRINT, x : x + _PRINT], t)
                    if key is not None and key not in prints:
                        prints[key] = f"{t.name} row {y} column {x}"
                        hashes.append(int(_row_hashes(t.heights[y : y + 1, x : x + _PRINT])[0, 0]))
    table = np.zeros(_TABLE, bool)
    table[np.asarray(hashes, np.int64) % _TABLE] = True
    for t in training:
        for zone in t.zones:
            _search(t, zone, prints, table)


def _lattice(t: Terrain, start: int, stop: int) -> list[int]:
    """Rows at which fingerprints begin; in samples, such that none reaches into the next."""
    if t.samples is None:
        return list(range(start, stop - _PRINT, _LATTICE))
    side = int(t.samples.fine.shape[1])
    return [top + y for top in range(start, stop, side) for y in range(0, side - _PRINT, _DENSE)]


def _search(t: Terrain, zone: tuple[int, int, int, int], prints: Mapping[bytes, str], table: NDArray[np.bool_]) -> None:
    y0, y1, x0, x1 = zone
    for top in range(y0, y1 - _PRINT, _ROWS):
        rows = t.heights[top : min(top + _ROWS, y1 - _PRINT), x0:x1]
        hits = table[_row_hashes(rows)[:, : x1 - x0 - _PRINT] % _TABLE]
        for y, x in zip(*np.nonzero(hits), strict=True):
            corner = (top + int(y), x0 + int(x))
            key = _fingerprint(t.heights[corner[0] : corner[0] + _PRINT, corner[1] : corner[1] + _PRINT], t)
            if key is not None and key in prints:
                raise DataError(
                    f"{t.name} row {corner[0]} column {corner[1]} holds the same terrain as held-out {prints[key]}; "
                    f"hold out both, or leave one of them out"
                )


def _row_hashes(heights: NDArray[np.int16] | NDArray[np.float32]) -> NDArray[np.int64]:
    """A hash of six differences along x, in decimetres, at each cell that has them; the same for equal relief."""
    h = np.round(heights * np.float32(10)).astype(np.int64)
    width = h.shape[1] - 6
    total = np.zeros((h.shape[0], width), np.int64)
    for i in range(1, 7):
        total += (h[:, i : i + width] - h[:, :width]) * _PRIMES[i - 1]
    return total


def _fingerprint(window: NDArray[np.int16] | NDArray[np.float32], t: Terrain) -> bytes | None:
    """Relief relative to the corner in decimetres, or None where it is void or too flat to be distinguished."""
    if not t.usable(window):
        return None
    relief = np.round(window.astype(np.float32) * 10).astype("<i4")
    relief = (relief - relief[0, 0])[:, 1:]
    if len(np.unique(relief)) < 20 or len(np.unique(relief[0, :6])) < 4:
        return None
    return bytes(relief.tobytes())


def _read(path: Path, root: Path) -> Terrain:
    from terrafine.raster.read.source import open_source  # GDAL, which packed terrain does without

    with open_source(path) as source:
        height, width = source.shape
        heights = np.empty((height, width), np.float32)
        for y in range(0, height, _ROWS):
            values, valid = source.read("elevation", slice(y, min(y + _ROWS, height)), slice(0, width))
            heights[y : y + _ROWS] = np.where(valid, values, np.nan)
        pixel = source.pixel_size_m(slice(0, height))
    known = heights[~np.isnan(heights)]
    whole = bool(np.all(known == np.round(known))) and bool(np.all(np.abs(known) < 32_000))
    del known
    name = path.relative_to(root).with_suffix("").as_posix()
    zones = ((0, height, 0, width),)
    if whole:
        return Terrain(name, np.nan_to_num(heights, nan=-32768).astype(np.int16), -32768, pixel, 1.0, zones)
    return Terrain(name, np.nan_to_num(heights, nan=-32768.0), -32768.0, pixel, 1.0, zones)


def _stacked(path: Path, root: Path, orbit: str) -> Terrain:
    samples = read_samples(path, orbit)
    n, y, x = samples.fine.shape
    pixel = np.full((2, n * y), samples.pixel_size_m)
    name = path.relative_to(root).with_suffix("").as_posix()
    return Terrain(name, samples.fine.reshape(n * y, x), -32768.0, pixel, 1.0, ((0, n * y, 0, x),), samples)
