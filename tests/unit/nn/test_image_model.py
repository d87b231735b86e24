"""An image network through the engine: tiles with their halo equal the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from terrafine.errors import WeightsError
from terrafine.inference.engine import run_in_memory
from terrafine.inference.plan import make_plan
from terrafine.inference.window import ArraySource
from terrafine.nn.image import ImageModel
from terrafine.nn.model import Tiles
from terrafine.nn.rrdb import ProgEsrgan
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options
from terrafine.physics.observation import observed

TINY = {"blocks": 1, "features": 4, "growth": 2}
BANDS = ("red", "green", "blue")


def scene() -> ArraySource:
    """Three bands of smooth reflectance with a void corner."""
    values = gaussian_filter(np.random.default_rng(0).random((3, 20, 40)), (0, 2, 2)).astype(np.float32)
    values[:, :5, :7] = np.nan
    return ArraySource(dict(zip(BANDS, values, strict=True)), np.full((2, 20), 10.0))


def network(rounds: int = 1) -> ProgEsrgan:
    torch.manual_seed(0)
    net = ProgEsrgan(3, TINY, rounds=rounds)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return net


def spec(net: ProgEsrgan, scale: int = 10) -> ModelSpec:
    return ModelSpec("x", "x", "1", BANDS, BANDS, scale, net.radius, tile=256)


@pytest.mark.parametrize("scale", [4, 10])
def test_tiles_equal_the_whole_with_the_stated_halo_and_not_with_a_short_one(scale: int) -> None:
    net, source = network(), scene()
    stated = spec(net, scale)

    def run(model: ModelSpec, tile: int) -> np.ndarray:
        plan = make_plan(source.shape, model, tile=tile)
        return run_in_memory(plan, model, source, ImageModel(model, net, Options()), outputs=BANDS)[0]

    whole = run(stated, 256)
    assert whole.shape == (3, 20 * scale, 40 * scale)
    assert np.isnan(whole[:, : 5 * scale, : 7 * scale]).all()
    assert np.isfinite(whole[:, 5 * scale :]).all()
    assert np.nanmax(np.abs(run(stated, 20) - whole)) < 1e-4
    assert np.nanmax(np.abs(run(replace(stated, halo=3), 20) - whole)) > 1e-3


def test_the_image_agrees_with_what_was_observed_unless_told_not_to() -> None:
    net = network(3)
    image = gaussian_filter(np.random.default_rng(1).random((3, 24, 24)), (0, 2, 2)).astype(np.float32)
    bands = dict(zip(BANDS, image[:, None], strict=True))
    tiles = Tiles(bands, np.ones((1, 24, 24), bool), np.full((1, 2, 24), 10.0))

    def gap(consistency: str) -> float:
        out = ImageModel(spec(net), net, Options(consistency=consistency))(tiles)
        seen = observed(torch.from_numpy(np.concatenate([out[b] for b in BANDS])[None]), 10, 0.2)[0].numpy()
        return float(np.abs(seen - image).mean())

    assert gap("hard") < 0.1 * gap("none")


def test_a_spec_that_no_image_network_keeps_is_refused() -> None:
    net = network()
    for wrong in (replace(spec(net), outputs=("red",)), replace(spec(net), scale=3)):
        with pytest.raises(WeightsError, match="expected the same bands"):
            ImageModel(wrong, net, Options())
