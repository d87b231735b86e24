"""Ridgeline 2: DEM super-resolution conditioned on the product, the default for DEMs of real sensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from terrafine.nn.elevation import ElevationModel, Forward, Relief
from terrafine.nn.export import with_engine
from terrafine.nn.losses import relief_terms
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options, System, TrainingBatch
from terrafine.nn.task import Discriminators, Losses, Settings, Training
from terrafine.nn.upsample import assemble
from terrafine.raster.products.model import SensorModel
from terrafine.systems.ridgeline2.network import ProductNet
from terrafine.systems.ridgeline2.product import PROXIMAL_RADIUS, conditions_of, noise_of, proximal_step

__all__ = ["SYSTEM"]

_EXACT = SensorModel(0.0, 0.0, 0.0, 0.0, 0.0, True)


def _build(network: Mapping[str, Any], scale: int) -> ProductNet:
    net = ProductNet(scale, **network)
    if scale not in net.scales:
        raise ValueError(f"scale = {scale}: expected one of [network] scales = {list(net.scales)}")
    return net


def _describe(net: nn.Module | None, network: Mapping[str, Any], scale: int) -> ModelSpec:
    built = net if isinstance(net, ProductNet) else ProductNet(scale, **network)
    return ModelSpec(
        system="ridgeline2",
        name="ridgeline2",
        version="0",
        inputs=("elevation",),
        outputs=("elevation", "elevation_sigma"),
        scale=scale,
        halo=built.receptive_radius() + PROXIMAL_RADIUS,
        tile=512,
        network=dict(network),
    )


def _relief(net: nn.Module, heights: Tensor, pixel_size_m: Tensor, *, sensor: SensorModel, scale: int) -> Relief:
    relief, _, log_sigma = net(heights, pixel_size_m, conditions_of(sensor, pixel_size_m), scale)
    return Relief(relief, log_sigma)


def _adapt(spec: ModelSpec, net: nn.Module | None, options: Options) -> ElevationModel:
    sensor = options.sensor or _EXACT
    model = with_engine(ElevationModel(spec, net, partial(_relief, sensor=sensor, scale=spec.scale), options))
    if not sensor.exact:
        model.forward = _of_product(model.forward, sensor, spec.scale, held=options.consistency == "product")
    return model


def _of_product(forward: Forward, sensor: SensorModel, scale: int, *, held: bool) -> Forward:
    """The same network; its σ holds the input's noise, and where asked its result is held to the input within that."""

    def run(net: nn.Module, heights: Tensor, pixel_size_m: Tensor) -> Relief:
        found = forward(net, heights, pixel_size_m)
        noise = noise_of(heights, pixel_size_m, sensor)
        relief = found.relief
        if held:
            relief = proximal_step(relief, heights, noise, sensor.psf_cells, scale)
        if found.log_sigma is None:
            return Relief(relief)
        return Relief(relief, torch.log(torch.hypot(found.log_sigma.exp(), noise.float())))

    return run


def _forward(net: nn.Module, batch: TrainingBatch, settings: Settings) -> tuple[Tensor, Tensor, Tensor]:
    if batch.sensor is None:
        sensor = batch.coarse.new_zeros((len(batch.coarse), 6, 1, 1))
        sensor[:, 5] = 1.0
    else:
        sensor = batch.sensor
    out: tuple[Tensor, Tensor, Tensor] = net(batch.coarse, batch.pixel_size_m, sensor, batch.scale)
    return out


def _loss(
    found: Discriminators, batch: TrainingBatch, out: tuple[Tensor, Tensor, Tensor], settings: Settings
) -> Losses:
    relief, surface, log_sigma = out
    return relief_terms(relief, relief - surface, log_sigma, batch, settings["loss"], base=surface)


def _predict(net: nn.Module, batch: TrainingBatch, settings: Settings) -> dict[str, Tensor]:
    relief, _, log_sigma = _forward(net, batch, settings)
    sigma = nn.functional.pixel_shuffle(log_sigma.exp(), batch.scale)
    return {"elevation": assemble(batch.coarse, relief, batch.scale), "elevation_sigma": sigma}


SYSTEM = System(
    name="ridgeline2",
    summary="residual network that takes the product: denoises a sensor, super-resolves block means, with its own σ",
    scales=(2, 3, 4),
    build=_build,
    describe=_describe,
    adapt=_adapt,
    uses_product=True,
    network=ProductNet,
    training=Training("dem", _forward, _loss, _predict),
)
