"""Samples of sealed ground over Dubai for `jointseg.py`: whole tiles held out, 10 m images by the sensor model."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from terrafine.impervious import build_dataset

__all__ = ["HELD_OUT", "samples"]

TILES = (3, 4, 5, 6, 7, 8)
HELD_OUT = {"val": "tile_3", "test-dense": "tile_4", "test-sparse": "tile_5"}
SEALED, UNKNOWN = ("#3C1098", "#6EC1E4"), ("#9B9B9B",)
WHITE = 1000.0  # what a byte would hold for a reflectance of 1: 255 is bright ground


def samples(data: Path, runs: Path, count: int = 360) -> Path:
    """The folder of samples, made unless it is there.

    A native pixel is taken as 1 m, which it is not: nobody states its size. Photographs are bytes without a unit, taken
    as 0 to 0.255 of reflectance. (Giving each photograph the histogram of a Sentinel-2 city takes the meaning out of
    its colours: nothing was learnt from bilinear images so.) Tiles 4 (dense) and 5 (sparse) are held out for the
    scores, tile 3 to select by.
    """
    out = runs / "samples"
    if (out / "index.json").is_file():
        return out
    images, masks = _staged(data / "impervious" / "dubai", runs / "staged")
    build_dataset(
        images,
        [masks],
        out,
        sealed=SEALED,
        unknown=UNKNOWN,
        pixel_size_m=1.0,
        full_scale=WHITE,
        side=320,
        count=count,
        spacing_m=0.0,
        shares={},
        hold_out={split: f"{tile}-" for split, tile in HELD_OUT.items()},
        seed=1,
    )
    return out


def _staged(dubai: Path, to: Path) -> tuple[list[Path], Path]:
    """Images and masks of all tiles under names that tell the tile; some masks are palettes, all become RGB."""
    folders = to / "images", to / "masks"
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    images = []
    for tile in TILES:
        for path in sorted((dubai / f"tile_{tile}" / "images").iterdir()):
            link = folders[0] / f"tile_{tile}-{path.name}"
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
            images.append(link)
            mask = next((dubai / f"tile_{tile}" / "masks").glob(f"{path.stem}.*"))
            with Image.open(mask) as picture:
                picture.convert("RGB").save(folders[1] / f"tile_{tile}-{path.stem}.png", compress_level=1)
    return images, folders[1]
