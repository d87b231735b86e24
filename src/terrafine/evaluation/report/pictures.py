"""Small rasters as PNG data URIs: hillshades, error maps, streams; and elevations packed for the profile drawer."""

from __future__ import annotations

import base64
import io
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from terrafine.evaluation.nice import nice_step
from terrafine.evaluation.results import Window
from terrafine.physics.gradient import gradient_to_the_edge
from terrafine.physics.hillshade import hillshade

__all__ = ["error_limit", "error_map", "illumination", "pack", "shade", "stream_map"]

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]

INK, PAPER = (22, 32, 30), (252, 252, 248)
LOW, HIGH = (5, 72, 128), (168, 35, 18)
ONLY_REFERENCE, ONLY_CANDIDATE, BOTH = (0, 124, 190), (214, 74, 12), (10, 34, 92)
NODATA_INDEX = 255


def illumination(elevation: Floats, pixel_size_m: tuple[float, float], exaggeration: float) -> Floats:
    """Return the illumination of a surface from the north-west at 45°.

    Parameters
    ----------
    elevation
        Metres (y, x), NaN at nodata.
    pixel_size_m
        Metres (x, y) of a cell.
    exaggeration
        Vertical exaggeration.

    Returns
    -------
    ndarray, (y, x)
        0 to 1, NaN at nodata.
    """
    south, east = gradient_to_the_edge(elevation.astype(np.float64) * exaggeration, pixel_size_m[::-1])
    return np.asarray(hillshade(east, -south))


def exaggeration_for(reference: Floats, pixel_size_m: tuple[float, float]) -> float:
    """Vertical exaggeration, 1 to 20 in round steps, that brings the 90th percentile of gradient to about 0.6."""
    rise = np.hypot(*gradient_to_the_edge(reference, pixel_size_m[::-1]))
    seen = rise[np.isfinite(rise)]
    steep = float(np.percentile(seen, 90)) if seen.size else 0.0
    wanted = 0.6 / steep if steep > 0 else 20.0
    return max(step for step in (1, 2, 3, 5, 10, 20) if step <= max(wanted, 1.0))


def _png(index: Bytes, palette: list[tuple[int, int, int]]) -> str:
    image = Image.fromarray(index)
    image.putpalette([channel for colour in palette for channel in colour])
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=True, transparency=NODATA_INDEX)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _between(a: tuple[int, int, int], b: tuple[int, int, int], count: int) -> list[tuple[int, int, int]]:
    shares = [i / (count - 1) for i in range(count)]
    return [(_mix(a[0], b[0], s), _mix(a[1], b[1], s), _mix(a[2], b[2], s)) for s in shares]


def _mix(a: int, b: int, share: float) -> int:
    return round(a + (b - a) * share)


def _grey(light: Floats, levels: int) -> Bytes:
    index = np.where(np.isfinite(light), np.nan_to_num(light) * (levels - 1) + 0.5, NODATA_INDEX)
    return index.astype(np.uint8)


def shade(light: Floats) -> str:
    """Draw a hillshade as a PNG data URI; nodata is transparent.

    Parameters
    ----------
    light
        Illumination (y, x).

    Returns
    -------
    str
        Data URI.
    """
    return _png(_grey(light, 128), [*_between(INK, PAPER, 128), *[PAPER] * 128])


def error_limit(window: Window) -> float:
    """Return one colour limit for all error maps of a window: the largest 95th percentile of |error|, rounded up.

    Parameters
    ----------
    window
        The window.

    Returns
    -------
    float
        Metres.
    """
    found = [0.0]
    for surface in window.surfaces.values():
        error = np.abs(surface.astype(np.float64) - window.reference)
        seen = error[np.isfinite(error)]
        if seen.size:
            found.append(float(np.percentile(seen, 95)))
    worst = max(found)
    return nice_step(worst, (1, 1.5, 2, 3, 5, 7)) if worst > 0 else 1.0


def error_map(error: Floats, limit_m: float) -> str:
    """Draw errors as a PNG data URI: blue too low, red too high, white at 0, saturated at the limit.

    Parameters
    ----------
    error
        Metres (y, x), NaN at nodata.
    limit_m
        The limit.

    Returns
    -------
    str
        Data URI.
    """
    half = 127
    scaled = np.clip(np.nan_to_num(error) / limit_m, -1, 1) * (half - 1) + half - 0.5
    index = np.where(np.isfinite(error), scaled, NODATA_INDEX).astype(np.uint8)
    ramp = _between(LOW, PAPER, half) + _between(PAPER, HIGH, half)
    return _png(index, [*ramp, *[PAPER] * (256 - len(ramp))])


def stream_map(light: Floats, candidate: NDArray[np.bool_], reference: NDArray[np.bool_]) -> str:
    """Draw streams over a pale hillshade: dark where both have one within a cell, else in the colour of one side.

    Parameters
    ----------
    light
        Illumination (y, x).
    candidate, reference
        Stream cells (y, x).

    Returns
    -------
    str
        Data URI.
    """
    index = _grey(light * 0.5 + 0.5, 128)
    wide = np.ones((3, 3), dtype=bool)
    near_candidate, near_reference = (ndimage.binary_dilation(m, wide) for m in (candidate, reference))
    index[reference & ~near_candidate] = 200
    index[candidate & ~near_reference] = 201
    index[(candidate & near_reference)] = 202
    palette = [*_between(INK, PAPER, 128), *[PAPER] * 128]
    palette[200:203] = [ONLY_REFERENCE, ONLY_CANDIDATE, BOTH]
    return _png(index, palette)


def pack(elevation: Floats) -> dict[str, Any]:
    """Pack elevations for the script of the page: steps of at least 1 cm above a base.

    `data` is base64 of zlib of the row-wise differences (modulo 65536), low bytes first, then high bytes.

    Parameters
    ----------
    elevation
        Metres (y, x), NaN at nodata.

    Returns
    -------
    dict
        rows, cols, base, step and data; 65535 marks nodata.
    """
    seen = np.isfinite(elevation)
    base = float(elevation[seen].min()) if seen.any() else 0.0
    span = float(elevation[seen].max()) - base if seen.any() else 0.0
    step = max(0.01, span / 65000)
    levels = np.where(seen, np.round((np.nan_to_num(elevation) - base) / step), 65535).astype(np.uint16)
    change = np.diff(levels, axis=1, prepend=np.zeros((levels.shape[0], 1), dtype=np.uint16)).ravel()
    planes = np.concatenate([(change & 255).astype(np.uint8), (change >> 8).astype(np.uint8)]).tobytes()
    data = base64.b64encode(zlib.compress(planes, 9)).decode("ascii")
    return {"rows": levels.shape[0], "cols": levels.shape[1], "base": base, "step": step, "data": data}
