"""`train`: train the model of a recipe; `terrafine train` calls it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from terrafine.errors import UsageError
from terrafine.workflows.advice import names_own_arguments
from terrafine.workflows.device import check_device
from terrafine.workflows.options import parse_size
from terrafine.workflows.step_bar import step_progress

if TYPE_CHECKING:
    from terrafine.training.start import TrainingResult

__all__ = ["pack_terrain", "train"]

PathLike = str | os.PathLike[str]


@names_own_arguments()
def train(
    recipe: PathLike,
    *,
    out: PathLike | None = None,
    data_root: PathLike = ".",
    device: str = "auto",
    restart: bool = False,
    threads: int | None = None,
    start: PathLike | None = None,
    packed: PathLike | None = None,
    progress: Callable[[int, int, dict[str, float]], None] | bool | None = None,
) -> TrainingResult:
    """Train the model that a recipe describes and write one safetensors file.

    The same recipe, data and seed give the same weights on one CPU core. An interrupted run is resumed from its last
    checkpoint.

    Parameters
    ----------
    recipe
        A TOML file, or the name of a shipped recipe such as ridgeline-x4.toml, or of a variant of it.
    out
        Run folder; by default runs/RECIPE.
    data_root
        Folder of the data; file names in the recipe are relative to it.
    device
        auto, cpu, cuda, cuda:N or mps; auto takes CUDA where there is a GPU, else MPS, else the CPU.
    restart
        Start from scratch where `out` holds a checkpoint.
    threads
        CPU threads; by default all.
    start
        Weights to start from, instead of the recipe's: a file, also under `data_root`, or the name of shipped ones.
    packed
        A file of `pack_terrain`, read in place of the data folder.
    progress
        True for a progress bar, or a function of (step, steps, losses and scores by name).

    Returns
    -------
    TrainingResult
        The weights file, the number of steps and the held-out scores.

    Raises
    ------
    RecipeError
        For a recipe that is incomplete or contradicts itself.
    DataError
        For data that cannot be used.
    WeightsError
        For weights to start from that do not fit.
    UsageError
        For an argument that cannot be used.
    """
    check_device(device)
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise UsageError(f"threads={threads!r}; expected a whole number of at least 1")
    from terrafine.training.start import train as run_training

    with step_progress(progress) as stepped:
        return run_training(
            recipe,
            data_root=data_root,
            out=Path("runs") / Path(recipe).stem if out is None else out,
            device=device,
            restart=restart,
            threads=threads,
            start=start,
            packed=packed,
            progress=stepped,
        )


@names_own_arguments()
def pack_terrain(
    recipe: PathLike, destination: PathLike, *, data_root: PathLike = ".", limit: int | str | None = None
) -> int:
    """Write the terrain that a recipe of elevation trains on, and is scored on, into one file without loss.

    `train(recipe, packed=destination)` gives the same weights from it as from the data folder, and needs no GDAL.

    Parameters
    ----------
    recipe
        As for `train`.
    destination
        The file to write.
    data_root
        Folder that the recipe's file names start from.
    limit
        Bytes that the file may have, or text such as "64MB"; by default any.

    Returns
    -------
    int
        Bytes of the file.

    Raises
    ------
    RecipeError
        For a recipe that is none, or whose data cannot be packed.
    DataError
        For data that are absent, or that take more than the limit.
    OutputError
        Where the file cannot be written.
    """
    from terrafine.training.start import read_task

    size = None if limit is None else parse_size(limit, "limit")
    return read_task(recipe).pack(Path(data_root), Path(destination), size)
