"""Devices are found and resolved in one place; models send everything there and take everything back."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.devices import Moved

from terrafine.errors import UsageError
from terrafine.nn import device as devices
from terrafine.nn import elevation
from terrafine.nn.device import find_device, found_devices, free_bytes, full_float32, to_device, to_host
from terrafine.nn.elevation import ElevationModel, Relief
from terrafine.nn.model import Tiles
from terrafine.nn.system import Options
from terrafine.systems import find_system


def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"Fake {i}")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: SimpleNamespace(total_memory=8_000_000_000))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda d: (5_000_000_000, 8_000_000_000))


def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert [d.name for d in found_devices()] == ["cpu"]
    assert find_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert find_device("auto") == find_device("mps") == torch.device("mps")
    two_gpus(monkeypatch)
    assert [d.name for d in found_devices()] == ["cuda:0", "cuda:1", "mps", "cpu"]
    assert found_devices()[1].model == "Fake 1"
    assert found_devices()[1].memory_bytes == 8_000_000_000
    assert find_device("auto") == find_device("cuda") == torch.device("cuda:0")
    assert find_device("auto", rank=3) == find_device("cuda", rank=3) == torch.device("cuda:1")
    assert find_device("cuda:1") == torch.device("cuda:1")
    assert free_bytes(torch.device("cuda:0")) == 5_000_000_000
    assert free_bytes(torch.device("cpu")) is None


@pytest.mark.parametrize("name", ["cuda:2", "cuda:-1", "cuda:x", "cpu:0", "meta", "gpu", ""])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    two_gpus(monkeypatch)
    with pytest.raises(UsageError, match=f"device {name!r}.*(found cuda:0, cuda:1, cpu|expected auto, cpu, cuda)"):
        find_device(name)


@dataclass(frozen=True)
class Pair:
    first: torch.Tensor
    rest: dict[str, torch.Tensor]
    number: int = 3


def test_every_tensor_of_a_structure_moves_and_comes_back_as_float32() -> None:
    given = (Pair(torch.ones(2), {"a": torch.ones(1, dtype=torch.float64)}), torch.ones(1, dtype=torch.bfloat16), "x")
    moved = to_device(given, torch.device("meta"))
    assert [moved[0].first.device.type, moved[0].rest["a"].device.type, moved[1].device.type] == ["meta"] * 3
    assert (moved[0].number, moved[2]) == (3, "x")
    back = to_host(given)
    assert [back[0].first.dtype, back[0].rest["a"].dtype, back[1].dtype] == [
        torch.float32,
        torch.float64,
        torch.float32,
    ]


def flags() -> tuple[bool, ...]:
    return devices._flags()


def test_full_float32_holds_until_the_last_thread_has_left_and_restores_what_was() -> None:
    before = flags()
    devices._set_flags((True, True, False, True))
    try:
        inside, leave = threading.Event(), threading.Event()

        def other() -> None:
            with full_float32():
                inside.set()
                leave.wait(10)

        thread = threading.Thread(target=other)
        with full_float32():
            thread.start()
            assert inside.wait(10)
            assert flags() == (False, False, True, False)
        assert flags() == (False, False, True, False), "another thread still computes"
        leave.set()
        thread.join()
        assert flags() == (True, True, False, True)
    finally:
        devices._set_flags(before)


def tiles(bands: dict[str, np.ndarray]) -> Tiles:
    shape = next(iter(bands.values())).shape
    return Tiles(bands, np.ones(shape, bool), np.full((shape[0], 2, shape[1]), 10.0))


def spy(monkeypatch: pytest.MonkeyPatch, module: Any) -> list[int]:
    """Marked tensors stand for those on the device; the list receives one entry for each value taken back."""
    taken: list[int] = []

    def unmarked(tensor: torch.Tensor) -> torch.Tensor:
        taken.extend([1] * isinstance(tensor, Moved))
        return tensor.as_subclass(torch.Tensor)

    monkeypatch.setattr(module, "to_device", lambda v, d: devices.changed(v, lambda t: t.as_subclass(Moved)))
    monkeypatch.setattr(module, "to_host", lambda v: devices.changed(v, unmarked))
    return taken


def test_an_elevation_network_sees_only_moved_tensors_and_heights_are_finished_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = find_system("interpolation")
    spec = system.describe(None, {"method": "bicubic"}, 2)
    plain = system.adapt(spec, None, Options())
    assert isinstance(plain, ElevationModel)
    heights = {"elevation": np.random.default_rng(1).normal(500, 20, (2, 12, 14)).astype(np.float32)}
    both = (Options(), Options(self_ensemble=True))
    expected = [system.adapt(spec, None, options)(tiles(heights))["elevation"] for options in both]
    taken = spy(monkeypatch, elevation)

    def forward(network: Any, heights: torch.Tensor, pixel: torch.Tensor) -> Relief:
        assert isinstance(heights, Moved)
        assert isinstance(pixel, Moved)
        return plain.forward(network, heights, pixel)

    for options, heights_of_cpu in zip(both, expected, strict=True):
        found = ElevationModel(spec, None, forward, options)(tiles(heights))["elevation"]
        np.testing.assert_array_equal(found, heights_of_cpu)
    assert len(taken) == 1 + 8


@pytest.mark.parametrize(
    ("name", "network", "scale", "bands"),
    [
        (
            "jointseg",
            {"first": {"blocks": 1, "features": 4, "growth": 2}, "second": {"blocks": 1, "features": 4, "growth": 2}},
            10,
            ("red", "green", "blue"),
        ),
        (
            "sat2dem",
            {"width": 4, "depth": 2, "norm": "none", "normalisation": "relief", "outputs": 2},
            1,
            ("red", "green", "blue"),
        ),
    ],
)
def test_a_network_of_images_sees_only_moved_tensors(
    name: str, network: dict[str, Any], scale: int, bands: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from terrafine.systems.jointseg import model as jointseg
    from terrafine.systems.sat2dem import model as sat2dem

    system = find_system(name)
    assert system.build is not None
    torch.manual_seed(0)
    net = system.build(network, scale)
    spec = system.describe(net, network, scale)
    rng = np.random.default_rng(2)
    given = tiles({band: rng.uniform(0.05, 0.3, (1, 16, 16)).astype(np.float32) for band in bands})
    expected = system.adapt(spec, net, Options())(given)
    taken = spy(monkeypatch, {"jointseg": jointseg, "sat2dem": sat2dem}[name])

    def refuse_unmoved(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert all(isinstance(tensor, Moved) for tensor in inputs), type(module)

    for part in net.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.register_forward_pre_hook(refuse_unmoved)
    found = system.adapt(spec, net, Options())(given)
    assert taken
    assert set(found) == set(expected)
    for band, values in expected.items():
        np.testing.assert_array_equal(found[band], values)
