"""A small picture of a raster of any size, read in strips and shrunk while reading."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from terrafine.atomic import Publish, publish, written
from terrafine.errors import OutputError
from terrafine.physics.gradient import central_difference
from terrafine.physics.hillshade import hillshade
from terrafine.raster.protocol import Readable
from terrafine.raster.warp.resample import block_sum

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["shaded_relief", "shares", "true_colour", "write_preview"]

Colour = tuple[int, int, int]
Draw = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.uint8]]

_MOST_PIXELS = 1600
_CAPTION_WIDTH = 320  # pixels, at least
_LETTER = (7, 13)  # pixels of a letter of the built-in font, across and down
_VOID = 255
_STRIP_ROWS = 256  # rows read together: few enough for the memory, enough to decode each block once or twice


def write_preview(
    path: Path,
    source: Readable,
    bands: Sequence[str] = ("elevation",),
    draw: Draw | None = None,
    *,
    side: int = _MOST_PIXELS,
    publish: Publish = publish,
    caption: str = "",
) -> None:
    """Write a raster as a small PNG.

    Parameters
    ----------
    path
        The PNG file.
    source
        The open raster.
    bands
        Bands to read.
    draw
        Makes uint8 (y, x) or (y, x, 3) from means of the bands (band, y, x), NaN at nodata, and the cell size in metres
        (2, y); None for a hillshade of the first band.
    side
        Largest side of the picture, pixels.
    publish
        Brings the finished file under its final name.
    caption
        Text below the picture, also stored in the PNG as its description.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    factor = -(-max(source.shape) // side)
    shrunk = [_shrunk(source, name, factor) for name in bands]
    values, size = np.stack([v for v, _ in shrunk]), shrunk[0][1]
    picture = Image.fromarray(shaded_relief(values[0], size) if draw is None else draw(values, size))
    try:
        with written(path, publish) as part:
            if caption:
                described = PngInfo()
                described.add_itxt("Description", caption)
                _captioned(picture, caption).save(part, format="PNG", pnginfo=described)
            else:
                picture.save(part, format="PNG")
    except OSError as e:
        raise OutputError(f"{path}: the preview cannot be written ({e.strerror}); give another path") from e


def _captioned(picture: Image, caption: str) -> Image:
    """Return the picture with the text below it, black on white, in lines that fit."""
    import PIL.Image
    from PIL import ImageDraw

    width = max(picture.width, _CAPTION_WIDTH)
    plain = caption.encode("latin-1", "replace").decode("latin-1")  # what the built-in font has
    lines = textwrap.wrap(plain, max(1, (width - 8) // _LETTER[0]))
    whole = PIL.Image.new("RGB", (width, picture.height + _LETTER[1] * len(lines) + 8), "white")
    whole.paste(picture, (0, 0))
    pen = ImageDraw.Draw(whole)
    for i, line in enumerate(lines):
        pen.text((4, picture.height + 4 + _LETTER[1] * i), line, fill="black")
    return whole


def shaded_relief(elevation: NDArray[np.float64], pixel_size_m: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Draw a surface lit from the north-west at 45°; nodata is white.

    Parameters
    ----------
    elevation
        Metres (y, x), NaN at nodata.
    pixel_size_m
        Metres along y and x of a cell in each row, (2, y).

    Returns
    -------
    ndarray of uint8, (y, x)
        Grey values.
    """
    y, x = elevation.shape
    padded = np.pad(elevation, 1, mode="edge")

    def cell(down: int, across: int) -> NDArray[np.float64]:
        return padded[1 + down : 1 + down + y, 1 + across : 1 + across + x]

    east = central_difference(cell, "zevenbergen-thorne") / pixel_size_m[1, :, None]
    south = central_difference(lambda side, down: cell(down, side), "zevenbergen-thorne") / pixel_size_m[0, :, None]
    shade = hillshade(east, -south)
    known = np.isfinite(shade) & np.isfinite(elevation)
    return np.where(known, np.nan_to_num(shade, nan=0.0) * 250, _VOID).astype(np.uint8)


def shares(low: Colour, high: Colour) -> Draw:
    """Return a function for `write_preview` that draws a share, 0 to 1, between two colours; nodata is white.

    Parameters
    ----------
    low, high
        Colours (red, green, blue) of 0 and 1.

    Returns
    -------
    callable
        A `draw` function.
    """

    def draw(values: NDArray[np.float64], _: NDArray[np.float64]) -> NDArray[np.uint8]:
        share = values[0][..., None]
        mixed = np.asarray(low) * (1 - share) + np.asarray(high) * share
        return np.where(np.isnan(mixed), _VOID, np.rint(mixed)).astype(np.uint8)

    return draw


def true_colour(values: NDArray[np.float64], _: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Draw reflectance of red, green and blue, 0 black and 0.3 white with a gamma of 1.4; nodata is white.

    Parameters
    ----------
    values
        Reflectance (3, y, x), NaN at nodata.
    _
        Cell sizes, not used.

    Returns
    -------
    ndarray of uint8, (y, x, 3)
        Colours.
    """
    lit = np.clip(values / 0.3, 0, 1) ** (1 / 1.4)
    void = np.isnan(lit).any(axis=0)
    return np.where(void, _VOID, np.nan_to_num(lit) * 250).transpose(1, 2, 0).astype(np.uint8)


def _shrunk(source: Readable, band: str, factor: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means of factor × factor cells, NaN where none is valid, and their size in metres."""
    height, width = (-(-n // factor) for n in source.shape)
    out = np.full((height, width), np.nan)
    sizes = np.empty((2, height))
    step = max(1, _STRIP_ROWS // factor)
    for top in range(0, height, step):
        n = min(step, height - top)
        rows = slice(top * factor, (top + n) * factor)
        values, valid = source.read(band, rows, slice(0, width * factor))
        total, count = block_sum(np.where(valid, values, 0), factor), block_sum(valid, factor)
        np.divide(total, count, out=out[top : top + n], where=count > 0)
        sizes[:, top : top + n] = source.pixel_size_m(rows).reshape(2, n, factor).sum(axis=2)
    return out, sizes
