"""The result does not depend on tiles, shards or their order, and missing stays missing."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fakes import Box, Nearest, TileMean, noisy_heights, source, spec

from terrafine.inference.context import JobContext
from terrafine.inference.crop import crop_tiles
from terrafine.inference.engine import run_in_memory
from terrafine.inference.planner import make_plan
from terrafine.inference.shard import batches, read_shard, run_batch

CLOSE = {"rtol": 0, "atol": 2e-4}  # metres: one step of float32 at 1,000 m is 6e-5


def sharpened(values, a_spec, model, tile, batch=1):
    plan = make_plan(values.shape, a_spec, tile=tile, batch=batch)
    return run_in_memory(plan, a_spec, source(values), model(a_spec), outputs=a_spec.outputs)[0][0]


grids = st.tuples(st.integers(1, 60), st.integers(1, 60))


@settings(max_examples=40, deadline=None)
@given(
    shape=grids,
    seed=st.integers(0, 99),
    halo=st.integers(0, 6),
    multiple=st.sampled_from([1, 4]),
    tiles=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    voids=st.sampled_from([0.0, 0.02, 0.3, 0.9]),
    batch=st.integers(1, 3),
)
def test_the_tile_size_does_not_change_the_result(shape, seed, halo, multiple, tiles, voids, batch):
    values = noisy_heights(shape, seed, voids)
    a_spec = spec(halo=halo, multiple=multiple, tile=multiple)
    one, two = (sharpened(values, a_spec, Box, multiple * t, batch) for t in tiles)
    np.testing.assert_allclose(one, two, **CLOSE)
    whole = sharpened(values, a_spec, Box, 64)
    np.testing.assert_allclose(one, whole, **CLOSE)


def test_one_cell_of_halo_too_few_is_seen():
    values = noisy_heights((60, 60))
    honest, lying = spec(halo=4, tile=16), spec(halo=3, tile=16)
    model = Box(honest)
    plans = [make_plan((60, 60), s) for s in (honest, lying)]
    one, two = (
        run_in_memory(p, s, source(values), model, outputs=("elevation",))[0]
        for p, s in zip(plans, (honest, lying), strict=True)
    )
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(one, two, **CLOSE)


@settings(max_examples=40, deadline=None)
@given(
    shape=grids,
    seed=st.integers(0, 99),
    voids=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    tiling=st.sampled_from(["exact", "blend"]),
)
def test_a_cell_is_void_exactly_where_its_coarse_cell_is(shape, seed, voids, tiling):
    values = noisy_heights(shape, seed, voids)
    out = sharpened(values, spec(scale=3, halo=4, tiling=tiling, tile=8), Nearest, 8)
    np.testing.assert_array_equal(np.isnan(out), np.repeat(np.repeat(np.isnan(values), 3, 0), 3, 1))


@settings(max_examples=25, deadline=None)
@given(shape=grids, seed=st.integers(0, 9), tile=st.integers(8, 20))
def test_blending_keeps_the_observation(shape, seed, tile):
    values = noisy_heights(shape, seed, 0.05)
    a_spec = spec(scale=2, halo=6, tiling="blend", tile=8)
    plan = make_plan(shape, a_spec, tile=tile)
    out, residual = run_in_memory(plan, a_spec, source(values), Nearest(a_spec), outputs=("elevation",))
    np.testing.assert_allclose(out[0, ::2, ::2], values, **CLOSE)
    assert residual == 0


def test_blending_leaves_no_step_at_tile_borders():
    values = noisy_heights((96, 96)) * 0 + np.linspace(0, 1000, 96, dtype=np.float32)
    exact = sharpened(values, spec(tile=32), TileMean, 32)
    blended = sharpened(values, spec(tile=32, halo=16, tiling="blend"), TileMean, 32)
    assert np.abs(np.diff(exact, axis=1)).max() > 300
    assert np.abs(np.diff(blended, axis=1)).max() < 60


def test_the_residual_is_that_of_the_output():
    values = noisy_heights((40, 40), gaps=0.1)
    a_spec = spec(halo=2)
    plan = make_plan((40, 40), a_spec)
    out, residual = run_in_memory(plan, a_spec, source(values), Box(a_spec), outputs=("elevation",))
    means = out[0].astype(float).reshape(40, 2, 40, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(residual, np.nanmax(np.abs(means - values)), atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_shards_in_any_order_give_the_same_bytes(random):
    values = noisy_heights((70, 50), 3, 0.05)
    a_spec = spec(halo=3, tile=16)
    plan = make_plan(values.shape, a_spec)
    model = Box(a_spec)
    context = JobContext(plan, a_spec, source(values), partial(Box, a_spec), ("elevation",), None, "")
    expected = run_in_memory(plan, a_spec, source(values), model, outputs=("elevation",))[0]
    out = np.zeros_like(expected)
    order = list(range(plan.shards))
    random.shuffle(order)
    for index in order:
        for batch in batches(context, index, read_shard(context, index)):
            for part in crop_tiles(context, batch, run_batch(context, model, batch)):
                (r, c), k = part.tile.part, plan.scale
                value = np.nan if part.values is None else part.values
                out[:, r.start * k : r.stop * k, c.start * k : c.stop * k] = value
    assert out.tobytes() == expected.tobytes()
