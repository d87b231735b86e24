"""Sat2DEM as the engine sees it: reflectance in, relief in metres out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import UsageError
from terrafine.nn.blocks import channels_last
from terrafine.nn.model import Tiles
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options
from terrafine.systems.sat2dem.net import UNet
from terrafine.systems.sat2dem.normalise import from_units

__all__ = ["BANDS", "HeightModel", "adapt", "describe"]

BANDS = ("red", "green", "blue")
_TILE = 512


def describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    """Exact tiles with the receptive radius where the network is local; else overlapping tiles, levelled and blended.

    A network that is not local is shown windows of the size it was trained on, half of which is published.
    """
    if not isinstance(net, UNet):
        raise TypeError(f"expected a UNet, found {type(net).__name__}")
    two = net.outputs > 1
    side = 2**net.depth
    inner: dict[str, Any] = {"halo": net.receptive_radius(), "multiple": side, "tile": -(-_TILE // side) * side}
    blended = {"halo": net.tile // 4, "multiple": 1, "tile": net.tile // 2, "tiling": "blend", "relative": True}
    return ModelSpec(
        system="sat2dem",
        name="sat2dem",
        version="0",
        inputs=BANDS,
        outputs=("relief", "relief_sigma") if two else ("relief",),
        scale=1,
        network=dict(network),
        **(inner if net.exact else blended),
    )


class HeightModel:
    """Runs a U-Net on reflectance; windows are padded by reflection to what its depth divides, and cropped again.

    `relief` is in metres: above the datum under `global`, above the tile's lowest cell under `shift`, above an unstated
    level that is the same for the whole raster under `relief`. That one is scaled by the size of a cell over that of
    the training data, row by row: shading shows slopes, and the same slope over a smaller cell is less height.
    """

    def __init__(self, spec: ModelSpec, network: UNet, options: Options) -> None:
        if options.engine != "torch":
            raise UsageError(f"sat2dem runs on torch; the engine {options.engine} cannot run it")
        if options.self_ensemble:
            raise UsageError("light does not turn with an image: no self_ensemble=True for sat2dem")
        self.spec = spec
        self.network = channels_last(network.eval())
        self.depth, self.cell_m = network.depth, network.cell_m
        self.kind = network.normalisation

    @torch.inference_mode()
    def __call__(self, tiles: Tiles) -> dict[str, NDArray[np.float32]]:
        """`relief`, and `relief_sigma` where the spec lists it; float32 (tile, y, x)."""
        image = torch.from_numpy(np.stack([tiles.bands[name] for name in BANDS], axis=1))
        made = self._padded(image)
        size = torch.from_numpy(tiles.pixel_size_m.prod(axis=1) ** 0.5 / self.cell_m).float()[:, :, None]
        slope = size if self.kind == "relief" else torch.ones_like(size)
        out = {"relief": from_units(made[:, 0], self.kind) * slope}
        if "relief_sigma" in self.spec.outputs:
            unit = from_units(torch.ones(1), self.kind) - from_units(torch.zeros(1), self.kind)
            out["relief_sigma"] = made[:, 1].exp() * unit * slope * self.spec.calibration.get("sigma", 1.0)
        return {name: np.ascontiguousarray(value.numpy()) for name, value in out.items()}

    def _padded(self, image: Tensor) -> Tensor:
        y, x = image.shape[-2:]
        side = 2**self.depth
        more = (0, -x % side, 0, -y % side)
        if any(more):
            fits = more[1] < x and more[3] < y
            image = functional.pad(image, more, mode="reflect" if fits else "replicate")
        made: Tensor = self.network(image)
        return made[..., :y, :x]


def adapt(spec: ModelSpec, net: nn.Module | None, options: Options) -> HeightModel:
    """The network as the engine sees it."""
    if not isinstance(net, UNet):
        raise TypeError(f"expected a UNet, found {type(net).__name__}")
    return HeightModel(spec, net, options)
