"""Task of elevation super-resolution: fine terrain is degraded to coarse heights during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import nn

from terrafine.errors import MissingExtraError
from terrafine.nn.system import TrainingBatch
from terrafine.training.batches import Batches, Domain
from terrafine.training.dem.degrade import Family
from terrafine.training.dem.hdf5 import SUFFIXES
from terrafine.training.dem.operators import patch_device
from terrafine.training.dem.packed import read_pack, read_packed_pair, write_pack
from terrafine.training.dem.pair_ground import require_apart, require_same_rows
from terrafine.training.dem.patches import Sampler
from terrafine.training.dem.real_pair import PairCells, load_pair
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.dem.scores import calibrate, equivariance_error, score
from terrafine.training.dem.terrain import Terrain, check_leak, load_terrains, matching, split
from terrafine.training.task import Task

__all__ = ["TASK", "DemTask", "read_data"]

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class ScalesInTurn:
    """Sampler of batches of each scale in turn.

    Attributes
    ----------
    samplers
        Samplers of the training terrain, one for each scale.
    device
        Where batches are made.
    """

    samplers: Sequence[Sampler]
    device: torch.device = _CPU

    def __call__(self, step: int) -> TrainingBatch:
        """The batch of that step."""
        sampler = self.samplers[step % len(self.samplers)]
        return sampler.tensors(step, self.device)

    def domain(self) -> Domain:
        """Return no quantiles: heights of any level are in the domain."""
        return {}


class DemTask(Task[DemRecipe]):
    """Task of fine elevation from coarse elevation, with or without guides."""

    recipe_type = DemRecipe

    @property
    def scale(self) -> int:
        """Scale of the recipe."""
        return self.recipe.scale

    def check_extras(self) -> None:
        """Check that h5py is installed, where a file of the data is HDF5.

        Raises
        ------
        MissingExtraError
            Where it is not.
        """
        names = (entry.partition("#")[0] for entry in self.recipe.data.files)
        if any(PurePath(name).suffix in SUFFIXES for name in names) and find_spec("h5py") is None:
            raise MissingExtraError("[data] files: HDF5 needs an extra: pip install 'terrafine[hdf5]'")

    def data(self, root: Path) -> Batches[TrainingBatch]:
        """Read the terrain under a folder, split it by geography and check it for leaks.

        Parameters
        ----------
        root
            Data folder.

        Returns
        -------
        Batches
            Training and validation batches.

        Raises
        ------
        DataError
            For missing data, or terrain on both sides of the split.
        """
        return read_data(self.recipe, root, self.packed, self.device)

    def files(self, root: Path) -> Sequence[Path]:
        """List every file that a pattern of the recipe matches, or the file of packed terrain.

        Parameters
        ----------
        root
            Data folder.

        Returns
        -------
        Sequence[Path]
            Paths of the files.
        """
        if self.packed is not None:
            return [self.packed]
        pair = self.recipe.pair
        named = [] if pair is None else [root / pair.coarse, root / pair.reference]
        return list(dict.fromkeys([*matching(root, self.recipe.data.files), *named]))

    def pack(self, root: Path, path: Path, limit: int | None = None) -> int:
        """Write the terrain of the recipe into one file.

        Parameters
        ----------
        root
            Data folder.
        path
            File to write.
        limit
            Bytes that it may have; None for any.

        Returns
        -------
        int
            Bytes of the file.
        """
        data = self.recipe.data
        terrains = load_terrains(root, data.files)
        cells = _pair(self.recipe, root, None, *split(terrains, data.held_out, data.gap))
        return write_pack(path, terrains, data.files, limit, cells)

    def score(self, network: nn.Module, checks: Sequence[TrainingBatch], step: int) -> dict[str, float]:
        """Compute the errors relative to interpolation.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation batches.
        step
            Not used.

        Returns
        -------
        dict[str, float]
            Scores by name.
        """
        return score(self.system, network, checks)

    def spec_fields(self, network: nn.Module, checks: Sequence[TrainingBatch]) -> Mapping[str, Any]:
        """Compute the scales, the calibration of σ and the equivariance error.

        Parameters
        ----------
        network
            Network in evaluation mode.
        checks
            Validation batches.

        Returns
        -------
        Mapping[str, Any]
            Values by field of the spec.
        """
        return {
            "scales": tuple(self.recipe.scales),
            "calibration": calibrate(self.system, network, checks),
            "tolerance_m": round(equivariance_error(self.system, network, checks), 3),
        }


TASK = DemTask


def read_data(
    recipe: DemRecipe, root: Path, packed: Path | None = None, device: torch.device = _CPU
) -> Batches[TrainingBatch]:
    """Create samplers of the training terrain, and patches of the held-out terrain: block means, or products.

    Parameters
    ----------
    recipe
        Recipe of the run.
    root
        Data folder.
    packed
        File of `DemTask.pack` that is read in place of it; None for the folder.
    device
        Device of the network; batches are made there where it has float64, else on the CPU.

    Returns
    -------
    Batches
        Training and validation batches.

    Raises
    ------
    DataError
        For missing data, or terrain on both sides of the split.
    """
    files = recipe.data.files
    terrains = load_terrains(root, files) if packed is None else read_pack(packed, files)
    training, validation = split(terrains, recipe.data.held_out, recipe.data.gap)
    check_leak(training, validation)
    p, cells = recipe.patches, _pair(recipe, root, packed, training, validation)
    pair = None if cells is None else cells.split()
    sampler = Sampler(
        training,
        recipe.scale,
        p.size,
        p.batch,
        recipe.family,
        recipe.seed,
        tuple((int(k), float(v)) for k, v in p.coarsen.items()),
        p.exaggerate,
        p.mirror,
        recipe.radar,
        recipe.optical,
        recipe.misfit,
        None if pair is None else pair[0],
        recipe.resample,
    )
    plain = replace(
        sampler,
        terrains=[replace(t, weight=1.0) for t in validation],
        family=Family({"mean": 1.0}) if recipe.products is None else recipe.products,
        seed=recipe.seed + 1,
        coarsen=((1, 1.0),),
        exaggerate=0.0,
        mirror=False,
        misfit=None if recipe.misfit is None else replace(recipe.misfit, voids=0.0),
        radar=None if recipe.radar is None else replace(recipe.radar, drop=0.0),
        optical=None if recipe.optical is None else replace(recipe.optical, drop=0.0),
        pair=None,
        resample=None,
    )
    count = -(-recipe.validation_patches // p.batch)
    where = patch_device(device)
    checks = [plain.tensors(i, where) for i in range(count)]
    if pair is not None:
        real = replace(plain, scale=pair[1].table.scale, pair=pair[1].whole())
        checks += [real.tensors(i, where) for i in range(-(-pair[1].table.validation_patches // p.batch))]
    samplers = [replace(sampler, scale=k) for k in recipe.scales or (recipe.scale,)]
    return Batches(ScalesInTurn(samplers, where), checks)


def _pair(
    recipe: DemRecipe, root: Path, packed: Path | None, training: Sequence[Terrain], validation: Sequence[Terrain]
) -> PairCells | None:
    """The real pair of the recipe, all rows; none of its ground may be on both sides of the split."""
    table = recipe.pair
    if table is None:
        return None
    require_same_rows(table, recipe.data.held_out, training, validation)
    if packed is not None:
        return read_packed_pair(packed, table)  # its ground was checked when it was packed
    pair = load_pair(root, table)
    require_apart(root, pair, training, validation)
    return pair
