"""Super-resolved images against the truth: one dictionary, the whole of `results.json`.

Images are judged in windows of the coarse grid without a void, each an image of its own as opensr-test's are, and the
sums of all windows added; bicubic and back-projected bicubic of the input are judged beside them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import terrafine
from terrafine.errors import BandError, EmptyError, GridError, UsageError
from terrafine.evaluation.images.measures import GAMMA, QUANTILE, TEMPERATURE, Measured, measure
from terrafine.evaluation.images.record import summary
from terrafine.evaluation.surfaces import Readable, aligned, pixel_size, raster_record, scale_between
from terrafine.raster.read.source import Source, open_source
from terrafine.raster.warp.resample import back_project, upsample

__all__ = ["FORMAT", "evaluate_images", "full_scale"]

FORMAT = "terrafine-images/1"
PathLike = str | os.PathLike[str]
F64 = NDArray[np.float64]
_COLOURS = ("red", "green", "blue", "nir")
_FULL_SCALE = {"uint8": 255.0, "int16": 10_000.0, "uint16": 10_000.0}


def full_scale(source: Source) -> float:
    """What a file holds for a reflectance of 1, by its type: 255 of bytes, 10,000 of 16 bits, 1 of floats.

    1 as well where the file states a scale of its own, which is applied as it is read.
    """
    first = next(iter(source.describe()["bands"].values()))
    return 1.0 if source.scaled else _FULL_SCALE.get(str(first["dtype"]), 1.0)


def evaluate_images(
    candidates: Mapping[str, PathLike],
    reference: PathLike,
    coarse: PathLike,
    *,
    divide_by: float | None = None,
    window: int = 512,
    peak: float = 1.0,
    assume_crs: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    figures: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Measures of super-resolved images against the truth and the coarse image they were made from, best PSNR first.

    divide_by  what files hold for a reflectance of 1; by default `full_scale` of each
    window     cells of the fine grid along a window, at most; larger windows take more memory
    peak       the reflectance range of PSNR and SSIM
    figures    called once with {name: (band, y, x)} of one window

    Bands are those of red, green, blue and nir that all files name. Every candidate must subdivide the coarse grid by
    the same whole number. Raises BandError, GridError, EmptyError (no window without a void), UsageError.
    """
    if window < 64 or not peak > 0 or (divide_by is not None and not divide_by > 0):
        raise UsageError(f"window {window}, peak {peak}, divide-by {divide_by}; expected at least 64, and above 0")
    bands = _common_bands([*candidates.values(), reference, coarse], assume_crs)
    opened = {name: _open(path, bands, assume_crs) for name, path in candidates.items()}
    truth, low = _open(reference, bands, assume_crs), _open(coarse, bands, assume_crs)
    k = _scale(opened, low, candidates, coarse)
    grid = next(iter(opened.values())).geobox
    there = aligned(truth, grid)
    divisors = {name: divide_by or full_scale(source) for name, source in opened.items()}
    parts: dict[str, list[Measured]] = {}
    shown: dict[str, F64] = {}
    places = list(_windows(low.shape, max(16, window // k)))
    for done, (rows, cols) in enumerate(places, start=1):
        images = _read(opened, there, low, bands, divisors, divide_by, truth, k, rows, cols)
        if images is not None:
            lr, hr = images.pop("coarse"), images.pop("reference")
            for name, sr in images.items():
                parts.setdefault(name, []).append(measure(lr, sr, hr, k, peak))
            shown = shown or {"coarse": lr, "reference": hr, **images}
        if progress is not None:
            progress(done, len(places))
    if not parts:
        raise EmptyError(
            f"{', '.join(map(str, candidates.values()))}: no window of {window} cells is whole in the candidates, "
            f"{reference} and {coarse}; expected one without nodata"
        )
    if figures is not None:
        figures(shown)
    records = [{"name": name, "path": Path(candidates[name]).name} | summary(parts[name], peak) for name in candidates]
    records.sort(key=lambda r: (-float(r["psnr"] or np.inf), r["name"]))
    for rank, entry in enumerate(records, start=1):
        entry["rank"] = rank
    baselines = {name: summary(found, peak) for name, found in parts.items() if name not in candidates}
    size = pixel_size(opened[records[0]["name"]])
    return {
        "format": FORMAT,
        "terrafine": terrafine.__version__,
        "kind": "image",
        "reference": raster_record(reference, truth),
        "coarse": raster_record(coarse, low),
        "settings": {
            "bands": list(bands),
            "scale": k,
            "cell_m": [size[1], size[0]],
            "full_scale": divisors
            | {"reference": divide_by or full_scale(truth), "coarse": divide_by or full_scale(low)},
            "peak": peak,
            "window_cells": window,
            "opensr_test": {"gamma": GAMMA, "temperature": TEMPERATURE, "threshold_quantile": QUANTILE},
        },
        "notes": [f"{len(next(iter(parts.values())))} of {len(places)} windows are whole and were judged."],
        "verdict": {"sentence": _sentence(records[0], baselines)},
        "candidates": records,
        "baselines": baselines,
    }


def _common_bands(paths: list[PathLike], assume_crs: str | None) -> tuple[str, ...]:
    found = []
    for band in _COLOURS:
        try:
            for path in paths:
                open_source(path, want=(band,), check_range=False, assume_crs=assume_crs).close()
        except BandError:
            continue
        found.append(band)
    if len(found) < 2:
        raise BandError(
            f"{', '.join(map(str, paths))}: found {len(found)} of red, green, blue and nir named in all; expected at "
            "least two. Name them as band descriptions: gdal_edit -d or rio edit-info"
        )
    return tuple(found)


def _open(path: PathLike, bands: tuple[str, ...], assume_crs: str | None) -> Source:
    return open_source(path, want=bands, check_range=False, assume_crs=assume_crs)


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


def _read(
    opened: Mapping[str, Source],
    there: Readable,
    low: Source,
    bands: tuple[str, ...],
    divisors: Mapping[str, float],
    divide_by: float | None,
    truth: Source,
    k: int,
    rows: slice,
    cols: slice,
) -> dict[str, F64] | None:
    """Every image of a window in reflectance, the two baselines among them; None where a cell is void in any."""
    fine = slice(rows.start * k, rows.stop * k), slice(cols.start * k, cols.stop * k)
    wanted: list[tuple[str, Readable, tuple[slice, slice], float]] = [
        ("coarse", low, (rows, cols), divide_by or full_scale(low)),
        ("reference", there, fine, divide_by or full_scale(truth)),
        *((name, source, fine, divisors[name]) for name, source in opened.items()),
    ]
    images: dict[str, F64] = {}
    for name, source, where, full in wanted:
        stack = []
        for band in bands:
            values, valid = source.read(band, *where)
            if not valid.all():
                return None
            stack.append(values.astype(np.float64) / full)
        images[name] = np.stack(stack)
    lr = images["coarse"]
    cubic = np.asarray(upsample(lr, k), np.float64)
    return images | {"bicubic": cubic, "back_projected": np.asarray(back_project(cubic, lr, k), np.float64)}


def _sentence(best: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> str:
    base = baselines["back_projected"]
    if best["psnr"] is None or base["psnr"] is None:
        return f"{best['name']} equals the reference."
    gain = best["psnr"] - base["psnr"]
    way = "above" if gain >= 0 else "below"
    return (
        f"{best['name']}: PSNR {best['psnr']:.2f} dB, {abs(gain):.2f} dB {way} back-projected bicubic interpolation; "
        f"averaged back it differs from the input by {best['consistency']['block_mean']:.4f} of reflectance."
    )
