"""A shaded picture of a surface, read in strips and shrunk on the way, so that any size fits."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import OutputError
from terrafine.inference.window import Grid

__all__ = ["hillshade", "write_preview"]

_MOST_PIXELS = 1600
_AZIMUTH, _ALTITUDE = np.radians(315.0), np.radians(45.0)
_VOID = 255
_STRIP_ROWS = 256  # rows read at a time: few enough for the memory, many enough to unpack each block once or twice


def write_preview(path: Path, source: Grid, *, side: int = _MOST_PIXELS) -> None:
    """A hillshade of the source as PNG, its longer side at most `side` pixels; raises OutputError when not writable."""
    from PIL import Image

    factor = -(-max(source.shape) // side)
    values, size = _shrunk(source, factor)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        Image.fromarray(hillshade(values, size)).save(part, format="PNG")
        part.replace(path)
    except OSError as e:
        raise OutputError(f"{path}: the preview cannot be written ({e.strerror}); give another path") from e
    finally:
        part.unlink(missing_ok=True)


def hillshade(elevation: NDArray[np.float64], pixel_size_m: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Light from the north-west at 45° on a matt surface, uint8 (y, x); voids are white.

    elevation (y, x) metres, NaN where void; pixel_size_m (2, y) along y and x. The slopes are central differences,
    the shade is the cosine between light and normal (Horn 1981, doi 10.1109/PROC.1981.11918).
    """
    y = elevation.shape[0]
    padded = np.pad(elevation, 1, mode="edge")
    dy = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / (2 * pixel_size_m[0, :y, None])
    dx = (padded[1:-1, 2:] - padded[1:-1, :-2]) / (2 * pixel_size_m[1, :y, None])
    # rows run south and columns east: a slope that rises to the south-east faces the light
    facing = np.cos(_ALTITUDE) * (dx * -np.sin(_AZIMUTH) + dy * np.cos(_AZIMUTH))
    shade = (np.sin(_ALTITUDE) + facing) / np.sqrt(1 + dx**2 + dy**2)
    grey = np.clip(np.nan_to_num(shade, nan=0.0), 0, 1) * 250
    return np.where(np.isfinite(shade) & np.isfinite(elevation), grey, _VOID).astype(np.uint8)


def _shrunk(source: Grid, factor: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of factor × factor cells, NaN where none is valid, and their size in metres."""
    height, width = (-(-n // factor) for n in source.shape)
    out = np.full((height, width), np.nan)
    sizes = np.empty((2, height))
    step = max(1, _STRIP_ROWS // factor)
    for top in range(0, height, step):
        n = min(step, height - top)
        rows = slice(top * factor, (top + n) * factor)
        values, valid = source.read("elevation", rows, slice(0, width * factor))
        blocks = (n, factor, width, factor)
        total = np.where(valid, values, 0).reshape(blocks).sum(axis=(1, 3), dtype=np.float64)
        count = valid.reshape(blocks).sum(axis=(1, 3))
        np.divide(total, count, out=out[top : top + n], where=count > 0)
        sizes[:, top : top + n] = source.pixel_size_m(rows).reshape(2, n, factor).sum(axis=2)
    return out, sizes
