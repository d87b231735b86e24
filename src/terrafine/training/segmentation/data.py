"""Samples written by `terrafine dataset`, and batches of patches of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray

from terrafine.errors import DataError
from terrafine.nn.dihedral import COUNT, transform
from terrafine.nn.task import SampleBatch
from terrafine.raster.write.small_image import read_patch
from terrafine.schema.check import filled
from terrafine.schema.files import read_json
from terrafine.schema.types import Items, Name, Within, shown
from terrafine.training.batches import Domain
from terrafine.training.domain import SEEN_BATCHES, band_quantiles

__all__ = ["Sample", "SampleSampler", "load_all", "load_samples", "sample_bands", "sample_files", "stack"]

K = 10
_MOST_BYTES = 100_000_000
_INDEX: Mapping[str, Any] = {
    "format": str,
    "scale": int,
    "bands": Annotated[Sequence[Name], Items(1, 16)],
    "stored_per_reflectance": Annotated[float, Within(0, 1e9, above=True)],
    "samples": Sequence[Mapping[str, Any]],
}
_SAMPLE: Mapping[str, Any] = {"name": Name, "split": Name, "image": str}


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample as stored.

    Attributes
    ----------
    name
        Name of the sample.
    split
        Split that it belongs to.
    image
        Image that it comes from.
    coarse, fine
        Images in units of `unit` reflectance, (band, y, x) and (band, k·y, k·x).
    label
        Class numbers, (k·y, k·x), 255 where not known.
    unit
        Reflectance of one unit of `coarse` and `fine`.
    """

    name: str
    split: str
    image: str
    coarse: NDArray[np.uint16]
    fine: NDArray[np.uint16]
    label: NDArray[np.uint8]
    unit: float


def load_all(folders: Sequence[Path], splits: Sequence[str], bands: int = 3, limit: int | None = None) -> list[Sample]:
    """Read the samples of some splits in all folders, in the order of their indices.

    Parameters
    ----------
    folders
        Folders that `terrafine dataset` wrote.
    splits
        Names of splits; a split may be empty in some of several folders.
    bands
        Number of bands that every sample must have.
    limit
        Largest number of samples, evenly spread; None reads all.

    Returns
    -------
    list[Sample]
        The samples.

    Raises
    ------
    DataError
        For a folder without index, an index of another form, other bands, or a split that is empty in all.
    """
    listed = [(folder, *_index(folder, bands)) for folder in folders]
    known = {record["split"] for _, records, _ in listed for record in records}
    for split in splits:
        if split not in known:
            names = ", ".join(str(folder / "index.json") for folder in folders)
            raise DataError(f"{names}: no sample is in split {split!r}; found {', '.join(sorted(known))}")
    taken = [(f, r, unit) for f, records, unit in listed for r in records if r["split"] in splits]
    if limit is not None and len(taken) > limit:
        taken = [taken[i] for i in np.linspace(0, len(taken) - 1, limit).round().astype(int)]
    return [_read(folder, record, unit) for folder, record, unit in taken]


def load_samples(folder: Path, splits: Sequence[str], bands: int = 3, limit: int | None = None) -> list[Sample]:
    """Read the samples of some splits in one folder.

    Parameters
    ----------
    folder
        Folder that `terrafine dataset` wrote.
    splits, bands, limit
        As in `load_all`.

    Returns
    -------
    list[Sample]
        The samples.

    Raises
    ------
    DataError
        As `load_all`.
    """
    return load_all([folder], splits, bands, limit)


def sample_files(folder: Path, splits: Collection[str]) -> list[Path]:
    """List the index of a folder and the files of its samples in some splits.

    Parameters
    ----------
    folder
        Folder that `terrafine dataset` wrote.
    splits
        Names of the splits.

    Returns
    -------
    list[Path]
        Paths of the files.

    Raises
    ------
    DataError
        Where there is no index.
    """
    records = [r for r in _index(folder, None)[0] if r["split"] in splits]
    names = [f"{r['name']}_{part}.tif" for r in records for part in ("coarse", "fine", "label")]
    return [folder / "index.json", *(folder / name for name in names)]


def sample_bands(folder: Path) -> int:
    """Count the bands of the samples of a folder.

    Parameters
    ----------
    folder
        Folder that `terrafine dataset` wrote.

    Returns
    -------
    int
        Number of bands.

    Raises
    ------
    DataError
        Where there is no index.
    """
    _index(folder, None)
    index = read_json(folder / "index.json", DataError, "the index of a folder of samples", _MOST_BYTES)
    return len(index["bands"])


def _index(folder: Path, bands: int | None) -> tuple[list[dict[str, str]], float]:
    """The records of a folder's samples, and the reflectance of one stored number."""
    path = folder / "index.json"
    index = read_json(path, DataError, "the index of a folder of `terrafine dataset impervious`", _MOST_BYTES)
    found = {key: index.get(key) for key in _INDEX} if isinstance(index, dict) else {}
    if not str(found.get("format", "")).startswith("terrafine-impervious/1") or found.get("scale") != K:
        kind, scale = shown(found.get("format")), shown(found.get("scale"))
        raise DataError(f"{path}: format {kind}, scale {scale}; expected samples of ×{K}")
    index = filled(_INDEX, found, f"{path}: [index]", DataError)
    if bands is not None and len(index["bands"]) != bands:
        raise DataError(f"{path}: holds {', '.join(index['bands'])}; expected {bands} bands, as [network] bands says")
    samples = [{key: record.get(key) for key in _SAMPLE} for record in index["samples"]]
    checked = [filled(_SAMPLE, r, f"{path}: [samples {n}]", DataError) for n, r in enumerate(samples)]
    return checked, 1.0 / float(index["stored_per_reflectance"])


def _read(folder: Path, record: Mapping[str, str], unit: float) -> Sample:
    coarse, fine, label = (read_patch(folder / f"{record['name']}_{part}.tif") for part in ("coarse", "fine", "label"))
    if fine.shape[-2:] != tuple(K * n for n in coarse.shape[-2:]) or label.shape[-2:] != fine.shape[-2:]:
        raise DataError(
            f"{folder / record['name']}: coarse {coarse.shape}, fine {fine.shape}, label {label.shape}; expected sides "
            f"of {K} to one; make the samples again"
        )
    return Sample(record["name"], record["split"], record["image"], coarse, fine, label[0].astype(np.uint8), unit)


@dataclass(frozen=True, slots=True)
class SampleSampler:
    """Sampler of batches of patches, reflected and rotated; the same seed and step give the same batch.

    Attributes
    ----------
    samples
        Samples that patches are drawn from.
    size, batch
        Coarse cells along a patch, and patches in a batch.
    seed
        Seed of everything random.
    light, haze
        As in `recipe.SamplePatches`.
    phase
        Function from step to weights of losses by name.
    """

    samples: Sequence[Sample]
    size: int
    batch: int
    seed: int
    light: float
    phase: Callable[[int], Mapping[str, float]]
    haze: float = 0.0

    def __call__(self, step: int) -> SampleBatch:
        """The batch of that step."""
        rng = np.random.default_rng([self.seed, step])
        return stack([self._one(rng) for _ in range(self.batch)], self.phase(step))

    def domain(self) -> Domain:
        """Compute quantiles of red, green and blue over the first batches, with light and haze as in training."""
        values = [self(step).coarse.transpose(0, 1).flatten(1).numpy() for step in range(SEEN_BATCHES)]
        return band_quantiles(np.concatenate(values, axis=1))

    def _one(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
        sample = self.samples[int(rng.integers(len(self.samples)))]
        height, width = sample.coarse.shape[-2:]
        if min(height, width) < self.size:
            raise DataError(
                f"sample {sample.name} has {height} × {width} coarse cells; expected [patches] size {self.size} or more"
            )
        y, x = int(rng.integers(height - self.size + 1)), int(rng.integers(width - self.size + 1))
        patch = crop(sample, y, x, self.size)
        turn, gains = int(rng.integers(COUNT)), rng.normal(0, 1, (1 + len(patch[0]), 1, 1))
        coarse, fine = (np.ascontiguousarray(transform(a, turn)) for a in patch[:2])
        label = np.ascontiguousarray(transform(patch[2], turn))
        if self.light:
            gain = np.exp(self.light * (gains[:1] + 0.5 * gains[1:])).astype(np.float32)
            coarse, fine = coarse * gain, fine * gain
        if self.haze:
            offset = rng.uniform(-self.haze, self.haze, (len(coarse), 1, 1)).astype(np.float32)
            coarse, fine = coarse + offset, fine + offset
        return coarse, fine, label


def crop(
    sample: Sample, y: int, x: int, size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Coarse and fine reflectance and label of a square of `size` coarse cells."""
    at = np.s_[y : y + size, x : x + size]
    fine = np.s_[y * K : (y + size) * K, x * K : (x + size) * K]
    unit = np.float32(sample.unit)
    return sample.coarse[:, at[0], at[1]] * unit, sample.fine[:, fine[0], fine[1]] * unit, sample.label[fine]


def stack(
    patches: Sequence[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]], phase: Mapping[str, float]
) -> SampleBatch:
    """Stack patches to one batch of tensors.

    Parameters
    ----------
    patches
        Coarse image, fine image and label of each patch.
    phase
        Weights of losses by name.

    Returns
    -------
    SampleBatch
        The batch.
    """
    coarse, fine, label = (torch.from_numpy(np.stack(a)) for a in zip(*patches, strict=True))
    return SampleBatch(coarse.float(), fine.float(), label, phase)
