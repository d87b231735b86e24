"""DRN: the deep residual network of Jiao et al. 2020."""

from __future__ import annotations

from terrafine.nn.preupsampled import preupsampled_system
from terrafine.systems.drn.net import LAYERS, DeepResidual

__all__ = ["SYSTEM"]

SYSTEM = preupsampled_system(
    "drn",
    "deep residual network on the bicubic DEM, 30 layers of 64 channels (Jiao et al. 2020)",
    DeepResidual,
    lambda network: int(network.get("layers", LAYERS)),
)
