"""Laws of the tiling, for any raster, tile and multiple."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fakes import spec

from terrafine.inference.assemble import blend_weights
from terrafine.inference.plan import Plan
from terrafine.inference.planner import make_plan

sizes = st.integers(1, 90)


@st.composite
def plans(draw, tiling=("exact", "blend")):
    multiple = draw(st.sampled_from([1, 2, 4, 8]))
    a_spec = spec(
        scale=draw(st.integers(1, 4)),
        halo=draw(st.integers(0, 12)),
        multiple=multiple,
        tiling=draw(st.sampled_from(tiling)),
        tile=multiple * draw(st.integers(1, 6)),
    )
    return a_spec, make_plan((draw(sizes), draw(sizes)), a_spec, batch=draw(st.integers(1, 5)))


def covered(plan: Plan, region="inner"):
    count = np.zeros(plan.shape, int)
    for tile in plan.all_tiles():
        count[getattr(tile, region)] += 1
    return count


@given(plans())
def test_every_cell_belongs_to_one_inner_tile(made):
    _, plan = made
    assert (covered(plan) == 1).all()


def test_coverage_sees_a_missing_and_a_double_tile():
    plan = make_plan((40, 40), spec(tile=16))
    broken = type("Broken", (), {"shape": plan.shape, "all_tiles": lambda _: list(plan.all_tiles())[1:]})()
    assert not (covered(broken) == 1).all()
    double = type("Double", (), {"shape": plan.shape, "all_tiles": lambda _: [*plan.all_tiles(), plan.tile_at(0, 0)]})()
    assert not (covered(double) == 1).all()


@given(plans())
def test_windows_are_of_one_shape_on_multiples_and_hold_the_halo(made):
    a_spec, plan = made
    for tile in plan.all_tiles():
        for axis, (window, inner, part) in enumerate(zip(tile.window, tile.inner, tile.part, strict=True)):
            assert window.start % a_spec.multiple == 0
            assert (window.stop - window.start) % a_spec.multiple == 0
            assert window.stop - window.start == plan.tile[axis] + 2 * plan.halo
            assert window.start + a_spec.halo <= inner.start
            assert inner.stop + a_spec.halo <= window.stop
            assert part.start <= inner.start
            assert inner.stop <= part.stop
            assert part.start >= 0
            assert part.stop <= plan.shape[axis]


@given(plans())
def test_shards_hold_each_tile_once_and_batches_fit(made):
    _, plan = made
    seen = [(t.row, t.col) for i in range(plan.shards) for t in plan.tiles(i)]
    assert sorted(set(seen)) == sorted(seen)
    assert len(seen) == plan.tile_grid[0] * plan.tile_grid[1]
    assert 1 <= plan.batch <= plan.shard_tiles


@given(plans())
def test_a_plan_survives_json(made):
    assert Plan.from_json(made[1].to_json()) == made[1]


@settings(max_examples=60)
@given(plans(tiling=("blend",)))
def test_blend_weights_sum_to_one(made):
    _, plan = made
    k = plan.scale
    total = np.zeros(plan.output_shape)
    for tile in plan.all_tiles():
        rows, cols = tile.part
        weights = blend_weights(plan, tile, rows) if plan.overlap else 1.0
        total[rows.start * k : rows.stop * k, cols.start * k : cols.stop * k] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(plans())
def test_shard_bytes_bound_what_the_shards_take(made):
    _, plan = made
    cells = sum(t.part_shape[0] * t.part_shape[1] for t in plan.all_tiles())
    assert plan.shard_bytes >= cells * plan.scale**2 * 4 * plan.outputs
