"""Compare super-resolved images with the truth: the whole of `results.json` as one dictionary.

Images are compared in windows of the coarse grid without nodata, each an image of its own as in opensr-test, and the
sums of all windows are added. Bicubic and back-projected bicubic of the input are compared in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError, EmptyError, GridError
from terrafine.evaluation.images.measures import Measured, measure
from terrafine.evaluation.images.options import Options
from terrafine.evaluation.images.record import Inputs, results
from terrafine.evaluation.inputs import Candidates, PathLike, Progress, named_candidates
from terrafine.evaluation.surfaces import Readable, aligned, scale_between
from terrafine.raster.read.choose import has_band
from terrafine.raster.read.content_type import unnamed_bands
from terrafine.raster.read.opened import OpenRaster, open_raster
from terrafine.raster.read.source import Source, open_source
from terrafine.raster.warp.resample import back_project, upsample

__all__ = ["Options", "compare", "full_scale"]

F64 = NDArray[np.float64]
_COLOURS = ("red", "green", "blue", "nir")
_FULL_SCALE = {"uint8": 255.0, "int16": 10_000.0, "uint16": 10_000.0}


def full_scale(source: Source) -> float:
    """Return the number that stands for a reflectance of 1 in a file.

    Parameters
    ----------
    source
        The open image.

    Returns
    -------
    float
        255 for bytes, 10,000 for 16-bit integers, 1 for floats and for files that state a scale, which is applied when
        they are read.
    """
    first = next(iter(source.describe()["bands"].values()))
    return 1.0 if source.scaled else _FULL_SCALE.get(str(first["dtype"]), 1.0)


def compare(
    candidates: Candidates,
    reference: PathLike,
    *,
    coarse: PathLike,
    assume_crs: str | None = None,
    numbers: Mapping[str, int] | None = None,
    progress: Progress | None = None,
    figures: Callable[[dict[str, Any]], None] | None = None,
    options: Options | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Compare super-resolved images with the truth and with the image they were made from, best PSNR first.

    Parameters
    ----------
    candidates : path, sequence of paths, or mapping of name to path
        The images to compare; each must subdivide the coarse grid by the same whole number.
    reference : path
        The truth; it is averaged onto the candidates' grid.
    coarse : path
        The image that the candidates were made from.
    assume_crs : str, optional
        CRS of files that have none.
    numbers : mapping of str to int, optional
        Numbers of red, green, blue and nir in files that do not name them.
    progress : callable, optional
        Called with (steps done, steps in all).
    figures : callable, optional
        Called once with {name: (band, y, x)} of one window.
    options : Options, optional
        Options of the comparison.
    **fields
        Fields of `Options`, which override `options`.

    Returns
    -------
    dict
        The content of results.json. The same inputs give the same dictionary.

    Raises
    ------
    BandError
        If fewer than two of red, green, blue and nir are named in all files.
    GridError
        If a candidate does not subdivide the coarse grid.
    EmptyError
        If every window holds a nodata cell.
    UsageError
        If an option is outside its range.
    """
    chosen = replace(options or Options(), **fields)
    named = named_candidates(candidates, ("reference", "coarse", "bicubic", "back_projected"))
    with ExitStack() as stack:
        files = {name: stack.enter_context(open_raster(path)) for name, path in named.items()}
        reference, coarse = (stack.enter_context(open_raster(path)) for path in (reference, coarse))
        bands = _common_bands([*files.values(), open_raster(reference), open_raster(coarse)], numbers)
        opener = partial(_open, bands=bands, assume_crs=assume_crs, numbers=numbers)
        opened = {name: stack.enter_context(opener(file)) for name, file in files.items()}
        truth = stack.enter_context(opener(reference))
        low = stack.enter_context(opener(coarse))
        k = _scale(opened, low, named, coarse)
        images = _Images(opened, truth, low, bands, k, chosen.divide_by)
        parts: dict[str, list[Measured]] = {}
        shown: dict[str, F64] = {}
        windows = list(_windows(low.shape, max(16, chosen.window // k)))
        for done, (rows, cols) in enumerate(windows, start=1):
            read = images.read(rows, cols)
            if read is not None:
                lr, hr = read.pop("coarse"), read.pop("reference")
                for name, sr in read.items():
                    parts.setdefault(name, []).append(measure(lr, sr, hr, k, chosen.peak))
                shown = shown or {"coarse": lr, "reference": hr, **read}
            if progress is not None:
                progress(done, len(windows))
        if not parts:
            raise EmptyError(
                f"{', '.join(map(str, named.values()))}: no window of {chosen.window} cells is whole in the "
                f"candidates, {reference} and {coarse}; expected one without nodata"
            )
        if figures is not None:
            figures(shown)
        inputs = Inputs(named, opened, reference, truth, coarse, low, bands, k, images.full_scale, len(windows))
        return results(parts, inputs, chosen)


def _common_bands(rasters: list[OpenRaster], numbers: Mapping[str, int] | None) -> tuple[str, ...]:
    found = [
        band for band in _COLOURS if all(has_band(raster, band, unnamed_bands(raster, numbers)) for raster in rasters)
    ]
    if len(found) < 2:
        raise BandError(
            f"{', '.join(map(str, rasters))}: found {len(found)} of red, green, blue and nir named in all; expected at "
            'least two. Say which they are with bands={"red": 1, "green": 2}, or name them as band descriptions'
        )
    return tuple(found)


def _open(path: PathLike, bands: tuple[str, ...], assume_crs: str | None, numbers: Mapping[str, int] | None) -> Source:
    stated = unnamed_bands(path, numbers)
    return open_source(path, want=bands, bands=stated, check_range=False, assume_crs=assume_crs)


def _scale(opened: Mapping[str, Source], low: Source, paths: Mapping[str, PathLike], coarse: PathLike) -> int:
    scales = {name: scale_between(source.geobox, low.geobox) for name, source in opened.items()}
    for name, k in scales.items():
        if k is None or k < 2:
            raise GridError(
                f"{paths[name]}: does not subdivide the cells of {coarse}; expected the same corner and extent, and "
                "k × k of its cells in each coarse one"
            )
    if len(set(scales.values())) > 1:
        raise GridError(f"{', '.join(map(str, paths.values()))}: scales {scales}; expected one for all")
    return next(k for k in scales.values() if k is not None)


def _windows(shape: tuple[int, int], side: int) -> Iterator[tuple[slice, slice]]:
    """Windows of the coarse grid; what is left over at the end joins the last one."""
    edges = [[*range(0, max(n - side, 0) + 1, side)] for n in shape]
    for top in edges[0]:
        for left in edges[1]:
            bottom, right = (
                n if start == starts[-1] else start + side
                for start, starts, n in zip((top, left), edges, shape, strict=True)
            )
            yield slice(top, bottom), slice(left, right)


class _Images:
    """All images on the candidates' grid, in reflectance."""

    def __init__(
        self,
        opened: Mapping[str, Source],
        truth: Source,
        low: Source,
        bands: tuple[str, ...],
        k: int,
        divide_by: float | None,
    ) -> None:
        self.opened, self.low, self.bands, self.k = opened, low, bands, k
        self.truth = aligned(truth, next(iter(opened.values())).geobox)
        sources = {**opened, "reference": truth, "coarse": low}
        self.full_scale = {name: divide_by or full_scale(source) for name, source in sources.items()}

    def read(self, rows: slice, cols: slice) -> dict[str, F64] | None:
        """Every image of a coarse window, with both baselines; None where a cell is nodata in any."""
        k = self.k
        fine = slice(rows.start * k, rows.stop * k), slice(cols.start * k, cols.stop * k)
        wanted: list[tuple[str, Readable, tuple[slice, slice]]] = [
            ("coarse", self.low, (rows, cols)),
            ("reference", self.truth, fine),
            *((name, source, fine) for name, source in self.opened.items()),
        ]
        images: dict[str, F64] = {}
        for name, source, where in wanted:
            stack = []
            for band in self.bands:
                values, valid = source.read(band, *where)
                if not valid.all():
                    return None
                stack.append(values.astype(np.float64) / self.full_scale[name])
            images[name] = np.stack(stack)
        lr = images["coarse"]
        cubic = np.asarray(upsample(lr, k), np.float64)
        return images | {"bicubic": cubic, "back_projected": np.asarray(back_project(cubic, lr, k), np.float64)}
