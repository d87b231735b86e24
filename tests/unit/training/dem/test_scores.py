"""σ is calibrated on exact block means where a recipe holds several products."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from terrafine.nn.system import TrainingBatch
from terrafine.systems import find_system
from terrafine.training.dem.scores import calibrate


def predict(net: nn.Module, batch: TrainingBatch, settings: Any) -> dict[str, torch.Tensor]:
    return {"elevation": torch.zeros_like(batch.fine), "elevation_sigma": torch.ones_like(batch.fine)}


def test_only_exact_block_means_calibrate_where_there_are_any() -> None:
    system = find_system("ridgeline2")
    assert system.training is not None
    system = replace(system, training=replace(system.training, predict=predict))
    fine = torch.ones(2, 1, 48, 48)
    fine[1] = 10.0
    sensor = torch.zeros(2, 6, 1, 1)
    sensor[0, 5] = 1.0
    size = torch.full((2, 2, 24, 1), 30.0)
    batch = TrainingBatch(fine[..., ::2, ::2], fine, size, 2, sensor=sensor)
    assert calibrate(system, nn.Identity(), [batch])["sigma"] == 1.0
    noisy = replace(batch, sensor=torch.zeros_like(sensor))
    assert calibrate(system, nn.Identity(), [noisy])["sigma"] > 5.0
    assert calibrate(system, nn.Identity(), [replace(batch, sensor=None)])["sigma"] > 5.0
