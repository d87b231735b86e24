"""`build_height_dataset` and `build_pair_dataset`: training data for heights, ending in one `terrafine train`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from terrafine.workflows.advice import names_own_arguments

if TYPE_CHECKING:
    from terrafine.datasets.terrain.height import HeightSamples
    from terrafine.datasets.terrain.pairs import PairSamples

__all__ = ["build_height_dataset", "build_pair_dataset"]

PathLike = str | os.PathLike[str]


@names_own_arguments()
def build_height_dataset(
    images: PathLike | Sequence[PathLike],
    heights: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    hold_out: float = 0.25,
    sensor: str | None = None,
    steps: int = 1000,
    name: str | None = None,
) -> HeightSamples:
    """Build samples for heights from images: images beside the heights under them, and a recipe to train with.

    Parameters
    ----------
    images
        Optical images, such as composites of `fetch`.
    heights
        A DEM for all of them, or one for each, such as GLO-30 of `fetch`.
    out
        A new folder: the data folder of the training, with `recipe.toml` in it.
    hold_out
        Share of the rows of each image, from its southern edge, that scores the training and is not trained on.
    sensor
        Sensor of the images; by default detected.
    steps, name
        Training steps, and name of the weights; by default that of the folder.

    Returns
    -------
    HeightSamples
        Folder, recipe and counts of cells.

    Raises
    ------
    UsageError, DataError, DatumError, SourceError, BandError, GridError
        For arguments and files that cannot serve.

    Examples
    --------
    >>> terrafine.build_height_dataset("town.tif", "glo30.tif", "town_height")  # doctest: +SKIP
    """
    from terrafine.datasets.terrain.height import build_height

    return build_height(
        _listed(images), _listed(heights), Path(out), hold_out=hold_out, sensor=sensor, steps=steps, name=name
    )


@names_own_arguments()
def build_pair_dataset(
    coarse: PathLike,
    references: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    hold_out: float = 0.25,
    steps: int = 1000,
    name: str | None = None,
) -> PairSamples:
    """Build samples for the super-resolution of one product: its measured sensor model, fine references, a recipe.

    The product is measured on the first reference as `measure_product` does. The coarse side of the training is
    simulated from the references by that model; no cell of the product itself is trained on.

    Parameters
    ----------
    coarse
        A DEM of the product over the first reference.
    references
        Fine DEMs of the region.
    out
        A new folder, with `recipe.toml` and `product.toml` in it.
    hold_out
        Share of the rows of each reference, from its southern edge, that scores the training.
    steps, name
        Training steps, and name of the weights.

    Returns
    -------
    PairSamples
        Folder, recipe and product file.

    Raises
    ------
    UsageError, DataError, SourceError, BandError, GridError, DatumError, EmptyError
        For arguments and files that cannot serve.

    Examples
    --------
    >>> terrafine.build_pair_dataset("srtm.tif", "lidar.tif", "valley")  # doctest: +SKIP
    """
    from terrafine.datasets.terrain.pairs import build_pairs, require_usable
    from terrafine.workflows.measure import measure_product

    listed = _listed(references)
    require_usable(listed, Path(out), hold_out)
    measured = measure_product(coarse, listed[0], draws=50)
    cell_m = float(measured.product.posting or 30.0)
    return build_pairs(measured.product, cell_m, listed, Path(out), hold_out=hold_out, steps=steps, name=name)


def _listed(paths: PathLike | Sequence[PathLike]) -> list[PathLike]:
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)
