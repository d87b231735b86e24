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
from terrafine.evaluation.images.measures import measure
from terrafine.evaluation.report.pictures import error_limit, illumination
from terrafine.evaluation.report.svg import Scale
from terrafine.nn import subcell
from terrafine.nn.upsample import relief_of
from terrafine.physics import gradient, hillshade, sensor_model, ssim
from terrafine.physics import terrain as differentiable
from terrafine.raster.warp import interpolate, kernels, resample
from terrafine.systems.ridgeline2.product import proximal_step
from terrafine.training.dem import degrade
from terrafine.training.dem.simulation import field
from terrafine.training.height.scores import mean_ssim
from terrafine.training.scenes import labels, patches
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
        },
    ),
    "Horn slope": (
        gradient.central_difference,
        lambda found: found * 1.1,
        {
            "evaluation": lambda: evaluated.slope_degrees(HEIGHTS, SIZE),
            "losses": lambda: differentiable.slope(TILE, GROUND),
            "preview": lambda: shaded_relief(HEIGHTS, SIZE),
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
