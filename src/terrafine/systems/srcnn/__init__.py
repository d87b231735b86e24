"""SRCNN: the shallow network that Jiao et al. 2020 compare with."""

from __future__ import annotations

from terrafine.nn.preupsampled import preupsampled_system
from terrafine.systems.srcnn.net import RADIUS, Shallow

__all__ = ["SYSTEM"]

SYSTEM = preupsampled_system(
    "srcnn", "three convolutions 9-1-5 on the bicubic DEM (Dong et al. 2014)", Shallow, lambda network: RADIUS
)
