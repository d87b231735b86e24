"""A stand-in for a GPU: tensors that were moved are marked, and a system is refused batches that were not."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from terrafine.nn.device import changed
from terrafine.systems import find_system
from terrafine.training import runner, start


class Moved(torch.Tensor):
    """A tensor that `to_device` returned, or that was computed from one."""


def refuse_unmoved(monkeypatch: pytest.MonkeyPatch, system: str) -> list[str]:
    """Make the system's hooks fail on a batch with a tensor that was not moved; the list receives the hooks called."""
    called: list[str] = []
    training = find_system(system).training
    assert training is not None

    def watched(name: str) -> Any:
        original = getattr(training, name)

        def run(network: Any, batch: Any, settings: Any) -> Any:
            called.append(name)
            for field in fields(batch):
                value = getattr(batch, field.name)
                for tensor in value.values() if isinstance(value, dict) else [value]:
                    assert not isinstance(tensor, torch.Tensor) or isinstance(tensor, Moved), f"{name}: {field.name}"
            return original(network, batch, settings)

        return run

    hooks = replace(training, forward=watched("forward"), predict=watched("predict"))
    fake = replace(find_system(system), training=hooks)
    monkeypatch.setattr(start, "find_system", lambda name: fake)
    monkeypatch.setattr(runner, "to_device", lambda batch, where: changed(batch, lambda t: t.as_subclass(Moved)))
    return called
