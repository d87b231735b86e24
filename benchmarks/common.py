"""What the benchmarks share: real files, exact degradation, interpolations from first principles, scores.

Nothing here comes from the package's own raster code, so a slip there cannot hide in the numbers.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy import ndimage

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
EDGE = 8  # fine cells left out along the border and around voids
PAD = 32  # coarse cells of reflected terrain around every file, the same for every method

Scores = Mapping[str, Mapping[str, float]]  # {file: {metric: value}}
# predict(coarse float32 (y, x) without voids, metres per coarse cell (2, y)) -> elevation, σ or None; both (y*k, x*k)
Predict = Callable[[F32, F64], tuple[NDArray[Any], NDArray[Any] | None]]


def data_dir(given: str | None = None) -> Path:
    """Folder of real data: the argument, else TERRAFINE_DATA, else `../shared/data` beside the repository."""
    path = Path(given or os.environ.get("TERRAFINE_DATA") or ROOT.parent / "shared" / "data")
    if not (path / "dem").is_dir():
        raise SystemExit(f"{path}: no folder `dem` here; set TERRAFINE_DATA or give --data DIR")
    return path


def test_files(data: Path) -> list[Path]:
    """The held-out DEMs, in name order."""
    return sorted((data / "dem" / "test").glob("*.tif"))


@dataclass(frozen=True)
class Dem:
    """One DEM: elevation (y, x) with voids filled from the nearest cell, valid (y, x), metres per cell (2, y)."""

    name: str
    z: F64
    valid: Mask
    pixel_size_m: F64


def read_dem(path: Path, rows: slice | None = None, cols: slice | None = None) -> Dem:
    """Read a DEM (or a window), its mask and its ground pixel size by row; a file without CRS is taken in metres."""
    with rasterio.open(path) as src:
        r, c = rows or slice(0, src.height), cols or slice(0, src.width)
        window = rasterio.windows.Window(c.start, r.start, c.stop - c.start, r.stop - r.start)
        z = src.read(1, window=window).astype(np.float64)
        valid = src.read_masks(1, window=window) > 0
        size = ground_pixel_size(src.crs, src.transform, np.arange(r.start, r.stop))
    valid &= np.isfinite(z)
    return Dem(path.stem, fill_nearest(z, valid), valid, size)


def ground_pixel_size(crs: Any, transform: Any, rows: NDArray[Any]) -> F64:
    """Metres on the ground along y and x of one cell in each row; (2, rows).

    Geographic grids: WGS 84 radii of curvature at the row. EPSG:3857: pitch × cos(latitude) as its scale factor
    (on the sphere; the ellipsoid changes it by up to 0.7 %). Others: the pitch as it is, in metres.
    """
    dy, dx = abs(transform.e), abs(transform.a)
    y = transform.f + (rows + 0.5) * transform.e
    if crs is not None and crs.is_geographic:
        a, e2 = 6378137.0, 6.69437999014e-3
        s2 = np.sin(np.radians(y)) ** 2
        meridian = a * (1 - e2) / (1 - e2 * s2) ** 1.5
        parallel = a * np.cos(np.radians(y)) / np.sqrt(1 - e2 * s2)
        return np.stack([np.radians(dy) * meridian, np.radians(dx) * parallel])
    factor = np.ones(len(rows))
    if crs is not None and crs.to_epsg() == 3857:
        factor = 1 / np.cosh(y / 6378137.0)
    return np.stack([dy * factor, dx * factor])


def fill_nearest(z: F64, valid: Mask) -> F64:
    """Voids take the value of the nearest valid cell."""
    if valid.all():
        return z
    at = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return np.asarray(z[tuple(at)])


def crop(dem: Dem, k: int) -> Dem:
    """The upper left part whose sides are multiples of k."""
    y, x = (n // k * k for n in dem.z.shape)
    return Dem(dem.name, dem.z[:y, :x], dem.valid[:y, :x], dem.pixel_size_m[:, :y])


def block_mean(z: NDArray[Any], k: int) -> F64:
    """Mean of each k×k block."""
    y, x = (n // k for n in z.shape)
    return np.asarray(z.reshape(y, k, x, k).mean(axis=(1, 3)))


def coarse_of(dem: Dem, k: int) -> tuple[F32, F64]:
    """Coarse elevation (mean of the valid fine cells; float32, not rounded) and metres per coarse cell (2, y)."""
    weight = block_mean(dem.valid.astype(float), k)
    with np.errstate(invalid="ignore"):
        mean = block_mean(np.where(dem.valid, dem.z, 0.0), k) / weight
    mean = fill_nearest(mean, weight > 0)
    size = dem.pixel_size_m.reshape(2, -1, k).mean(axis=2) * k
    return mean.astype(np.float32), size


def keys_taps(k: int, a: float = -0.5) -> F64:
    """Keys' cubic at the k fine centres of a cell; (k, 5), coarse offsets -2…2 (doi:10.1109/TASSP.1981.1163711)."""
    t = np.abs(((np.arange(k) + 0.5) / k - 0.5)[:, None] - np.arange(-2, 3))
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = a * (((t - 5) * t + 8) * t - 4)
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def lanczos_taps(k: int, lobes: int = 3) -> F64:
    """Lanczos windowed sinc, rows scaled to sum to one; (k, 2·lobes + 1)."""
    t = ((np.arange(k) + 0.5) / k - 0.5)[:, None] - np.arange(-lobes, lobes + 1)
    taps = np.where(np.abs(t) < lobes, np.sinc(t) * np.sinc(t / lobes), 0.0)
    return np.asarray(taps / taps.sum(axis=1, keepdims=True))


def upsample(coarse: NDArray[Any], taps: F64) -> F64:
    """Separable interpolation, centres in register; (y, x) -> (y*k, x*k); the border is replicated."""
    z = np.asarray(coarse, dtype=np.float64)
    for axis in (0, 1):
        k, width = taps.shape
        pad = [(0, 0), (0, 0)]
        pad[axis] = (width // 2, width // 2)
        padded = np.moveaxis(np.pad(z, pad, mode="edge"), axis, 0)
        n = z.shape[axis]
        fine = np.stack([sum(taps[p, j] * padded[j : j + n] for j in range(width)) for p in range(k)], axis=1)
        z = np.moveaxis(fine.reshape(n * k, *padded.shape[1:]), 0, axis)
    return z


def bicubic(coarse: NDArray[Any], k: int, a: float = -0.5) -> F64:
    """Keys' cubic convolution."""
    return upsample(coarse, keys_taps(k, a))


def back_projected(coarse: NDArray[Any], k: int, rounds: int = 10, a: float = -0.5) -> F64:
    """Bicubic, then `rounds` times: add the bicubic of (coarse minus block mean)."""
    fine = bicubic(coarse, k, a)
    for _ in range(rounds):
        fine = fine + bicubic(coarse - block_mean(fine, k), k, a)
    return fine


def interpolations(k: int) -> dict[str, Predict]:
    """The methods without weights."""
    return {
        "bicubic": lambda z, _: (bicubic(z, k), None),
        "bicubic a=-0.75": lambda z, _: (bicubic(z, k, -0.75), None),
        "lanczos": lambda z, _: (upsample(z, lanczos_taps(k)), None),
        "back-projected bicubic": lambda z, _: (back_projected(z, k), None),
        "back-projected bicubic a=-0.75": lambda z, _: (back_projected(z, k, a=-0.75), None),
    }


def padded(predict: Predict, k: int, pad: int = PAD, multiple: int = 1) -> Predict:
    """`predict` with reflected terrain around its input, cropped again from its output."""

    def call(z: F32, size: F64) -> tuple[NDArray[Any], NDArray[Any] | None]:
        y, x = z.shape
        sides = [(pad, pad + -(n + 2 * pad) % multiple) for n in (y, x)]
        mode = "reflect" if min(y, x) > max(map(max, sides)) else "edge"
        fine, sigma = predict(np.pad(z, sides, mode=mode), np.pad(size, [(0, 0), sides[0]], mode="edge"))
        inner = np.s_[pad * k : (pad + y) * k, pad * k : (pad + x) * k]
        return fine[inner], None if sigma is None else sigma[inner]

    return call


def model_predict(model: Any) -> Predict:
    """A `terrafine.nn.model.Model` as a `Predict`, padded as its spec asks."""
    from terrafine.nn.model import Tiles

    def call(z: F32, size: F64) -> tuple[NDArray[Any], NDArray[Any] | None]:
        z = np.ascontiguousarray(z, dtype=np.float32)
        out = model(Tiles({"elevation": z[None]}, np.ones((1, *z.shape), bool), np.ascontiguousarray(size[None])))
        sigma = out.get("elevation_sigma")
        return out["elevation"][0], None if sigma is None else sigma[0]

    return padded(call, model.spec.scale, max(PAD, model.spec.halo), model.spec.multiple)


def horn_slope(z: NDArray[Any], size: F64) -> F64:
    """Slope in degrees by Horn's 3×3 differences (doi:10.1109/PROC.1981.11918); the outer ring is NaN."""
    z = np.asarray(z, dtype=np.float64)
    dx = z[:, 2:] - z[:, :-2]
    dy = z[2:] - z[:-2]
    gx = (dx[:-2] + 2 * dx[1:-1] + dx[2:]) / (8 * size[1, 1:-1, None])
    gy = (dy[:, :-2] + 2 * dy[:, 1:-1] + dy[:, 2:]) / (8 * size[0, 1:-1, None])
    return np.pad(np.degrees(np.arctan(np.hypot(gx, gy))), 1, constant_values=np.nan)


def scored_cells(valid: Mask, edge: int = EDGE) -> Mask:
    """Valid cells at least `edge` fine cells from the border and from any void."""
    return np.asarray(ndimage.minimum_filter(valid, size=2 * edge + 1, mode="constant", cval=False))


def metrics(fine: NDArray[Any], dem: Dem, cells: Mask) -> dict[str, float]:
    """RMSE, MAE, NMAD, bias in metres and slope RMSE in degrees over `cells`."""
    error = np.asarray(fine, dtype=np.float64)[cells] - dem.z[cells]
    slope = (horn_slope(fine, dem.pixel_size_m) - horn_slope(dem.z, dem.pixel_size_m))[cells]
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "nmad": float(1.4826 * np.median(np.abs(error - np.median(error)))),
        "slope_rmse": float(np.sqrt(np.mean(slope**2))),
        "bias": float(np.mean(error)),
    }


def coverage(fine: NDArray[Any], sigma: NDArray[Any], dem: Dem, cells: Mask, spec: Any = None) -> dict[str, float]:
    """Share of cells within the stated 68 and 90 % intervals; half widths are the spec's multipliers of σ."""
    calibration = {} if spec is None else dict(spec.calibration)
    half = {"0.68": calibration.get("0.68", 1.0), "0.90": calibration.get("0.90", calibration.get("0.9", 1.645))}
    ratio = np.abs(np.asarray(fine, dtype=np.float64)[cells] - dem.z[cells]) / sigma[cells]
    out = {f"coverage_{p[2:4]}": float(np.mean(ratio <= m)) for p, m in half.items()}
    return out | {"sigma_mean": float(np.mean(sigma[cells]))}


def score(predict: Predict, k: int, files: Sequence[Path], *, spec: Any = None) -> dict[str, dict[str, float]]:
    """Metrics of one method on every file: {file: {metric: value}}; coarse inputs are block means of the file."""
    table = {}
    for path in files:
        dem = crop(read_dem(path), k)
        coarse, size = coarse_of(dem, k)
        fine, sigma = predict(coarse, size)
        cells = scored_cells(dem.valid)
        row = metrics(fine, dem, cells) | {
            "n": int(cells.sum()),
            "consistency_max": float(np.abs(block_mean(fine, k) - coarse)[block_mean(cells, k) == 1].max()),
        }
        if sigma is not None:
            row |= coverage(fine, sigma, dem, cells, spec)
        table[path.stem] = row
    return table


def geometric_ratio(
    scores: Mapping[str, Mapping[str, float]], base: Mapping[str, Mapping[str, float]], key: str
) -> float:
    """Geometric mean over files of this method's metric divided by the baseline's."""
    return float(np.exp(np.mean([np.log(scores[f][key] / base[f][key]) for f in base])))


def ratios_to(
    table: Mapping[str, Scores], bases: Sequence[str], metrics: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """{method: {base: {metric: geometric mean over files of the ratio}}}."""
    return {
        name: {base: {m: geometric_ratio(rows, table[base], m) for m in metrics} for base in bases}
        for name, rows in table.items()
    }


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write the record with sorted keys; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next((ln.split(":", 1)[1].strip() for ln in info.read_text().splitlines() if "model name" in ln), cpu)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": cpu, "cores": cores, "python": platform.python_version()}
