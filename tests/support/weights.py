"""Weights files of small networks, of known random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from terrafine.nn.weights import save
from terrafine.systems import find_system


def write_weights(path: Path, system: str, network: Mapping[str, Any], scale: int, spread: float = 0.0) -> Path:
    """A network of the system with its initial weights, each moved by a normal random number times `spread`."""
    built = find_system(system)
    assert built.build is not None
    torch.manual_seed(0)
    net = built.build(network, scale)
    with torch.no_grad():
        for p in net.parameters() if spread else ():
            p.add_(spread * torch.randn_like(p))
    save(path, net.state_dict(), built.describe(net, network, scale))
    return path
