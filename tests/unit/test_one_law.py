"""One law in one place: where the one implementation of a law is changed, every user of it changes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from terrafine.evaluation import nice
from terrafine.evaluation.elevation import terrain as evaluated
from terrafine.evaluation.elevation.epochs import EpochPair
from terrafine.evaluation.images.measures import measure
from terrafine.evaluation.report.pictures import error_limit, illumination
from terrafine.evaluation.report.svg import Scale
from terrafine.nn import dihedral, subcell
from terrafine.nn.elevation import ElevationModel
from terrafine.nn.system import TrainingBatch
from terrafine.nn.upsample import relief_of
from terrafine.physics import gradient, hillshade, sensor_model, ssim
from terrafine.physics import terrain as differentiable
from terrafine.raster.warp import interpolate, kernels, resample
from terrafine.systems.citymap.model import CityModel
from terrafine.systems.jointseg.model import JointModel
from terrafine.systems.ridgeline2.product import proximal_step
from terrafine.training import calibration
from terrafine.training.dem import degrade, scores
from terrafine.training.dem.patches import Sampler
from terrafine.training.dem.simulation import field
from terrafine.training.height.data import ImageSampler
from terrafine.training.height.scores import mean_ssim
from terrafine.training.height.task import HeightTask
from terrafine.training.scenes import labels, patches
from terrafine.training.segmentation.data import SampleSampler
from terrafine.viewer.layers import Layer
from terrafine.workflows.outputs.preview import shaded_relief

SIDE = 24
RNG = np.random.default_rng(5)
HEIGHTS = RNG.normal(500, 30, (SIDE, SIDE))
ALL = np.ones((SIDE, SIDE), np.bool_)
SIZE = np.full((2, SIDE), 30.0)
IMAGE, OTHER = RNG.uniform(0, 1, (2, 3, SIDE, SIDE))
TILE = torch.from_numpy(HEIGHTS[None, None])
GROUND = torch.full((1, 2, SIDE, 1), 30.0, dtype=torch.float64)
FINE = RNG.normal(500, 30, (2 * SIDE, 2 * SIDE))
POINTS = RNG.uniform(8, 16, (2, 40))
TILED = np.random.default_rng(6).normal(500, 30, (258, 258))
MAP: Any = SimpleNamespace(metres=1.0)
EPOCHS: Any = SimpleNamespace(before=HEIGHTS, pixel_m=(30.0, 30.0))
WINDOW: Any = SimpleNamespace(surfaces={"a": HEIGHTS}, reference=HEIGHTS + 3.3)


def gaussian_users() -> dict[str, Callable[[], Any]]:
    noise = torch.full((1, 1, SIDE, SIDE), 0.1, dtype=torch.float64)
    relief = torch.from_numpy(RNG.normal(0, 1, (1, 4, SIDE, SIDE)))
    return {
        "point spread": lambda: sensor_model.point_spread(4, 0.2),
        "simulated image": lambda: sensor_model.simulate(
            IMAGE, 4, sensor_model.Sensor(noise=0.0, step=0.0), np.random.default_rng(0)
        ),
        "downsampling in networks": lambda: sensor_model.downsample(torch.from_numpy(IMAGE[None]).float(), 4, 0.2),
        "degradation in training": lambda: degrade.kernel("gaussian", 4),
        "step towards a product": lambda: proximal_step(relief, TILE, noise, 0.8, 2),
    }


def turned_users() -> dict[str, Callable[[], Any]]:
    """Functions that mirror and rotate, with stand-ins for everything else that they call."""
    patch = np.ones((3, 8, 8), np.float32)
    batch = TrainingBatch(TILE.float(), TILE.float(), GROUND.float(), 1)
    plain: Any = SimpleNamespace(
        name="a", training=SimpleNamespace(predict=lambda _, b, __: {"elevation": b.coarse + 1})
    )
    whole: Any = SimpleNamespace(
        spec=SimpleNamespace(scale=2),
        _once=lambda heights, _: (heights.repeat(1, 4, 1, 1), None),
        _error=lambda _: 0.0,
    )
    town: Any = SimpleNamespace(logits=lambda x: x[:, :2])
    joint: Any = SimpleNamespace(
        _codes=(0, 3), network=SimpleNamespace(segment=lambda x, _: x[:, :2], generate_images=lambda x: x)
    )
    height: Any = SimpleNamespace(mirror="all", light=0)
    samples: Any = SimpleNamespace(
        samples=[SimpleNamespace(coarse=patch, fine=np.ones((3, 80, 80)), label=np.ones((80, 80), np.uint8), unit=1.0)],
        size=8,
        light=0,
        haze=0,
    )
    scene: Any = SimpleNamespace(
        patches=SimpleNamespace(size=4, border=2, stretch=0.0, no_infrared=0.0, surface=0.0),
        samples=(),
        _scene=lambda _, side: (np.ones((4, side, side)), np.ones((4, 4 * side, 4 * side)), True),
    )
    terrain: Any = SimpleNamespace(
        terrains=[SimpleNamespace(weight=1.0, samples=None)],
        coarsen=((1, 1.0),),
        exaggerate=0,
        mirror=True,
        radar=None,
        optical=None,
        pair=None,
        scale=1,
        _factor=lambda _: 1,
        _product=lambda _: lambda heights, *_: heights[1:-1, 1:-1],
        family=SimpleNamespace(margin=1),
        _window=lambda *_: (HEIGHTS, (30.0, 30.0)),
    )
    return {
        "self-ensemble of elevation": lambda: ElevationModel._ensemble(whole, TILE.float(), GROUND.float())[0],
        "self-ensemble of citymap": lambda: CityModel._turned(town, torch.ones(1, 5, 8, 8), 3),
        "self-ensemble of jointseg": lambda: JointModel._map(joint, torch.from_numpy(IMAGE[None]), None)["impervious"],  # type: ignore[arg-type]
        "score of equivariance": lambda: scores.equivariance_error(plain, torch.nn.Identity(), [batch]),
        "patches of elevation": lambda: Sampler._one(terrain, np.random.default_rng(0), torch.device("cpu"))[:2],
        "patches of heights": lambda: ImageSampler._vary(height, (patch, patch, patch), np.random.default_rng(0)),
        "patches of samples": lambda: SampleSampler._one(samples, np.random.default_rng(0)),
        "patches of scenes": lambda: patches.SceneSampler._one(scene, np.random.default_rng(0)),
    }


def calibration_users() -> dict[str, Callable[[], Any]]:
    found = {"elevation": TILE.float() + 3, "elevation_sigma": torch.ones_like(TILE).float()}
    system: Any = SimpleNamespace(name="a", training=SimpleNamespace(predict=lambda *_: found))
    height: Any = SimpleNamespace(
        hooks=SimpleNamespace(predict=lambda *_: found),
        settings={},
        surfaces=lambda *_: (TILE + 3, TILE),
    )
    checks: Any = [SimpleNamespace(fine=TILE.float(), scale=1, sensor=None, valid=torch.ones_like(TILE))]
    net = torch.nn.Identity()
    return {
        "elevation": lambda: list(scores.calibrate(system, net, checks).values()),
        "heights": lambda: list(HeightTask.spec_fields(height, net, checks)["calibration"].values()),
    }


LAWS: dict[str, tuple[Any, Callable[[Any], Any], dict[str, Callable[[], Any]]]] = {
    "Keys cubic": (
        kernels.cubic,
        lambda found: np.where(found > 0.5, 1.1 * found, found),
        {
            "upsampling": lambda: resample.upsample(HEIGHTS, 2),
            "back-projection": lambda: resample.back_project(FINE, HEIGHTS, 2),
            "interpolation in networks": lambda: relief_of(TILE.float(), 2, "bicubic"),
            "consistent cubic": lambda: subcell.cubic_taps(3),
            "degradation in training": lambda: degrade.kernel("bicubic", 4),
        },
    ),
    "Keys cubic in float32": (
        kernels.cubic_weights,
        lambda found: [found[0] * np.float32(1.5), *found[1:]],
        {"warping": lambda: interpolate.interpolated(HEIGHTS.astype(np.float32), ALL, *POINTS, (0, 0), "cubic")},
    ),
    "hillshade": (
        hillshade.hillshade,
        lambda found: found * 0.9,
        {
            "preview": lambda: shaded_relief(HEIGHTS, SIZE),
            "report": lambda: illumination(HEIGHTS, (30.0, 30.0), 1.0),
            "map in the browser": lambda: Layer._light(MAP, TILED, np.isfinite(TILED), 12, 1500),
        },
    ),
    "Horn slope": (
        gradient.central_difference,
        lambda found: found * 1.1,
        {
            "evaluation": lambda: evaluated.slope_degrees(HEIGHTS, SIZE),
            "losses": lambda: differentiable.slope(TILE, GROUND),
            "preview": lambda: shaded_relief(HEIGHTS, SIZE),
            "report": lambda: illumination(HEIGHTS, (30.0, 30.0), 1.0),
            "map in the browser": lambda: Layer._light(MAP, TILED, np.isfinite(TILED), 12, 1500),
            "change of elevation": lambda: EpochPair.slope(EPOCHS),
        },
    ),
    "block mean": (
        resample.block_sum,
        lambda found: found * 1.01,
        {
            "block means": lambda: resample.block_mean(HEIGHTS, None, 2),
            "masked block means": lambda: resample.block_mean(HEIGHTS, HEIGHTS > 500, 2),
            "shares of labels": lambda: labels._shares(ALL),
            "shares of samples": lambda: patches._tenths(np.ones((20, 20), np.float32)),
            "samples of coarser terrain": lambda: degrade.sample(HEIGHTS, 2),
        },
    ),
    "SSIM": (
        ssim.ssim,
        lambda found: found * 0.9,
        {
            "evaluation of images": lambda: measure(IMAGE[:, ::4, ::4], OTHER, IMAGE, 4).similarity,
            "score of heights": lambda: mean_ssim(TILE, TILE + 20),
        },
    ),
    "point spread": (
        sensor_model.point_spread.__wrapped__,
        lambda found: found * np.float32(1.1),
        {
            "downsampling in networks": lambda: sensor_model.downsample(torch.from_numpy(IMAGE[None]).float(), 4, 0.2),
            "back-projection": lambda: sensor_model.back_project(
                torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 2, 2), 4, mtf=0.2, rounds=1
            ),
        },
    ),
    "mirrors and rotations": (dihedral.transform, lambda found: found * 3, turned_users()),
    "calibration of uncertainty": (
        calibration.calibration_of,
        lambda found: {name: 2 * factor for name, factor in found.items()},
        calibration_users(),
    ),
    "Gaussian": (sensor_model.gaussian, lambda found: found**1.2, gaussian_users()),
    "Gaussian in frequencies": (
        sensor_model.gaussian_transfer,
        lambda found: found**1.2,
        {"simulated covers": lambda: field((SIDE, SIDE), 4.0, np.random.default_rng(0))},
    ),
    "round steps": (
        nice.nice_step,
        lambda found: found * 1.5,
        {
            "ticks": lambda: Scale(0.0, 9.0).ticks(),
            "limits of errors": lambda: error_limit(WINDOW),
        },
    ),
}
CASES = [(law, user) for law, (_, _, users) in LAWS.items() for user in users]


@contextmanager
def changed(function: Any, change: Callable[[Any], Any]) -> Iterator[None]:
    """Replace the code of a function in place, so that everyone who imported it has the changed one."""
    kept = function.__code__, function.__defaults__, function.__kwdefaults__
    copy = FunctionType(kept[0], function.__globals__, function.__name__, kept[1])
    copy.__kwdefaults__ = kept[2]
    function.__globals__["_changed"] = lambda *a, **k: change(copy(*a, **k))
    function.__code__ = eval("lambda *a, **k: _changed(*a, **k)").__code__
    function.__defaults__ = function.__kwdefaults__ = None
    forget()
    try:
        yield
    finally:
        function.__code__, function.__defaults__, function.__kwdefaults__ = kept
        del function.__globals__["_changed"]
        forget()


def forget() -> None:
    """Clear what functions of the package remember."""
    for name, module in list(sys.modules.items()):
        if name.startswith("terrafine"):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def flat(found: Any) -> list[float]:
    parts = found if isinstance(found, tuple | list) else [found]
    return [v for part in parts for v in np.nan_to_num(np.asarray(part, np.float64)).ravel().tolist()]


@pytest.mark.parametrize(("law", "user"), CASES, ids=[f"{law}: {user}" for law, user in CASES])
def test_every_user_of_a_law_has_the_one_implementation(law: str, user: str) -> None:
    function, change, users = LAWS[law]
    before = flat(users[user]())
    with changed(function, change):
        assert flat(users[user]()) != before
    assert flat(users[user]()) == before


def test_a_copy_of_a_law_would_be_found() -> None:
    """A second implementation does not change with the first."""

    def copied(distance: Any) -> Any:
        x = np.abs(distance)
        return np.where(x <= 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((2.5 - 0.5 * x) * x - 4) * x + 2, 0.0))

    at = np.linspace(-2.5, 2.5, 41)
    before = flat(copied(at))
    np.testing.assert_allclose(before, kernels.cubic(at), atol=1e-12)
    with changed(kernels.cubic, lambda found: found * 1.02):
        assert flat(copied(at)) == before


def test_both_forms_of_the_cubic_kernel_agree() -> None:
    t = np.linspace(0, 1, 101)
    expected = [kernels.cubic(d) for d in (1 + t, t, 1 - t, 2 - t)]
    np.testing.assert_allclose(kernels.cubic_weights(t.astype(np.float32)), expected, atol=3e-7)
