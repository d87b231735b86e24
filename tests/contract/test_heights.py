"""What a system that makes relief from an image owes the engine, found by discovery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.weights import write_weights

from terrafine.errors import NoModelError
from terrafine.nn.model import Model, Tiles
from terrafine.nn.system import Options
from terrafine.systems import find_model, find_system, load_model, system_names

LOCAL = {"width": 4, "depth": 3, "norm": "none", "up": "resize", "head": "linear", "normalisation": "relief"}
CASES = [
    (name, extra)
    for name in system_names()
    if find_system(name).verb == "height"
    for extra in ({}, {"up": "transposed"}, {"attend": "gam", "depth": 2}, {"outputs": 2})
]
HALO_AND_MORE = 96


def make(name: str, **network: object) -> Model:
    system = find_system(name)
    assert system.build is not None
    torch.manual_seed(3)
    net = system.build(network, 1)
    return system.adapt(system.describe(net, network, 1), net, Options())


def image(side: int, seed: int = 0) -> Tiles:
    bands = np.random.default_rng(seed).uniform(0.02, 0.3, (3, 1, side, side)).astype(np.float32)
    named = dict(zip(("red", "green", "blue"), bands, strict=True))
    return Tiles(named, np.ones((1, side, side), bool), np.full((1, 2, side), 30.0))


def cut(tiles: Tiles, y: int, x: int, side: int) -> Tiles:
    part = np.s_[:, y : y + side, x : x + side]
    bands = {n: b[part] for n, b in tiles.bands.items()}
    return Tiles(bands, tiles.valid[part], tiles.pixel_size_m[:, :, y : y + side])


@pytest.mark.parametrize(("name", "extra"), CASES)
def test_outputs_are_those_declared_on_the_grid_of_the_image(name: str, extra: dict[str, object]) -> None:
    model = make(name, **LOCAL | extra)
    out = model(image(37))
    assert set(out) == set(model.spec.outputs)
    assert {v.shape for v in out.values()} == {(1, 37, 37)}
    assert all(v.dtype == np.float32 and np.isfinite(v).all() for v in out.values())


@pytest.mark.parametrize(("name", "extra"), CASES)
def test_a_tile_with_its_halo_equals_the_whole(name: str, extra: dict[str, object]) -> None:
    model = make(name, **LOCAL | extra)
    m, whole = model.spec.multiple, image(160)
    assert model.spec.tiling == "exact"
    edge = -(-model.spec.halo // m) * m
    part = model(cut(whole, m, 2 * m, 2 * edge + 16))
    for band, value in model(whole).items():
        here = value[:, m + edge : m + edge + 16, 2 * m + edge : 2 * m + edge + 16]
        np.testing.assert_allclose(part[band][:, edge : edge + 16, edge : edge + 16], here, atol=2e-4)


@pytest.mark.parametrize(("name", "extra"), CASES)
def test_the_halo_is_the_receptive_radius_and_not_less(name: str, extra: dict[str, object]) -> None:
    model, plain = make(name, **LOCAL | extra), image(128)
    at, halo = 64, model.spec.halo
    reach = []
    for d in range(max(0, halo - 12), halo + 13):
        bands = {n: b.copy() for n, b in plain.bands.items()}
        for b in bands.values():
            b[:, :, at + d] += 0.3  # a whole column, so that every phase along y is met
        changed = model(Tiles(bands, plain.valid, plain.pixel_size_m))["relief"] != model(plain)["relief"]
        columns = np.flatnonzero(changed[0].any(axis=0))
        reach.append(int(max(at + d - columns.min(), 0)))
    assert max(reach) <= halo
    assert max(reach) >= halo - model.spec.multiple


@pytest.mark.parametrize("attend", ["none", "cbam", "gam", "simam"])
def test_a_network_that_sees_its_whole_tile_says_that_it_is_blended_and_relative(attend: str) -> None:
    spec = make("sat2dem", width=4, depth=3, attend=attend, tile=64).spec
    assert (spec.tiling, spec.relative, spec.tile, spec.halo) == ("blend", True, 32, 16)


def test_a_model_of_another_verb_is_refused_by_name(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "small.safetensors", "sat2dem", LOCAL, 1)
    assert load_model(find_model(path, 1, verb="height"))(image(32))["relief"].shape == (1, 32, 32)
    with pytest.raises(NoModelError, match="terrafine dem"):
        find_model("ridgeline", 4, verb="height")
    with pytest.raises(NoModelError, match="serve ×1, not ×4"):
        find_model(path, 4)
