"""JointSeg: what goes through it, where gradients reach, and what the engine gets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from terrafine.errors import UsageError
from terrafine.inference.engine import run_in_memory
from terrafine.inference.planner import make_plan
from terrafine.nn.model import RESIDUAL, Tiles
from terrafine.nn.system import Options
from terrafine.physics.sensor_model import point_spread
from terrafine.raster.read.array import ArraySource
from terrafine.systems.jointseg.model import JointModel, adapt, describe
from terrafine.systems.jointseg.net import THROUGH, JointSeg

SIZE = {"blocks": 1, "features": 4, "growth": 2}
TINY = {"first": SIZE, "second": SIZE, "width": 4, "depth": 2}
COLOURS = ("red", "green", "blue")


def network(**more: object) -> JointSeg:
    torch.manual_seed(0)
    net = JointSeg(**TINY | more)  # type: ignore[arg-type]
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return net.eval()


def model(net: JointSeg, options: Options | None = None, scale: int = 10, **more: object) -> JointModel:
    return adapt(describe(net, TINY | more, scale), net, options or Options())


def reflectance(side: int = 24, bands: int = 3, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((bands, side, side))
    return (0.1 + 0.4 * gaussian_filter(noise - 0.5, (0, 2, 2))).astype(np.float32)


def tiles(values: np.ndarray) -> Tiles:
    side = values.shape[-1]
    named = dict(zip(("red", "green", "blue", "nir"), values[:, None], strict=False))
    return Tiles(named, np.ones((1, side, side), bool), np.full((1, 2, side), 10.0))


@pytest.mark.parametrize("through", THROUGH)
@pytest.mark.parametrize("features", [True, False])
def test_logits_are_ten_times_as_fine_whatever_they_are_read_from(through: str, features: bool) -> None:
    x = torch.from_numpy(reflectance(13))[None]
    assert network(through=through, features=features)(x).shape == (1, 2, 130, 130)


@pytest.mark.parametrize("through", ["fine", "quarter"])
def test_a_loss_of_the_segmentation_reaches_the_images_network(through: str) -> None:
    net = network(through=through, features=False)
    net(torch.from_numpy(reflectance(8))[None])[:, 1].mean().backward()
    assert net.images is not None
    assert float(net.images.first.first.weight.grad.abs().sum()) > 0  # type: ignore[union-attr]


def test_unknown_words_are_refused() -> None:
    for wrong in ({"through": "finest"}, {"segmenter": "sam"}, {"segmenter": "mask2former", "features": True}):
        with pytest.raises(UsageError, match="expected"):
            network(**wrong)
    with pytest.raises(UsageError, match=r"scale 3: .*×10"):
        describe(None, TINY, 3)


@pytest.mark.parametrize("bands", [3, 4])
def test_the_model_gives_what_is_asked_for(bands: int) -> None:
    net, values = network(bands=bands), reflectance(12, bands)
    plain = model(net, bands=bands)(tiles(values))
    assert set(plain) == {"impervious", RESIDUAL}
    assert plain["impervious"].shape == (1, 120, 120)
    assert 0 <= plain["impervious"].min() < plain["impervious"].max() <= 1
    wanted = ("red", "impervious_sigma")
    out = model(net, Options(outputs=wanted), bands=bands)(tiles(values))
    assert set(out) == {*wanted, RESIDUAL}
    assert out["impervious_sigma"].max() > 0
    quarter = model(net, scale=4, bands=bands)(tiles(values))
    assert quarter["blue"].shape == (1, 48, 48)
    assert ("nir" in quarter) == (bands == 4)


def test_outputs_that_a_model_has_not_are_refused() -> None:
    for asked, scale in ((("elevation",), 10), (("impervious",), 4)):
        with pytest.raises(UsageError, match=f"×{scale} jointseg gives"):
            model(network(), Options(outputs=asked), scale)
    with pytest.raises(UsageError, match="makes no image"):
        model(network(through="bilinear"), Options(outputs=("red",)), through="bilinear")
    with pytest.raises(UsageError, match="runs on torch"):
        model(network(), Options(engine="onnx"))


def test_the_image_agrees_with_the_input_unless_told_not_to_and_says_how_closely() -> None:
    net, values = network(), reflectance(20)
    kept = model(net, Options(outputs=COLOURS))(tiles(values))
    free = model(net, Options(outputs=COLOURS, consistency="none"))(tiles(values))
    assert kept[RESIDUAL].shape == (1, 20, 20)
    assert kept[RESIDUAL].mean() < 0.3 * free[RESIDUAL].mean()
    assert kept[RESIDUAL].mean() < 0.01


@pytest.mark.parametrize("turn", ["left-right", "up-down", "transpose"])
def test_the_mean_over_turns_turns_with_the_input(turn: str) -> None:
    act = {
        "left-right": lambda a: a[..., ::-1],
        "up-down": lambda a: a[..., ::-1, :],
        "transpose": lambda a: np.swapaxes(a, -1, -2),
    }[turn]
    values = reflectance(16)
    one, turned = (np.ascontiguousarray(v) for v in (values, act(values)))
    for options, same in ((Options(self_ensemble=True), True), (Options(), False)):
        run = model(network(), options)
        gap = np.abs(act(run(tiles(one))["impervious"]) - run(tiles(turned))["impervious"]).max()
        assert (gap < 1e-5) == same


def test_tiles_through_the_engine_are_near_the_whole_and_voids_stay_void() -> None:
    values = reflectance(32)
    values[:, :6, :9] = np.nan
    source = ArraySource(dict(zip(COLOURS, values, strict=True)), np.full((2, 32), 10.0))
    run = model(network())

    def whole(tile: int) -> np.ndarray:
        plan = make_plan(source.shape, run.spec, tile=tile)
        return run_in_memory(plan, run.spec, source, run, outputs=("impervious",))[0][0]

    one, many = whole(64), whole(16)
    assert one.shape == (320, 320)
    assert np.isnan(one[:60, :90]).all()
    assert np.isfinite(one[60:]).all()
    assert np.nanmax(np.abs(one - many)) < 0.02


def test_what_was_run_can_then_be_trained() -> None:
    point_spread.cache_clear()
    net = JointSeg(**TINY)  # type: ignore[arg-type]
    x = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        net(x)
    net(x).sum().backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())
