"""A super-resolving image network as the engine sees it: reflectance in by band, finer reflectance out by band."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from terrafine.errors import WeightsError
from terrafine.nn.model import Tiles
from terrafine.nn.rrdb import ProgEsrgan
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options

__all__ = ["ImageModel"]


class ImageModel:
    """Runs a `ProgEsrgan` over tiles of reflectance; its 1 m image, or its 2.5 m image where the spec's scale is 4.

    `consistency` none leaves the image as the network made it; hard and soft are the network's own agreement with the
    observation. Raises WeightsError for a spec whose outputs are not its inputs, or whose scale is neither 4 nor 10.
    """

    def __init__(self, spec: ModelSpec, network: ProgEsrgan, options: Options) -> None:
        if spec.outputs != spec.inputs or spec.scale not in (4, 10):
            raise WeightsError(
                f"{spec.name}: takes {', '.join(spec.inputs)} and gives {', '.join(spec.outputs)} at ×{spec.scale}; "
                "expected the same bands, at ×4 or ×10"
            )
        self.spec, self.options = spec, options
        self.network = network.eval()

    @torch.inference_mode()
    def __call__(self, tiles: Tiles) -> dict[str, NDArray[np.float32]]:
        """Every band as float32 (tile, y·k, x·k), reflectance."""
        stack = np.stack([tiles.bands[name] for name in self.spec.inputs], axis=1)
        rounds = 0 if self.options.consistency == "none" else None
        x = torch.from_numpy(np.ascontiguousarray(stack))
        fine = self.network.to_quarter(x, rounds) if self.spec.scale == 4 else self.network(x, rounds)[1]
        return {name: np.ascontiguousarray(fine[:, i].numpy()) for i, name in enumerate(self.spec.outputs)}
