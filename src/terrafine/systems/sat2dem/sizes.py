"""Which patches the networks of Sat2DEM can be trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from terrafine.nn.task import unfit_size
from terrafine.systems.sat2dem.net import UNet

__all__ = ["refuses_size"]

_LAYERS = 3  # of a discriminator whose table does not state them


def refuses_size(network: Mapping[str, Any], size: int, adversary: Mapping[str, Any]) -> str:
    """Return why patches of a size cannot be trained on, and which sizes can.

    Each level of the U-Net halves the sides. Each strided layer of a discriminator does, two more convolutions take a
    cell each, and its norm needs more than one.

    Parameters
    ----------
    network
        Arguments of the network.
    size
        Cells along a patch.
    adversary
        The recipe's `[adversary]`.

    Returns
    -------
    str
        Empty for a size that fits.
    """
    with torch.device("meta"):
        depth = UNet(**network).depth
    why = f"[network] depth = {depth} halves patches {depth} times"
    least = 0
    if adversary.get("kind", "none") != "none":
        layers = int(adversary.get("layers", _LAYERS))
        least = 3 * 2**layers
        why += f", and [adversary] layers = {layers} needs at least {least} cells" if size < least else ""
    return unfit_size(size, 2**depth, least, why)
