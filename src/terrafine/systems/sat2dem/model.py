"""Sat2DEM as the engine runs it: from reflectance to relief in metres."""

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
from terrafine.nn.device import full_float32, to_device, to_host
from terrafine.nn.model import Tiles
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options, network_of
from terrafine.systems.sat2dem.net import UNet
from terrafine.systems.sat2dem.normalise import from_units

__all__ = ["BANDS", "HeightModel", "adapt", "describe"]

BANDS = ("red", "green", "blue")
_TILE = 512


def describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    """Declare a model: exact tiles with a halo for a local network, otherwise overlapping tiles.

    A network that is not local runs on windows of its training size, of which the inner half is published; the tiles
    are levelled and blended.

    Parameters
    ----------
    net
        A UNet.
    network
        Network arguments.
    scale
        Not used.

    Returns
    -------
    ModelSpec
        The spec, without provenance.

    Raises
    ------
    TypeError
        For a network of another type.
    """
    net = network_of(net, UNet)
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
    """Model that runs a U-Net on reflectance.

    Windows are padded by reflection to a multiple that the depth requires, and cropped again. `relief` is in metres:
    above the datum with the normalisation `global`, above the tile's lowest cell with `shift`, above an unstated level
    of the whole raster with `relief`. The last one is multiplied, row by row, by the pixel size over that of the
    training data: shading shows slopes, and the same slope over a smaller cell is less height.

    Parameters
    ----------
    spec
        Spec of the model.
    network
        Network.
    options
        Options of the run.

    Raises
    ------
    UsageError
        For another engine than torch, or a self-ensemble.
    """

    def __init__(self, spec: ModelSpec, network: UNet, options: Options) -> None:
        if options.engine != "torch":
            raise UsageError(f"sat2dem runs on torch; the engine {options.engine} cannot run it")
        if options.self_ensemble:
            raise UsageError(
                "sat2dem does not support self_ensemble=True: the direction of light does not rotate with the image"
            )
        self.spec = spec
        self.device = torch.device(options.device)
        self.network = channels_last(network.eval(), self.device)
        self.depth, self.cell_m = network.depth, network.cell_m
        self.kind = network.normalisation

    @torch.inference_mode()
    def __call__(self, tiles: Tiles) -> dict[str, NDArray[np.float32]]:
        """`relief`, and `relief_sigma` where the spec lists it; float32 (tile, y, x)."""
        image = torch.from_numpy(np.stack([tiles.bands[name] for name in BANDS], axis=1))
        with full_float32():
            made = to_host(self._padded(to_device(image, self.device)))
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
    """Wrap a network as a model of the engine.

    Parameters
    ----------
    spec
        Spec of the model.
    net
        A UNet.
    options
        Options of the run.

    Returns
    -------
    HeightModel
        The model.

    Raises
    ------
    TypeError
        For a network of another type.
    UsageError
        For options that `HeightModel` rejects.
    """
    return HeightModel(spec, network_of(net, UNet), options)
