from __future__ import annotations

import numpy as np
import pytest
from tests.support.fakes import spec

from terrafine.errors import JobError, ResourceError, UsageError
from terrafine.inference.assemble import blend_weights
from terrafine.inference.plan import Plan
from terrafine.inference.planner import make_plan


def test_a_plan_is_a_value():
    plan = make_plan((100, 130), spec(scale=4, halo=5))
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert hash(again) == hash(plan)
    assert again.digest == plan.digest
    assert make_plan((100, 131), spec(scale=4, halo=5)).digest != plan.digest
    assert "100 × 130 cells -> 400 × 520 (×4)" in str(plan)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shape": 1}'])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(JobError, match="no plan of this version"):
        Plan.from_json(text)


def test_a_small_raster_gets_a_small_tile():
    assert make_plan((20, 30), spec(tile=256, multiple=8)).tile == (24, 32)


def test_tiles_are_balanced_so_that_the_last_is_no_sliver():
    assert make_plan((3600, 3600), spec(scale=4, tile=256)).tile == (240, 240)


@pytest.mark.parametrize("halo", [16, 32, 64])
@pytest.mark.parametrize("shape", [(129, 40), (65, 65), (97, 200)])
def test_weights_of_blended_tiles_sum_to_one_however_small_the_tile_asked_for(halo, shape):
    plan = make_plan(shape, spec(scale=1, halo=halo, tiling="blend", tile=8))
    total = np.zeros(shape)
    for tile in plan.all_tiles():
        total[tile.part] += blend_weights(plan, tile, tile.part[0])
    assert abs(total - 1).max() < 1e-6


def test_memory_is_flat_in_the_size_of_the_raster():
    a_spec = spec(scale=4, halo=32, tile=256)
    small, large = (make_plan((n, n), a_spec).memory_bytes for n in (2_000, 20_000))
    assert large <= 1.2 * small
    assert large <= 1_500_000_000


def test_a_limit_shrinks_the_batch_then_the_tile_then_refuses():
    a_spec = spec(scale=4, halo=8, tile=256)
    full = make_plan((4000, 4000), a_spec, batch=4)
    fewer = make_plan((4000, 4000), a_spec, batch=4, memory_bytes=full.memory_bytes - 1)
    assert fewer.batch < full.batch
    assert fewer.tile == full.tile
    single = make_plan((4000, 4000), a_spec, batch=1)
    smaller = make_plan((4000, 4000), a_spec, batch=4, memory_bytes=single.memory_bytes - 1)
    assert smaller.tile < full.tile
    assert smaller.memory_bytes < single.memory_bytes
    with pytest.raises(ResourceError, match=r"needs about .* MB .* 100 MB are allowed"):
        make_plan((4000, 4000), a_spec, memory_bytes=100_000_000)


def test_guides_are_projected_with_the_rest():
    a_spec = spec(scale=4, halo=8, tile=256)
    plain, guided = (make_plan((4000, 4000), a_spec, guides=n) for n in (0, 4))
    held = 4 * 8 * 4**2 * (guided.tile[0] + 16) * (guided.tile[1] * guided.shard_tiles + 16)
    assert guided.memory_bytes - plain.memory_bytes >= 3 * held  # one with the model, two read ahead


@pytest.mark.parametrize(("shape", "options"), [((0, 5), {}), ((5, 5), {"tile": 0}), ((5, 5), {"batch": 0})])
def test_sizes_that_cannot_be_meant_are_refused(shape, options):
    with pytest.raises(UsageError, match="must be 1 or more"):
        make_plan(shape, spec(), **options)


def test_a_plan_for_a_continent_takes_no_time_and_no_room():
    plan = make_plan((2_000_000, 2_000_000), spec(scale=4, halo=32, tile=256))
    assert plan.shards > 5_000_000
    assert plan.tiles(plan.shards - 1)[-1].inner[1].stop == 2_000_000
