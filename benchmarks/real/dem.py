"""DEM super-resolution on real pairs: coarse from one sensor, reference from another; one table, one JSON.

    python -m benchmarks.real.dem [--pairs davos_totalp ...] [--pair NAME=COARSE,REFERENCE,SCALE[,PRODUCT]] [--data DIR]

It needs the data folder alone, and writes the whole table: benchmarks/results/real_dem.json. `--pair` adds a pair of
your own, by paths or by names under the data folder; without a product it is recognised as `terrafine dem` does it.

Each method super-resolves the whole coarse file. Its output is sampled by a cubic spline at the centres of the
reference, displaced by one shift for each pair that is fitted on the bicubic surface, and compared after removing the
median difference; a reference of finer cells is first averaged to about those of the output. The pair `borders` is kept
for tuning: SRTM 3" and σ are fitted on it, and weights are chosen by it, so only its held-out rows are scored.
No cell of the others was used for training, calibration or the choice of anything.

    bicubic                   Keys' cubic convolution
    back-projected bicubic    bicubic whose block means are the input
    smoothed bicubic          bicubic of the input after a Gaussian; its width is fitted on the pair itself, by RMSE
    Lee filter, bicubic       adaptive filter of 5×5 cells, then bicubic; its noise is fitted in the same way
    ridgeline                 without a product, block means kept: version 1, the default for block means
    ridgeline2, no product  the mild sensor model of a product that is not recognised
    ridgeline2                with the product: the default
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.command import data_of, destination, parser, publish
from benchmarks.common import F64, back_projected, bicubic, block_mean, fill_nearest, ground_pixel_size, horn_slope
from benchmarks.quick import TINY, write
from benchmarks.real.pairs import EDGE, PAIRS, Ground, Pair, chosen, load, stated_pair

BLOCKS = 16  # blocks along each side of the reference that are drawn with replacement
DRAWS = 400
WIDTHS = np.arange(0.0, 1.21, 0.1)  # cells: widths of the Gaussian that are tried
NOISES = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)  # metres: noises of the Lee filter that are tried


def lee(coarse: F64, noise: float) -> F64:
    """Lee's filter with a window of 5×5 cells (doi:10.1109/TPAMI.1980.4766994)."""
    mean = ndimage.uniform_filter(coarse, 5, mode="nearest")
    variance = ndimage.uniform_filter((coarse - mean) ** 2, 5, mode="nearest")
    return np.asarray(mean + np.maximum(variance - noise**2, 0) / np.maximum(variance, 1e-9) * (coarse - mean))


def best(ground: Ground, made: Callable[[float], F64], tried: Any) -> tuple[F64, float]:
    """The surface with the smallest RMSE among those of the parameters that are tried, and its parameter."""
    surfaces = [(made(float(v)), float(v)) for v in tried]
    return min(surfaces, key=lambda s: float(np.nanmean(ground.error(s[0]) ** 2)))


def curvature(z: F64, size: F64) -> F64:
    """Laplacian, 1/100 m; the outer ring is NaN."""
    dy2 = (z[2:] - 2 * z[1:-1] + z[:-2])[:, 1:-1] / size[0, 1:-1, None] ** 2
    dx2 = (z[:, 2:] - 2 * z[:, 1:-1] + z[:, :-2])[1:-1] / size[1, 1:-1, None] ** 2
    return np.pad(100 * (dx2 + dy2), 1, constant_values=np.nan)


def d8(z: F64, size: F64) -> F64:
    """Number of the neighbour of steepest descent, 0 to 7; the outer ring is NaN."""
    steps = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]
    y, x = z.shape
    inner = z[1:-1, 1:-1]
    drops = [
        (inner - z[1 + i : y - 1 + i, 1 + j : x - 1 + j]) / np.hypot(i * size[0, 1:-1, None], j * size[1, 1:-1, None])
        for i, j in steps
    ]
    return np.pad(np.argmax(np.nan_to_num(np.stack(drops), nan=-1e9), axis=0).astype(float), 1, constant_values=np.nan)


def maps_of(ground: Ground, fine: NDArray[Any]) -> dict[str, F64]:
    """Squared errors and agreement, cell by cell; NaN where not scored."""
    error, height = ground.error(fine), ground.sampled(fine)
    inner = ndimage.binary_erosion(ground.cells, np.ones((3, 3)))
    pairs = {
        "slope": horn_slope(height, ground.size) - horn_slope(ground.reference, ground.size),
        "curvature": curvature(height, ground.size) - curvature(ground.reference, ground.size),
    }
    found = {"height": error**2} | {name: np.where(inner, d, np.nan) ** 2 for name, d in pairs.items()}
    same = d8(height, ground.size) == d8(ground.reference, ground.size)
    return found | {"d8": np.where(inner, same, np.nan), "absolute": np.abs(error)}


def streams_f1(ground: Ground, surfaces: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """F1 of each surface's streams against the reference's, within one cell; contributing area by the extent."""
    from terrafine.evaluation.hydrology import compare_drainage, drainage

    valid = ground.cells & np.isfinite(ground.reference)
    size = np.ascontiguousarray(ground.size[::-1])  # hydrology takes x before y
    truth = drainage(np.where(valid, ground.reference, np.nan).astype(np.float32), valid, size)
    found = {}
    for name, fine in surfaces.items():
        routed = drainage(np.where(valid, ground.sampled(fine), np.nan).astype(np.float32), valid, size)
        streams = compare_drainage(routed, truth)["streams"]
        middle = streams[len(streams) // 2]
        found[name] = next(o["f1"] for o in middle["overlap"] if o["tolerance_cells"] == 1)
    return found


def summary(maps: Mapping[str, F64]) -> dict[str, float]:
    """RMSE and NMAD in metres, slope RMSE in degrees, curvature RMSE in 1/100 m, share of equal D8 directions."""
    return {
        "rmse": float(np.sqrt(np.nanmean(maps["height"]))),
        "nmad": float(1.4826 * np.nanmedian(maps["absolute"])),
        "slope_rmse": float(np.sqrt(np.nanmean(maps["slope"]))),
        "curvature_rmse": float(np.sqrt(np.nanmean(maps["curvature"]))),
        "d8_same": float(np.nanmean(maps["d8"])),
    }


def interval(maps: Mapping[str, F64], base: Mapping[str, F64], key: str) -> list[float]:
    """95 % interval of the ratio of two RMSEs by drawing blocks of the reference with replacement."""
    sums = []
    for found in (maps[key], base[key]):
        rows, cols = (np.linspace(0, n, BLOCKS + 1).astype(int) for n in found.shape)
        sums.append(np.add.reduceat(np.add.reduceat(np.nan_to_num(found), rows[:-1], axis=0), cols[:-1], axis=1))
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, BLOCKS * BLOCKS, (DRAWS, BLOCKS * BLOCKS))
    ours, theirs = (s.ravel()[drawn].sum(axis=1) for s in sums)
    known = theirs > 0
    return [float(v) for v in np.quantile(np.sqrt(ours[known] / theirs[known]), (0.025, 0.975))]


def modelled(path: Path, pair: Pair, model: str, product: Any) -> tuple[F64, F64, Any]:
    """Heights, σ and spec of a model run on the whole file."""
    import terrafine
    from terrafine.raster.products import find_product
    from terrafine.systems import find_model

    sensor = find_product(product).sensor
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "fine.tif"
        terrafine.sharpen_dem(path, made, scale=pair.scale, model=model, uncertainty=True, product=product)
        with rasterio.open(made) as src:
            z, sigma = src.read().astype(np.float64)
            z, sigma = (fill_nearest(a, src.read_masks(1) > 0) for a in (z, sigma))
    return z, sigma, find_model(model, pair.scale, sensor=sensor).spec


def unknown(coarse: Path) -> Any:
    """The product of a DEM of which nothing is known."""
    from dataclasses import replace

    from terrafine.raster.products import BLOCK_MEAN, default_sensor

    with rasterio.open(coarse) as src:
        size = ground_pixel_size(src.crs, src.transform, np.array([src.height // 2]))
    return replace(
        BLOCK_MEAN, key="unknown", name="unknown", sensor=default_sensor(float(size.min())), origin="default"
    )


def recognised(coarse: Path) -> Any:
    """The product that `terrafine dem` would take for a file: its key, or a sensor model measured on it."""
    from terrafine.raster.products import PRODUCTS, resolve_product
    from terrafine.raster.read.source import open_source

    with open_source(coarse) as source:
        found = resolve_product(source)
    print(f"{coarse.name}: {found.line}")
    return found.product.key if found.product.key in {p.key for p in PRODUCTS} else found.product


def run_pair(data: Path, pair: Pair) -> dict[str, Any]:
    """Every method on one pair."""
    ground, k, product = load(data, pair), pair.scale, pair.product or recognised(data / pair.coarse)
    smooth, width = best(ground, lambda w: bicubic(ndimage.gaussian_filter(ground.coarse, w), k), WIDTHS)
    filtered, noise = best(ground, lambda n: bicubic(lee(ground.coarse, n), k), NOISES)
    surfaces: dict[str, tuple[F64, F64 | None, Any]] = {
        "bicubic": (bicubic(ground.coarse, k), None, None),
        "back-projected bicubic": (back_projected(ground.coarse, k), None, None),
        "smoothed bicubic": (smooth, None, None),
        "Lee filter, bicubic": (filtered, None, None),
        "ridgeline": modelled(data / pair.coarse, pair, "ridgeline", product),
        "ridgeline2, no product": modelled(data / pair.coarse, pair, "ridgeline2", unknown(data / pair.coarse)),
        "ridgeline2": modelled(data / pair.coarse, pair, "ridgeline2", product),
    }
    base = maps_of(ground, surfaces["bicubic"][0])
    streams = streams_f1(ground, {name: fine for name, (fine, _, _) in surfaces.items()})
    methods = {}
    for name, (fine, sigma, spec) in surfaces.items():
        maps = maps_of(ground, fine)
        row: dict[str, Any] = summary(maps) | {"streams_f1": streams[name]}
        row["ratios"] = {key: row[key] / summary(base)[key] for key in ("rmse", "nmad", "slope_rmse", "curvature_rmse")}
        row["intervals"] = {f"{n}": interval(maps, base, n) for n in ("height", "slope")}
        if sigma is not None:
            relative = maps["absolute"] / np.maximum(ground.sampled(sigma), 1e-6)
            share = relative[np.isfinite(relative)]
            for level, factor in (("0.68", 1.0), ("0.90", 1.645)):
                row[f"coverage_{level[2:]}"] = float(np.mean(share <= spec.calibration.get(level, factor)))
        methods[name] = row
    return {
        "scale": k,
        "product": product if isinstance(product, str) else product.label,
        "tuning": pair.tuning,
        "rows": list(pair.rows),
        "cells": int(ground.cells.sum()),
        "shift_cells": list(ground.shift),
        "smoothing_cells": width,
        "lee_noise_m": noise,
        "methods": methods,
    }


def show(name: str, found: Mapping[str, Any]) -> None:
    """Print one pair."""
    print(f"\n{name} ×{found['scale']}, {found['product']}, {found['cells']} cells" + " (tuning)" * found["tuning"])
    for method, row in found["methods"].items():
        r = row["ratios"]
        low, high = row["intervals"]["height"]
        covered = "".join(f"  {100 * row[c]:.0f} %" for c in ("coverage_68", "coverage_90") if c in row)
        print(
            f"{method:26} RMSE {row['rmse']:7.2f} m  {r['rmse']:.3f} [{low:.3f}, {high:.3f}]  NMAD {r['nmad']:.3f}  "
            f"slope {r['slope_rmse']:.3f}  curvature {r['curvature_rmse']:.3f}  D8 {row['d8_same']:.3f}  "
            f"streams {row['streams_f1']:.3f}{covered}"
        )


def quick_pair(data: Path) -> Mapping[str, Pair]:
    """A pair made of the tiny held-out DEM, to see that everything runs."""
    with rasterio.open(data / "dem" / "test" / f"{TINY}.tif") as src:
        z = src.read(1).astype(np.float64)
    write(data / "real_pairs" / "tiny_60m.tif", block_mean(z, 2), cell=60.0)
    return {"tiny": Pair("real_pairs/tiny_60m.tif", f"dem/test/{TINY}.tif", 2, "srtm3")}


def main() -> None:
    """Parse, run, print, write."""
    made = parser(__doc__, "real_dem")
    made.add_argument("--pairs", nargs="+", choices=list(PAIRS), help="of the table; default: all")
    form = "NAME=COARSE,REFERENCE,SCALE[,PRODUCT]"
    made.add_argument("--pair", action="append", type=stated_pair, metavar=form, help="another pair; may be repeated")
    args = made.parse_args()
    record: dict[str, Any] = {
        "command": "python -m benchmarks.real.dem",
        "protocol": {
            "edge_cells": EDGE,
            "blocks": BLOCKS,
            "draws": DRAWS,
            "sampling": "cubic spline",
            "interval": 0.95,
        },
        "pairs": {},
    }
    own = args.pair and not (args.pairs or args.quick)  # needs no data folder
    folder = nullcontext(Path(args.data or os.environ.get("TERRAFINE_DATA") or ".")) if own else data_of(args)
    with folder as data:
        pairs = quick_pair(data) if args.quick else chosen(args.pairs, args.pair, data)
        for name, pair in pairs.items():
            record["pairs"][name] = run_pair(data, pair)
            show(name, record["pairs"][name])
    publish(record, destination(args, "real_dem", complete=not (args.pairs or args.pair)))


if __name__ == "__main__":
    main()
