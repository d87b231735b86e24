"""Training scenes: an optical image and the heights under it on the image's grid, and patches of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from terrafine.errors import DataError
from terrafine.nn.dihedral import transform
from terrafine.nn.task import ImageBatch
from terrafine.raster.read.aligned import align_to
from terrafine.raster.read.images.reflectance import COLOURS, open_image
from terrafine.raster.read.source import open_source
from terrafine.training.batches import Domain
from terrafine.training.dem.terrain import Terrain, check_leak, split
from terrafine.training.domain import SEEN_BATCHES, band_quantiles

__all__ = ["ImageSampler", "Mirror", "Scene", "all_tiles", "load_scenes", "split_scenes"]

F32 = NDArray[np.float32]
NODATA = -32768.0
Mirror = Literal["none", "sun", "all"]
_TRIES = 200


@dataclass(frozen=True, slots=True)
class Scene:
    """An image and the heights under it.

    Attributes
    ----------
    terrain
        Heights, nodata and zones on the image's grid.
    image
        Red, green and blue, (3, y, x); finite where heights are nodata.
    unit
        Reflectance of one unit of `image`.
    """

    terrain: Terrain
    image: F32 | NDArray[np.uint8]
    unit: float = 1.0


def load_scenes(root: Path, pairs: Mapping[str, str], sensor: str | None = None) -> list[Scene]:
    """Read every pair of image and heights; heights on another grid are resampled to the image's.

    Cells without heights or without all of red, green and blue are nodata. The weight of a scene is the root of its
    area.

    Parameters
    ----------
    root
        Data folder.
    pairs
        Image -> heights, under `root`.
    sensor
        Sensor of the images; None detects it.

    Returns
    -------
    list[Scene]
        The scenes.

    Raises
    ------
    DataError
        For a missing file, and for a pair without a common area.
    """
    scenes = []
    for image, heights in pairs.items():
        for name in (image, heights):
            if not (root / name).is_file():
                raise DataError(
                    f"{root / name}: no such file; expected the recipe's pairs there, or another data_root=DIR"
                )
        scenes.append(_load(root / image, root / heights, Path(image).with_suffix("").as_posix(), sensor))
    return scenes


def _load(image_path: Path, heights_path: Path, name: str, sensor: str | None) -> Scene:
    image = open_image(image_path, sensor=sensor)
    image.require_valid()
    source = open_source(heights_path)
    rows, cols = slice(0, image.shape[0]), slice(0, image.shape[1])
    heights, known = align_to(source, image.geobox).read("elevation", rows, cols)
    read = [image.read(colour, rows, cols) for colour in COLOURS]
    valid = known & read[0][1]
    if not valid.any():
        raise DataError(f"{image_path}: nowhere has both image and heights of {heights_path}; expected a common area")
    bands = np.stack([np.where(valid, values, values[valid].mean()) for values, _ in read]).astype(np.float32)
    pixel = image.pixel_size_m(rows)
    source.close()
    image.close()
    z = np.where(valid, heights, np.float32(NODATA)).astype(np.float32)
    zones = ((0, image.shape[0], 0, image.shape[1]),)
    return Scene(Terrain(name, z, NODATA, pixel, float(valid.sum()) ** 0.5, zones), bands)


def split_scenes(
    scenes: Sequence[Scene], held_out: Mapping[str, Sequence[float]], gap: int
) -> tuple[list[Scene], list[Scene]]:
    """Split scenes into training and validation by whole scenes or bands of rows.

    Parameters
    ----------
    scenes
        Scenes to split.
    held_out, gap
        As in `training.dem.terrain.split`.

    Returns
    -------
    tuple[list[Scene], list[Scene]]
        Training and validation scenes.

    Raises
    ------
    DataError
        For a name that is not among the scenes, and for the same ground on both sides.
    """
    scenes_by = {s.terrain.name: s for s in scenes}
    training, validation = split([s.terrain for s in scenes], held_out, gap)
    check_leak(training, validation)
    first, second = ([replace(scenes_by[t.name], terrain=t) for t in part] for part in (training, validation))
    return first, second


@dataclass(frozen=True, slots=True)
class ImageSampler:
    """Sampler of batches of patches; the same seed and step give the same batch.

    Attributes
    ----------
    scenes
        Scenes that patches are drawn from.
    size, batch
        Cells along a patch, and patches in a batch.
    seed
        Seed of everything random.
    least
        Share of a patch's cells that must have heights.
    mirror
        `none`; `sun`: transpose, which keeps the direction of a morning sun in the south-east or north-west; `all`:
        flips along both axes as in the literature, which also reverse the direction of light.
    light
        Spread of brightness, of each band's brightness and of contrast, as a logarithm.
    """

    scenes: Sequence[Scene]
    size: int
    batch: int
    seed: int
    least: float = 1.0
    mirror: str = "all"
    light: float = 0.0

    def __call__(self, step: int) -> ImageBatch:
        """The batch of that step."""
        rng = np.random.default_rng([self.seed, step])
        return stack([self._one(rng) for _ in range(self.batch)])

    def domain(self) -> Domain:
        """Compute quantiles of red, green and blue over the cells with heights of the first batches."""
        batches = [self(step) for step in range(SEEN_BATCHES)]
        return band_quantiles(torch.cat([b.image.transpose(0, 1)[:, b.valid[:, 0] > 0] for b in batches], 1).numpy())

    def _one(self, rng: np.random.Generator) -> tuple[F32, F32, F32]:
        weights = np.cumsum([s.terrain.weight for s in self.scenes])
        for _ in range(_TRIES):
            scene = self.scenes[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))]
            spot = scene.terrain.draw_window(self.size, rng)
            if spot is None:
                continue
            patch = crop(scene, *spot, self.size)
            if patch[2].mean() >= self.least:
                return self._vary(patch, rng)
        raise DataError(
            f"no patch of {self.size} × {self.size} cells with {100 * self.least:.0f} % of heights in {_TRIES} draws; "
            "take smaller patches, or a lower [patches] least"
        )

    def _vary(self, patch: tuple[F32, F32, F32], rng: np.random.Generator) -> tuple[F32, F32, F32]:
        turn, flips = rng.random(), rng.random(2)
        code = int(turn < 0.5) if self.mirror == "sun" else 0
        if self.mirror == "all":
            code = 2 * int(flips[0] < 0.5) + 4 * int(flips[1] < 0.5)
        image, target, valid = (np.ascontiguousarray(transform(a, code)) for a in patch)
        patch = (image, target, valid)
        gains, contrast = rng.normal(0, 1, (4, 1, 1)), rng.normal()
        if self.light:
            log = np.log(np.maximum(patch[0], 0.01) / 0.1) * np.exp(self.light * contrast)
            image = 0.1 * np.exp(log + self.light * (gains[:1] + gains[1:]))
            patch = (image.astype(np.float32), patch[1], patch[2])
        return patch


def crop(scene: Scene, y: int, x: int, size: int) -> tuple[F32, F32, F32]:
    """Return image (3, size, size), heights (1, size, size) with 0 where nodata, and valid (1, size, size)."""
    at = np.s_[y : y + size, x : x + size]
    heights = scene.terrain.heights[at]
    valid = heights != NODATA
    image = scene.image[:, at[0], at[1]] * np.float32(scene.unit)
    return image, np.where(valid, heights, 0)[None].astype(np.float32), valid[None].astype(np.float32)


def stack(patches: Sequence[tuple[F32, F32, F32]]) -> ImageBatch:
    """Patches as one batch of tensors."""
    image, target, valid = (torch.from_numpy(np.stack(a)) for a in zip(*patches, strict=True))
    return ImageBatch(image, target, valid)


def all_tiles(scenes: Sequence[Scene], size: int, least: float = 0.9) -> Iterator[tuple[str, int, int]]:
    """Find the tiles of a regular lattice in each zone that have enough heights.

    Parameters
    ----------
    scenes
        Scenes to divide.
    size
        Side of a tile in cells.
    least
        Share of a tile's cells that must have heights.

    Yields
    ------
    tuple[str, int, int]
        Name of the scene, row and column.
    """
    for scene in scenes:
        for y0, y1, x0, x1 in scene.terrain.zones:
            for y in range(y0, y1 - size + 1, size):
                for x in range(x0, x1 - size + 1, size):
                    if (scene.terrain.heights[y : y + size, x : x + size] != NODATA).mean() >= least:
                        yield scene.terrain.name, y, x
