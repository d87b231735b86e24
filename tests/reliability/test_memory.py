"""Wide and large rasters are planned within a small slope, and refused where the machine is too small."""

from __future__ import annotations

import dataclasses

import pytest
from tests.support.fakes import spec

from terrafine.errors import ResourceError
from terrafine.inference import planner
from terrafine.inference.planner import make_plan

MB = 1_000_000


def projected(shape: tuple[int, int], scale: int = 4, **more) -> int:
    return make_plan(shape, spec(scale=scale, tile=256), memory_bytes=100_000 * MB, **more).memory_bytes


@pytest.mark.parametrize("shape", [(64_000, 64_000), (1_000, 1_000_000), (1_000_000, 1_000)])
def test_the_largest_rasters_are_planned(shape: tuple[int, int]) -> None:
    assert projected(shape) < 3_000 * MB


def test_memory_grows_by_twelve_bytes_for_an_output_column_and_unit_of_scale() -> None:
    for scale in (2, 4):
        narrow, wide = projected((300, 1_000_000), scale), projected((300, 3_000_000), scale)
        assert 0 < wide - narrow <= 12 * scale * 2_000_000 * scale


def test_memory_does_not_grow_with_the_height() -> None:
    assert projected((2_048_000, 5_000)) == projected((20_480, 5_000))


def test_a_run_beyond_the_machine_is_refused_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "available_memory_bytes", lambda: 600 * MB)
    with pytest.raises(ResourceError, match=r"this machine has 600 MB free; .*memory=\"600MB\""):
        make_plan((5_000, 5_000), spec(scale=4, tile=256))
    monkeypatch.setattr(planner, "available_memory_bytes", lambda: None)
    assert dataclasses.is_dataclass(make_plan((5_000, 5_000), spec(scale=4, tile=256)))
