"""Which patches the networks of Sat2DEM can be trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

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
    step = 2**depth
    least = 0 if adversary.get("kind", "none") == "none" else 3 * 2 ** int(adversary.get("layers", _LAYERS))
    if size % step == 0 and size >= least:
        return ""
    lowest = -(-max(least, step) // step)
    below = max(size // step, lowest)
    fitting = [n * step for n in (below, below + 1)]
    why = f"[network] depth = {depth} halves patches {depth} times"
    if size < least:
        why += f", and [adversary] layers = {adversary.get('layers', _LAYERS)} needs at least {least} cells"
    return f"[patches] size = {size}: {why}; expected a multiple of {step} cells, such as {fitting[0]} or {fitting[1]}"
