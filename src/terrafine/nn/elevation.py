"""Elevation networks as the engine runs them: from heights to heights and σ, with the observation kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from terrafine.errors import UsageError
from terrafine.nn.blocks import channels_last
from terrafine.nn.device import autocast, full_float32, to_device, to_host
from terrafine.nn.dihedral import COUNT, inverse, transform, transform_sizes
from terrafine.nn.model import Tiles
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options
from terrafine.physics.consistency import observation_error

__all__ = ["ElevationModel", "Relief"]


@dataclass(frozen=True, slots=True)
class Relief:
    """Output of an elevation network.

    Attributes
    ----------
    relief
        Subcell minus cell height in metres, (n, k², y, x).
    log_sigma
        Logarithm of σ in metres, same shape; None for a network without uncertainty.
    """

    relief: Tensor
    log_sigma: Tensor | None = None


Forward = Callable[..., Relief]
"""Function (network, heights, pixel sizes[, guides]) -> relief; guides where the spec has any."""


class ElevationModel:
    """Model that runs a network from heights to relief and keeps the observation.

    The observation is kept in subcell form, where the block mean is a mean over channels: `hard` subtracts it, `soft`
    subtracts the part above the tolerance, `none` leaves it. The mean and the sum with the cell's height are computed
    in float64 on the CPU and rounded once, so that they are the same on every device.

    Parameters
    ----------
    spec
        Spec of the model.
    network
        Network, or None where `forward` needs none.
    forward
        (network, heights (n, 1, y, x) in metres, pixel sizes (n, 2, y, 1) in metres[, guides]) -> `Relief`.
    options
        Consistency, tolerance, self-ensemble, engine, device and precision.
    """

    def __init__(self, spec: ModelSpec, network: nn.Module | None, forward: Forward, options: Options) -> None:
        self.spec = spec
        self.options = options
        self.forward = forward
        self.device = torch.device(options.device)
        self.network = channels_last(network.eval(), self.device) if network is not None else nn.Identity()

    @torch.inference_mode()
    def __call__(self, tiles: Tiles) -> dict[str, NDArray[np.float32]]:
        """Compute the fine heights of a batch of tiles.

        Parameters
        ----------
        tiles
            Tiles with the band `elevation`, and guides where the spec has any.

        Returns
        -------
        dict[str, ndarray]
            `elevation`, and `elevation_sigma` where the spec lists it; float32 (tile, y·k, x·k), metres.

        Raises
        ------
        UsageError
            For a self-ensemble with guides, or an uncertainty that the network does not give.
        """
        heights = torch.from_numpy(np.ascontiguousarray(tiles.bands["elevation"]))[:, None]
        pixel = torch.from_numpy(tiles.pixel_size_m.astype(np.float32))[..., None]
        guides = {name: torch.from_numpy(np.ascontiguousarray(g)) for name, g in tiles.guides.items()}
        more = (guides,) if self.spec.guides else ()
        ensemble = self.options.self_ensemble
        if ensemble and guides:
            raise UsageError(
                f"{self.spec.name} knows the looks of real orbits alone: no self_ensemble=True with guides"
            )
        relief, sigma = self._ensemble(heights, pixel) if ensemble else self._once(heights, pixel, *more)
        out = {"elevation": self._fine(heights, relief)}
        if "elevation_sigma" in self.spec.outputs:
            if sigma is None:
                raise UsageError(f"{self.spec.name} gives no uncertainty")
            out["elevation_sigma"] = torch.nn.functional.pixel_shuffle(sigma, self.spec.scale)[:, 0]
        return {name: np.ascontiguousarray(value.numpy()) for name, value in out.items()}

    def _once(self, heights: Tensor, pixel: Tensor, *guides: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        given = to_device((heights, pixel, *guides), self.device)
        with full_float32(), autocast(self.device, self.options.precision):
            out = to_host(self.forward(self.network, *given))
        sigma = None if out.log_sigma is None else out.log_sigma.exp() * self.spec.calibration.get("sigma", 1.0)
        return out.relief, sigma

    def _error(self, relief: Tensor) -> Tensor:
        """Part of the block mean that is subtracted to keep the observation; float64 (n, 1, y, x)."""
        if self.options.consistency in ("none", "product"):
            return relief.new_zeros((len(relief), 1, *relief.shape[2:]), dtype=torch.float64)
        soft = self.options.consistency == "soft"
        return observation_error(relief, tolerance=self.options.tolerance_m if soft else 0.0)

    def _ensemble(self, heights: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean over the eight transformed copies, each transformed back: equivariant up to the order of the sum."""
        k = self.spec.scale
        shuffle, unshuffle = torch.nn.functional.pixel_shuffle, torch.nn.functional.pixel_unshuffle
        reliefs, sigmas = [], []
        full = pixel.expand(-1, -1, -1, heights.shape[-1])
        for code in range(COUNT):
            relief, sigma = self._once(transform(heights, code), transform_sizes(full, code))
            relief = (relief - self._error(relief)).float()
            reliefs.append(unshuffle(transform(shuffle(relief, k), inverse(code)), k))
            if sigma is not None:
                sigmas.append(unshuffle(transform(shuffle(sigma, k), inverse(code)), k))
        mean = torch.stack(reliefs).double().mean(0).float()
        return mean, torch.stack(sigmas).double().square().mean(0).sqrt().float() if sigmas else None

    def _fine(self, heights: Tensor, relief: Tensor) -> Tensor:
        n, _, y, x = heights.shape
        k = self.spec.scale
        fine = torch.empty((n, y, k, x, k), dtype=torch.float32)
        cells = relief.reshape(n, k, k, y, x)
        base = heights[:, 0].double() - self._error(relief)[:, 0]
        for i in range(k):
            for j in range(k):
                fine[:, :, i, :, j] = base + cells[:, i, j]
        return fine.reshape(n, y * k, x * k)
