"""The protocol of Jiao et al. 2020 (doi:10.1515/geo-2020-0207) on SRTM 30 m mountains, and what half a pixel does.

    python -m benchmarks.dem.jiao2020 [--scale 3] [--model NAME_OR_PATH]... [--no-models] [--data DIR]

Area: dem/test/bigtujunga_30m.tif, San Gabriel Mountains, which no model has seen. The paper's tile (29–30° N,
117–118° E) is not among the data.

    paper's protocol   images of at most 256 × 256 cells, each alone, each normalised to 0–1 by its own minimum and
                       maximum (float32), made coarse, restored, scored on all of its cells; PSNR = 10 log10(ΔS²/MSE)
                       with ΔS = max − min of the image, averaged over images; MAE and RMSE in metres over all cells
    registration-exact the whole file, coarse = block mean in metres, cells at least 8 from the border, as in
                       benchmarks.dem.accuracy
    half a pixel       the paper's protocol for bicubic with the slips that resampling code makes

The paper does not state how it made its coarse images: both protocols take the block mean. Networks get metres in
both: ours count relief, so coarse 0–1 images are scaled back first. Valleys and ridges: Peucker & Douglas, F1 within
one cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import data_of, destination, parser, publish
from benchmarks.common import (
    EDGE,
    F64,
    RESULTS,
    ROOT,
    Dem,
    Predict,
    back_projected,
    bicubic,
    block_mean,
    crop,
    interpolations,
    metrics,
    padded,
    read_dem,
    scored_cells,
    upsample,
)
from benchmarks.dem.accuracy import add_models, complete, loaded, models_of
from terrafine.evaluation.elevation.lines import LineStats, valleys_and_ridges

FILE, SIDE, SCALES = "bigtujunga_30m", 256, (2, 3, 4)
PICTURE = ROOT / "docs" / "img" / "jiao2020.png"
PAPER = {  # PSNR in dB, as printed in the paper; MAE and RMSE in metres, printed for ×3 only
    "psnr": {"bicubic": (41.31, 37.17, 34.30), "srcnn": (42.23, 38.48, 35.19), "drn": (54.25, 46.45, 42.13)},
    "mae": {"bicubic": 11.514, "srcnn": 9.471, "drn": 3.691},
    "rmse": {"bicubic": 14.156, "srcnn": 12.012, "drn": 4.829},
}


def images(dem: Dem, k: int) -> Iterator[Dem]:
    """The file cut into images of the greatest multiple of k up to 256 cells; the rest at the far sides is left."""
    side = SIDE // k * k
    for top in range(0, dem.z.shape[0] - side + 1, side):
        for left in range(0, dem.z.shape[1] - side + 1, side):
            cut = np.s_[top : top + side, left : left + side]
            yield Dem(f"{top}-{left}", dem.z[cut], dem.valid[cut], dem.pixel_size_m[:, top : top + side])


def shifted_taps(k: int, slip: float) -> F64:
    """Keys' cubic read `slip` coarse cells beyond the true place; (k, 7), coarse offsets −3…3."""
    t = np.abs(((np.arange(k) + 0.5) / k - 0.5 + slip)[:, None] - np.arange(-3, 4))
    near, far = (1.5 * t - 2.5) * t * t + 1, ((2.5 - 0.5 * t) * t - 4) * t + 2
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def slips(k: int) -> dict[str, Predict]:
    """Bicubic as it should be, and with the ways in which it slips."""
    corner = (k - 1) / (2 * k)  # fine cell i read at coarse i/k: centres taken for corners
    return {
        "in register": lambda z, _: (bicubic(z, k), None),
        "corner for centre": lambda z, _: (upsample(z, shifted_taps(k, corner)), None),
        "half a coarse cell": lambda z, _: (upsample(z, shifted_taps(k, 0.5)), None),
        "half a fine cell": lambda z, _: (upsample(z, shifted_taps(k, 0.5 / k)), None),
    }


def decimated(dem: Dem, k: int) -> F64:
    """Every k-th cell, restored as though it were the block mean: the slip that hides in the coarse image."""
    return bicubic(dem.z[::k, ::k], k)


def restored(predict: Predict, image: Dem, k: int) -> F64:
    """One image through the paper's protocol; metres (y, x)."""
    low, span = image.z.min(), max(float(np.ptp(image.z)), 1e-9)
    unit = ((image.z - low) / span).astype(np.float32)
    coarse = (block_mean(unit, k) * span + low).astype(np.float32)
    size = image.pixel_size_m.reshape(2, -1, k).mean(axis=2) * k
    return np.asarray(predict(coarse, size)[0], dtype=np.float64)


def paper_scores(pairs: list[tuple[F64, Dem]]) -> dict[str, Any]:
    """The paper's Tables 1–3 of one method, with valleys and ridges beside them."""
    psnr, errors, lines = [], [], [LineStats(), LineStats()]
    for fine, image in pairs:
        error = fine - image.z
        psnr.append(10 * np.log10(np.ptp(image.z) ** 2 / np.mean(error**2)))
        errors.append(error.ravel())
        both = zip(valleys_and_ridges(fine), valleys_and_ridges(image.z), strict=True)
        lines = [s.add(c, r, np.s_[:, :]) for s, (c, r) in zip(lines, both, strict=True)]
    error, heights = np.concatenate(errors), np.concatenate([fine.ravel() for fine, _ in pairs])
    return {
        "psnr": float(np.mean(psnr)),
        "mae": float(np.mean(np.abs(error))),
        "rmse": float(np.sqrt(np.mean(error**2))),
        **_spread(heights),
        "valleys_f1": lines[0].summary()["f1"],
        "ridges_f1": lines[1].summary()["f1"],
    }


def _spread(z: NDArray[Any]) -> dict[str, float]:
    return {"min": float(z.min()), "max": float(z.max()), "sd": float(z.std())}


def methods_of(k: int, models: list[str], optional: bool) -> dict[str, Predict]:
    """Bicubic, back-projected bicubic, and the models that serve this scale."""
    found: dict[str, Predict] = {name: interpolations(k)[name] for name in ("bicubic", "back-projected bicubic")}
    return found | {name: predict for name, (predict, _) in loaded(models, k, optional=optional).items()}


def run(path: Path, k: int, models: list[str], *, optional: bool = False) -> dict[str, Any]:
    """Both protocols and the half-pixel experiment at one scale."""
    whole = crop(read_dem(path), k)
    cut = list(images(whole, k))
    truth = np.concatenate([image.z.ravel() for image in cut])
    edges = np.linspace(truth.min(), truth.max(), 65)
    paper: dict[str, Any] = {"original": _spread(truth)}
    exact: dict[str, Any] = {}
    histogram = {"edges_m": edges.tolist(), "original": np.histogram(truth, edges)[0].tolist()}
    middle = cut[len(cut) // 2]
    profile = {"cell_m": float(middle.pixel_size_m[1].mean()), "original": middle.z[len(middle.z) // 2].tolist()}
    for name, predict in methods_of(k, models, optional).items():
        alone = [(restored(predict, image, k), image) for image in cut]
        paper[name] = paper_scores(alone)
        histogram[name] = np.histogram(np.concatenate([z.ravel() for z, _ in alone]), edges)[0].tolist()
        profile[name] = alone[len(cut) // 2][0][len(middle.z) // 2].tolist()
        coarse, size = block_mean(whole.z, k).astype(np.float32), whole.pixel_size_m.reshape(2, -1, k).mean(axis=2) * k
        fine = padded(predict, k)(coarse, size)[0]
        exact[name] = metrics(fine, whole, scored_cells(whole.valid))
    return {
        "images": len(cut),
        "paper_protocol": paper,
        "registration_exact": exact,
        "half_pixel": half_pixel(cut, k),
        "histogram": histogram,
        "profile": profile,
    }


def half_pixel(cut: list[Dem], k: int) -> dict[str, Any]:
    """PSNR and RMSE of bicubic for each slip, the inflation of its RMSE, and what back-projection alone takes back."""
    found = {name: paper_scores([(restored(p, image, k), image) for image in cut]) for name, p in slips(k).items()}
    found["every k-th cell"] = paper_scores([(decimated(image, k), image) for image in cut])
    best = paper_scores([(restored(lambda z, _: (back_projected(z, k), None), image, k), image) for image in cut])
    true = found["in register"]["rmse"]
    return {
        name: {
            "psnr": row["psnr"],
            "rmse": row["rmse"],
            "inflation": row["rmse"] / true,
            "back_projected_gain": 1 - best["rmse"] / row["rmse"],
        }
        for name, row in found.items()
    }


def show(k: int, found: dict[str, Any]) -> None:
    """Print one scale."""
    at, paper = SCALES.index(k), found["paper_protocol"]
    print(f"\n×{k}  paper's protocol, {found['images']} images   (the paper's own tile: PSNR; MAE and RMSE at ×3)")
    print(f"{'':24}{'PSNR':>8}{'MAE':>9}{'RMSE':>9}{'min':>9}{'max':>9}{'SD':>9}{'valleys':>9}{'ridges':>8}   paper")
    for name, row in paper.items():
        cells = [row.get(key) for key in ("psnr", "mae", "rmse", "min", "max", "sd", "valleys_f1", "ridges_f1")]
        published = [f"{PAPER['psnr'][name][at]:.2f}"] if name in PAPER["psnr"] else []
        published += [f"{PAPER[key][name]:.3f}" for key in ("mae", "rmse") if published and k == 3]
        print(
            f"{name:24}"
            + "".join(f"{'-' if v is None else f'{v:.3f}':>9}" for v in cells)
            + "   "
            + " ".join(published)
        )
    print(f"×{k}  registration-exact, whole file: RMSE, MAE, NMAD in metres, slope RMSE in degrees")
    for name, row in found["registration_exact"].items():
        print(f"{name:24}" + "".join(f"{row[key]:9.3f}" for key in ("rmse", "mae", "nmad", "slope_rmse")))
    print(f"×{k}  half a pixel: bicubic's PSNR and RMSE, their inflation, and RMSE taken back by back-projection alone")
    for name, row in found["half_pixel"].items():
        gain = f"−{100 * row['back_projected_gain']:.0f} %"
        print(f"{name:24}{row['psnr']:9.2f}{row['rmse']:9.3f}{row['inflation']:8.2f}×{gain:>9}")


def draw(found: dict[str, Any], path: Path) -> None:
    """Histogram of heights over all images and one profile, each method over the original."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    edges, cell = found["histogram"]["edges_m"], found["profile"]["cell_m"]
    for name, values in found["histogram"].items():
        if name != "edges_m":
            style = {"color": "black", "linewidth": 2.0} if name == "original" else {"linewidth": 1.0}
            left.stairs(values, edges, label=name, **style)
    for name, values in found["profile"].items():
        if name != "cell_m":
            style = {"color": "black", "linewidth": 2.0} if name == "original" else {"linewidth": 1.0}
            part = values[80:180]
            right.plot(np.arange(len(part)) * cell / 1000, part, label=name, **style)
    left.set(xlabel="height, m", ylabel="cells")
    right.set(xlabel="along the middle row of one image, km", ylabel="height, m")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    """Parse, run, print, write."""
    made = parser(__doc__, "jiao2020")
    add_models(made)
    args = made.parse_args()
    record: dict[str, Any] = {"command": "python -m benchmarks.dem.jiao2020", "file": FILE, "edge_cells": EDGE}
    record["paper_printed"] = PAPER
    with data_of(args) as data:
        for scale in args.scale or ([4] if args.quick else SCALES):
            path = data / "dem" / "test" / f"{FILE}.tif"
            record[f"x{scale}"] = run(path, scale, models_of(args), optional=not args.model)
            show(scale, record[f"x{scale}"])
    out = destination(args, "jiao2020", complete=complete(args))
    if out is not None and "x4" in record:
        draw(record["x4"], PICTURE if out.parent == RESULTS else out.with_suffix(".png"))
    publish(record, out)


if __name__ == "__main__":
    main()
