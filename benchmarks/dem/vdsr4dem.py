"""VDSR4DEM, a public pretrained network for DEM super-resolution, ×3, built in torch from its Keras weights.

https://github.com/OpenDEM/VDSR4DEM (MIT), after Kim et al. 2016 (arXiv:1511.04587): eleven 9×9 convolutions of 32
channels with ReLU between them, zero padding, added to an input that is already on the fine grid. It was trained on 30
tiles of 300×300 cells of the Austrian terrain model (10 m), heights mapped to 0–1; its own notebook maps each tile that
it is shown from the tile's minimum and maximum to 0–1, and back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from benchmarks.common import F32, F64, Predict, back_projected, bicubic, block_mean, upsample

SCALE = 3
RADIUS = 44  # fine cells: eleven convolutions of radius 4
TILE, HALO = 100, 17  # coarse cells: 300×300 fine ones, as it was trained on, of which the inner 198×198 are kept
TRAINED = (170.0, 2980.0)  # lowest height and range of its training data, metres

TRAINED_PIXEL = 10.0

Norm = Callable[[F64, float], tuple[float, float]]  # (tile, metres per fine pixel) -> heights of 0, and from 0 to 1


def load_vdsr4dem(path: Path) -> nn.Sequential:
    """The convolutions, read in the order of the file's layer list; (n, 1, y, x) -> what is added, same shape."""
    try:
        import h5py  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError as e:
        raise SystemExit("VDSR4DEM's weights are HDF5: pip install h5py") from e
    layers: list[nn.Module] = []
    with h5py.File(path) as file:
        for name in file.attrs["layer_names"]:
            arrays = [file[name][w][()] for w in file[name].attrs["weight_names"]]
            if not arrays:
                continue
            kernel, bias = (torch.from_numpy(np.asarray(a)) for a in arrays)
            y, x, inside, outside = kernel.shape
            conv = nn.Conv2d(inside, outside, (y, x), padding=(y // 2, x // 2))
            conv.load_state_dict({"weight": kernel.permute(3, 2, 0, 1).contiguous(), "bias": bias})
            layers += [conv, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def untrained_vdsr4dem() -> nn.Sequential:
    """As deep with two channels and weights of zero, which adds nothing to its input: for a run without the weights."""
    layers: list[nn.Module] = []
    for inside, outside in ((1, 2), *((2, 2),) * 9, (2, 1)):
        layers += [nn.Conv2d(inside, outside, 9, padding=4), nn.ReLU()]
    net = nn.Sequential(*layers[:-1]).eval()
    for weight in net.parameters():
        nn.init.zeros_(weight)
    return net


@torch.inference_mode()
def forward(net: nn.Module, tile: Tensor) -> Tensor:
    """(n, 1, y, x) within 0–1, on the fine grid -> same, sharpened."""
    out: Tensor = tile + net(tile.contiguous(memory_format=torch.channels_last))
    return out


def tile_range(tile: F64, _: float) -> tuple[float, float]:
    """From the tile's minimum to its maximum, as its notebook runs it; a level tile has a range of a metre."""
    return float(tile.min()), max(float(np.ptp(tile)), 1.0)


def trained_range(_: F64, __: float) -> tuple[float, float]:
    """The heights of its training data, whatever the tile."""
    return TRAINED


def trained_slopes(tile: F64, pixel_m: float) -> tuple[float, float]:
    """The span of its training data, stretched with the pixel so that slopes look as they did; from the minimum."""
    return float(tile.min()), TRAINED[1] * pixel_m / TRAINED_PIXEL


def corner_for_centre(coarse: NDArray[Any], k: int) -> F64:
    """Cubic spline that reads fine cell i at coarse i/k: half a pixel off, as much code has it."""
    at = [np.arange(n * k) / k for n in coarse.shape]
    return np.asarray(
        ndimage.map_coordinates(np.asarray(coarse, float), np.meshgrid(*at, indexing="ij"), order=3, mode="nearest")
    )


def bilinear(coarse: NDArray[Any], k: int) -> F64:
    """Linear interpolation, centres in register."""
    t = np.abs(((np.arange(k) + 0.5) / k - 0.5)[:, None] - np.arange(-1, 2))
    return upsample(coarse, np.clip(1 - t, 0, None))


# What the network may be shown: how heights come onto the fine grid, and how they become numbers from 0 to 1.
READINGS: dict[str, tuple[Callable[[NDArray[Any], int], F64], Norm]] = {
    "bicubic, tile's range": (bicubic, tile_range),
    "bicubic, training data's range": (bicubic, trained_range),
    "bicubic, training data's slopes": (bicubic, trained_slopes),
    "bilinear, tile's range": (bilinear, tile_range),
    "cubic with corner for centre, tile's range": (corner_for_centre, tile_range),
    "back-projected bicubic, tile's range": (back_projected, tile_range),
    "back-projected bicubic, training data's range": (back_projected, trained_range),
    "back-projected bicubic, training data's slopes": (back_projected, trained_slopes),
}
NOTEBOOK = "bicubic, tile's range"  # its notebook does not say how tiles come onto the fine grid


def keep(fine: NDArray[Any], coarse: NDArray[Any]) -> F64:
    """Ten rounds of back-projection onto the cell means."""
    for _ in range(10):
        fine = fine + bicubic(coarse - block_mean(fine, SCALE), SCALE)
    return np.asarray(fine)


def predict(net: nn.Module, reading: str = NOTEBOOK, *, kept: bool = False) -> Predict:
    """The network as a method, tile by tile; `kept` adds ten rounds of back-projection to what it gives."""
    before, norm = READINGS[reading]

    def call(z: F32, size: F64) -> tuple[NDArray[Any], None]:
        step, pixel_m = TILE - 2 * HALO, float(size.mean()) / SCALE
        sides = [(HALO, HALO + -n % step) for n in z.shape]
        wide = np.pad(z.astype(np.float64), sides, mode="reflect")
        fine = np.empty([(n + after - HALO) * SCALE for n, (_, after) in zip(z.shape, sides, strict=True)])
        inner = slice(HALO * SCALE, -HALO * SCALE)
        for top in range(0, z.shape[0], step):
            for left in range(0, z.shape[1], step):
                tile = before(wide[top : top + TILE, left : left + TILE], SCALE)
                low, span = norm(tile, pixel_m)
                given = torch.from_numpy(((tile - low) / span).astype(np.float32))[None, None]
                out = forward(net, given)[0, 0].double().numpy() * span + low
                fine[top * SCALE :, left * SCALE :][: step * SCALE, : step * SCALE] = out[inner, inner]
        fine = fine[: z.shape[0] * SCALE, : z.shape[1] * SCALE]
        return keep(fine, z) if kept else fine, None

    return call
