"""What every system owes the engine, found by discovery: a new folder is tested without a new line here."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from terrafine.errors import NoModelError, UsageError, WeightsError
from terrafine.nn.model import Model, Tiles
from terrafine.nn.spec import ModelSpec
from terrafine.nn.system import Options
from terrafine.nn.weights import save
from terrafine.raster.products.model import SensorModel
from terrafine.systems import ModelRef, find_model, find_system, list_models, load_model, system_names

# Networks small enough for a test; a system without an entry is built as it is by default.
SMALL: Mapping[str, Mapping[str, Any]] = {
    "drn": {"layers": 6, "channels": 8},
    "pimsr": {"relief": {"channels": 16, "deep_channels": 16}, "width": 8, "body": (8, 1)},
    "pimsr_published": {"channels": 4, "fused": (4, 4, 4)},
    "ridgeline": {"channels": 16, "deep_channels": 16},
}
CASES = [
    (name, variant, k)
    for name in system_names()
    if find_system(name).verb == "dem"
    for variant in (find_system(name).variants or (None,))
    for k in find_system(name).scales
]


def make(name: str, variant: str | None, k: int, options: Options | None = None) -> Model:
    """A model of that system; a network's weights are drawn at random, far from the identity."""
    system = find_system(name)
    arguments = dict(SMALL.get(name, {})) if variant is None else {"method": variant}
    network = None
    if system.build is not None:
        torch.manual_seed(k)
        network = system.build(arguments, k)
        with torch.no_grad():
            for p in network.parameters():
                p.add_(0.05 * torch.randn_like(p))
    return system.adapt(system.describe(network, arguments, k), network, options or Options())


def sharpeners() -> list[ModelRef]:
    """Shipped models that make a finer elevation model from a coarse one."""
    return [m for m in list_models() if find_system(m.spec.system).verb == "dem"]


def tiles(heights: np.ndarray, dy: float = 30.0, dx: float = 30.0) -> Tiles:
    n, y, _ = heights.shape
    pixel = np.stack([np.full((n, y), dy), np.full((n, y), dx)], axis=1)
    return Tiles({"elevation": np.ascontiguousarray(heights, np.float32)}, np.ones(heights.shape, bool), pixel)


def terrain(n: int = 1, side: int = 120, seed: int = 0) -> np.ndarray:
    """Whole metres, tens of metres of relief between neighbours."""
    steps = np.random.default_rng(seed).normal(size=(n, side, side))
    return np.round(steps.cumsum(1).cumsum(2)).astype(np.float32)


def cells(fine: np.ndarray, k: int) -> np.ndarray:
    n, y, x = fine.shape
    return fine.astype(np.float64).reshape(n, y // k, k, x // k, k).mean(axis=(2, 4))


@pytest.mark.parametrize(("name", "variant", "k"), CASES)
def test_outputs_are_those_declared_finite_and_k_times_as_large(name: str, variant: str | None, k: int) -> None:
    model = make(name, variant, k)
    out = model(tiles(terrain(2, 40)))
    assert set(out) == set(model.spec.outputs)
    for band in out.values():
        assert band.shape == (2, 40 * k, 40 * k)
        assert band.dtype == np.float32
        assert np.isfinite(band).all()


@pytest.mark.parametrize(("name", "variant", "k"), CASES)
def test_block_means_equal_the_input(name: str, variant: str | None, k: int) -> None:
    heights = terrain()
    assert np.abs(cells(make(name, variant, k)(tiles(heights))["elevation"], k) - heights).max() < 1e-2


@pytest.mark.parametrize(("name", "variant", "k"), CASES)
def test_soft_consistency_departs_by_no_more_than_its_tolerance(name: str, variant: str | None, k: int) -> None:
    heights = terrain()
    soft = make(name, variant, k, Options(consistency="soft", tolerance_m=0.5))(tiles(heights))["elevation"]
    noisy = SensorModel(0.5, 2.0, 4.0, 0.5, 1.0, exact=False) if find_system(name).uses_product else None
    free = make(name, variant, k, Options(consistency="none", sensor=noisy))(tiles(heights))["elevation"]
    assert np.abs(cells(soft, k) - heights).max() <= 0.5 + 1e-3
    if variant not in ("nearest", "backprojected"):
        assert np.abs(cells(free, k) - heights).max() > 0.5 + 1e-3


@pytest.mark.parametrize(("name", "variant", "k"), CASES)
def test_a_thousand_metres_more_is_a_thousand_metres_more(name: str, variant: str | None, k: int) -> None:
    model, heights = make(name, variant, k), terrain(side=64)
    lifted, plain = model(tiles(heights + 1000))["elevation"], model(tiles(heights))["elevation"]
    assert np.abs(lifted - plain - 1000).max() < 1e-2


@pytest.mark.parametrize(("name", "variant", "k"), CASES)
def test_heights_and_pixels_twice_as_large_give_twice_the_heights(name: str, variant: str | None, k: int) -> None:
    model, heights = make(name, variant, k), terrain(side=48)
    large, plain = (model(tiles(f * heights, 30.0 * f, 30.0 * f))["elevation"] for f in (2.0, 1.0))
    np.testing.assert_allclose(large, 2 * plain, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("name", "variant", "k"), CASES)
def test_a_tile_with_its_halo_equals_the_whole(name: str, variant: str | None, k: int) -> None:
    model, heights = make(name, variant, k), terrain()
    halo, m = model.spec.halo, model.spec.multiple
    edge = -(-halo // m) * m
    inner = 120 - 2 * edge
    assert inner >= 8, "the test's terrain is too small for this halo"
    whole = model(tiles(heights))
    side = min(inner, 16)
    part = model(tiles(heights[:, m : m + 2 * edge + side, 2 * m : 2 * m + 2 * edge + side]))
    for band, value in part.items():
        mine = value[:, edge * k : (edge + side) * k, edge * k : (edge + side) * k]
        rows, cols = slice((m + edge) * k, (m + edge + side) * k), slice((2 * m + edge) * k, (2 * m + edge + side) * k)
        tolerance = max(1e-4, 2 * float(np.spacing(np.abs(heights).max())))
        assert np.abs(mine - whole[band][:, rows, cols]).max() <= tolerance


@pytest.mark.parametrize(("name", "variant", "k"), CASES)
def test_a_change_beyond_the_halo_changes_nothing(name: str, variant: str | None, k: int) -> None:
    model, heights = make(name, variant, k), terrain()
    changed = heights.copy()
    changed[0, 60, 60 + model.spec.halo + model.spec.multiple] += 50
    a, b = (model(tiles(h))["elevation"][0, 60 * k : 61 * k, 60 * k : 61 * k] for h in (heights, changed))
    assert np.abs(a - b).max() < 1e-4
    changed[0, 60, 60] += 50
    assert np.abs(a - model(tiles(changed))["elevation"][0, 60 * k : 61 * k, 60 * k : 61 * k]).max() > 1


@pytest.mark.parametrize(("name", "variant", "k"), CASES)
@pytest.mark.parametrize("turn", ["left-right", "up-down", "transpose"])
def test_self_ensemble_is_exactly_equivariant(name: str, variant: str | None, k: int, turn: str) -> None:
    model = make(name, variant, k, Options(self_ensemble=True))
    act = {
        "left-right": lambda a: a[..., ::-1],
        "up-down": lambda a: a[..., ::-1, :],
        "transpose": lambda a: np.swapaxes(a, -1, -2),
    }[turn]
    heights = terrain(side=40)
    dy, dx = (25.0, 30.0) if turn == "transpose" else (30.0, 25.0)
    plain, turned = model(tiles(heights, 30.0, 25.0)), model(tiles(act(heights), dy, dx))
    for band in plain:
        np.testing.assert_allclose(turned[band], act(plain[band]), atol=1e-3, rtol=1e-6)


def test_every_shipped_model_is_found_loaded_and_pickled() -> None:
    for shipped in sharpeners():
        for k in shipped.spec.scales or (shipped.spec.scale,):
            ref = pickle.loads(pickle.dumps(find_model(shipped.name, k)))
            out = load_model(ref)(tiles(terrain(side=32)))
            assert out["elevation"].shape == (1, 32 * k, 32 * k)


def test_uncertainty_is_given_only_when_asked_for() -> None:
    assert "elevation_sigma" not in find_model("bicubic", 4).spec.outputs
    with pytest.raises(NoModelError, match="no uncertainty"):
        find_model("bicubic", 4, uncertainty=True)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"name_or_path": "bicubik", "scale": 4}, NoModelError, "known are .*bicubic"),
        ({"name_or_path": "bicubic", "scale": 7}, NoModelError, "serves ×2, ×3, ×4, not ×7"),
        ({"name_or_path": "bicubic", "scale": 4, "engine": "abacus"}, UsageError, "expected one of"),
        ({"name_or_path": "bicubic", "scale": 4, "consistency": "firm"}, UsageError, "expected one of"),
        ({"name_or_path": "bicubic", "scale": 4, "tolerance_m": float("nan")}, UsageError, "0 or more"),
        ({"name_or_path": "./no.safetensors", "scale": 4}, WeightsError, "cannot be read"),
    ],
)
def test_what_cannot_be_served_is_refused(arguments: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        find_model(**arguments)


def test_weights_of_other_shapes_are_refused(tmp_path: Any) -> None:
    system = find_system("ridgeline")
    assert system.build is not None
    small = system.build({"channels": 16}, 4)
    spec: ModelSpec = system.describe(small, {"channels": 32}, 4)
    save(tmp_path / "odd.safetensors", small.state_dict(), spec)
    with pytest.raises(WeightsError, match="do not fit"):
        load_model(find_model(tmp_path / "odd.safetensors", 4))
    with pytest.raises(NoModelError, match="serve ×4, not ×3"):
        find_model(tmp_path / "odd.safetensors", 3)


def test_weights_that_change_after_planning_are_refused(tmp_path: Any) -> None:
    system = find_system("srcnn")
    assert system.build is not None
    path = tmp_path / "a.safetensors"
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = system.build({}, 4)
        save(path, network.state_dict(), system.describe(network, {}, 4))
        if seed == 0:
            ref = find_model(path, 4)
    with pytest.raises(WeightsError, match="changed since"):
        load_model(ref)


SAMPLE = Path(__file__).parents[2] / "demo" / "data"


@pytest.mark.parametrize("turn", ["left-right", "up-down"])
@pytest.mark.parametrize("name", sorted({m.name for m in sharpeners() if m.path is not None}))
def test_shipped_weights_turn_with_their_input_within_the_stated_tolerance(name: str, turn: str) -> None:
    act = {"left-right": lambda a: a[..., ::-1], "up-down": lambda a: a[..., ::-1, :]}[turn]
    model = load_model(find_model(name, 4))
    heights = sample_heights()
    plain, turned = (model(tiles(h, 120.0, 120.0))["elevation"] for h in (heights, act(heights)))
    error = float(np.sqrt(np.mean((turned - act(plain)) ** 2)))
    assert error <= model.spec.tolerance_m
    assert error > 0, "a network without symmetric weights cannot be exactly equivariant: the test saw nothing"


def sample_heights() -> np.ndarray:
    """A part of the shipped coarse DEM, an even number of cells along a side."""
    import rasterio

    with rasterio.open(next(SAMPLE.glob("*120m*.tif"))) as f:
        z = f.read(1)
    return z[None, :96, :96]
