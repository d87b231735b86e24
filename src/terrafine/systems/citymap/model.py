"""CityMap as the engine runs it: from reflectance to calibrated probabilities of impervious surface and buildings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import UsageError
from terrafine.nn.blocks import channels_last
from terrafine.nn.device import full_float32, to_device, to_host
from terrafine.nn.dihedral import COUNT, inverse, transform
from terrafine.nn.model import Tiles
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options, network_of
from terrafine.raster.bands import band_of_date, measured_of_date
from terrafine.systems.citymap.features import BANDS
from terrafine.systems.citymap.net import HALO, HEADS, CityMap

__all__ = ["SCALE", "CityModel", "adapt", "combine_dates", "describe", "without"]

SCALE = 10
_SIGMA = "impervious_sigma"
_TILE, _MULTIPLE = 256, 4


def describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    """Declare a model with exact tiles and one output for each head.

    Parameters
    ----------
    net
        Not used.
    network
        Network arguments.
    scale
        10.

    Returns
    -------
    ModelSpec
        The spec, without provenance.

    Raises
    ------
    UsageError
        For another scale.
    """
    if scale != SCALE:
        raise UsageError(f"scale {scale}: CityMap makes a 1 m grid (×{SCALE}) of 10 m")
    return ModelSpec(
        system="citymap",
        name="citymap",
        version="0",
        inputs=BANDS if network.get("infrared", True) else BANDS[:-1],
        outputs=HEADS,
        scale=SCALE,
        halo=-(-HALO // _MULTIPLE) * _MULTIPLE,
        multiple=_MULTIPLE,
        tile=_TILE,
        network=dict(network),
    )


def without(spec: ModelSpec, band: str) -> ModelSpec | None:
    """Describe the same weights for an image without near infrared.

    Parameters
    ----------
    spec
        Spec of the model.
    band
        The band that the image lacks.

    Returns
    -------
    ModelSpec | None
        The spec; None for any other band.
    """
    if band != BANDS[-1]:
        return None
    return replace(spec, inputs=BANDS[:-1], network={**spec.network, "infrared": False})


class CityModel:
    """Model that runs a `CityMap` over tiles of reflectance.

    The outputs are:

    - `impervious`, `building`: calibrated probability, 0 to 1; with `self_ensemble` that of the mean logit over the
      eight reflections and rotations.
    - `impervious_sigma`: standard deviation of the probability of impervious over the eight, at eight times the cost.

    Parameters
    ----------
    spec
        Spec of the model.
    network
        Network.
    options
        Outputs, self-ensemble and engine.

    Raises
    ------
    UsageError
        For other outputs or engines.
    """

    def __init__(self, spec: ModelSpec, network: CityMap, options: Options) -> None:
        wanted = options.outputs or spec.outputs
        known = (*HEADS, _SIGMA)
        if not wanted or set(wanted) - set(known):
            raise UsageError(f"outputs {', '.join(wanted)}: {spec.name} gives {', '.join(known)}, and makes no image")
        if options.engine != "torch":
            raise UsageError(f"citymap runs on torch; the engine {options.engine} cannot run it")
        self.spec, self.options, self.wanted = spec, options, wanted
        self.device = torch.device(options.device)
        self.network = network
        channels_last(network.eval(), self.device)
        self._codes = range(COUNT) if _SIGMA in wanted or options.self_ensemble else range(1)
        self._calibration = [_calibration(spec, head) for head in HEADS]

    @torch.inference_mode()
    def __call__(self, tiles: Tiles) -> dict[str, NDArray[np.float32]]:
        """The bands asked for, float32 (tile, y·k, x·k)."""
        dates = [to_device(self._date(tiles, n), self.device) for n in range(1, self.options.dates + 1)]
        with full_float32():
            found = self._run(dates)
        wanted = {name: found[name] for name in self.wanted}
        return {name: np.ascontiguousarray(value.numpy(), np.float32) for name, value in to_host(wanted).items()}

    def _date(self, tiles: Tiles, date: int) -> Tensor:
        """Bands of a date and where it was measured, (n, 5, y, x); bands that the image lacks are 0."""
        none = np.zeros(tiles.shape, np.float32)
        names = [band_of_date(name, date) for name in BANDS]
        measured = tiles.bands.get(measured_of_date(date), none + 1)
        return torch.from_numpy(np.stack([*(tiles.bands.get(name, none) for name in names), measured], axis=1))

    def logits(self, image: Tensor) -> Tensor:
        """Compute calibrated logits at 2.5 m.

        Parameters
        ----------
        image
            Reflectance, (n, 4, y, x).

        Returns
        -------
        Tensor
            Logits, (n, 2, 4·y, 4·x).
        """
        out: Tensor = self.network(image.contiguous(memory_format=torch.channels_last))
        scale, shift = torch.tensor(self._calibration, device=out.device).T.reshape(2, 1, -1, 1, 1)
        calibrated: Tensor = out.float() * scale + shift
        return calibrated

    def _turned(self, date: Tensor, code: int) -> Tensor:
        return transform(self.logits(transform(date[:, : len(BANDS)], code)), inverse(code))

    def _run(self, dates: Sequence[Tensor]) -> dict[str, Tensor]:
        size = tuple(SCALE * n for n in dates[0].shape[-2:])
        if len(dates) == 1:
            every = [self._turned(dates[0], code) for code in self._codes]
        else:
            weights = [functional.interpolate(date[:, len(BANDS) :], scale_factor=4.0) for date in dates]
            every = [combine_dates([self._turned(date, code) for date in dates], weights) for code in self._codes]
        logits = torch.stack(every).mean(dim=0) if len(every) > 1 else every[0]
        fine = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False).sigmoid()
        out = {head: fine[:, i] for i, head in enumerate(HEADS)}
        if _SIGMA in self.wanted:
            spread = torch.stack([one[:, :1].sigmoid() for one in every]).std(dim=0, correction=0)
            out[_SIGMA] = functional.interpolate(spread, size=size, mode="bilinear", align_corners=False)[:, 0]
        return out


def combine_dates(logits: Sequence[Tensor], weights: Sequence[Tensor] | None = None) -> Tensor:
    """Combine the logits of several dates of one place, in any order.

    The mean of logits is the product of the dates' odds, so a date on which the ground is plainly green outweighs
    one on which it is bare.

    Parameters
    ----------
    logits
        Logits of each date, (n, class, y, x).
    weights
        Weight of each date, broadcast to its logits, 0 where clouds hide the ground; None for equal weights.

    Returns
    -------
    Tensor
        Logits, (n, class, y, x); 0 where no date has a weight.
    """
    values = torch.stack(tuple(logits))
    weight = torch.ones_like(values) if weights is None else torch.stack(tuple(weights)).expand_as(values)
    return (values * weight).sum(dim=0) / weight.sum(dim=0).clamp_min(1e-6)


def _calibration(spec: ModelSpec, head: str) -> tuple[float, float]:
    """Factor and shift of the logits of a head."""
    found = spec.calibration
    return float(found.get(f"{head}_scale", 1.0)), math.log(max(float(found.get(f"{head}_odds", 1.0)), 1e-9))


def adapt(spec: ModelSpec, net: nn.Module | None, options: Options) -> CityModel:
    """Wrap a network as a model of the engine.

    Parameters
    ----------
    spec
        Spec of the model.
    net
        A CityMap.
    options
        Options of the run.

    Returns
    -------
    CityModel
        The model.

    Raises
    ------
    TypeError
        For a network of another type.
    UsageError
        For outputs or an engine that `CityModel` rejects.
    """
    return CityModel(spec, network_of(net, CityMap), options)
