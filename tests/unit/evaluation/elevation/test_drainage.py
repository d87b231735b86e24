from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.support.drainage import compare_surfaces
from tests.support.surfaces import cells, terrain

from terrafine.errors import UsageError
from terrafine.evaluation.elevation.drainage import DrainageComparison, DrainageOptions, compare_all, memory_needed

pytest.importorskip("numba")
pytest.importorskip("pyflwdir")

STILL, MOVED = (0.0, 0.0), (0.4, -0.2)


@dataclass
class Lane:
    name: str
    key: tuple[float, float]


def reader(surfaces: list[np.ndarray], references: dict[Any, np.ndarray]) -> Any:
    def read(rows: slice, cols: slice) -> tuple[list[np.ndarray], dict[Any, np.ndarray]]:
        return [z[rows, cols] for z in surfaces], {key: z[rows, cols] for key, z in references.items()}

    return read


def surfaces() -> tuple[list[Lane], list[np.ndarray], dict[Any, np.ndarray]]:
    truth, noise = terrain(96, rough=2.0), np.random.default_rng(0).normal(0, 1, (3, 96, 96))
    lanes = [Lane("a", STILL), Lane("b", MOVED), Lane("bicubic", STILL)]
    references = {STILL: truth, MOVED: truth + 0.1 * noise[0]}
    return lanes, [truth.copy(), truth + noise[1], truth + 3 * noise[2]], references


def test_each_surface_is_routed_against_the_reference_on_its_own_grid() -> None:
    lanes, found, references = surfaces()
    size = cells(96, 30.0)
    size[1] = 20.0  # y 30 m, x 20 m
    water = compare_all(lanes, reader(found, references), (96, 96), size, DrainageOptions())
    assert isinstance(water, DrainageComparison)
    for lane, z in zip(lanes, found, strict=True):
        alone = compare_surfaces(z.astype(np.float32), references[lane.key].astype(np.float32), None, size[::-1].copy())
        assert water.records[lane.name] == alone
    assert water.records["a"]["d8"]["agreement"] == 1.0
    assert water.records["bicubic"]["d8"]["agreement"] < water.records["b"]["d8"]["agreement"] < 1.0
    assert set(water.streams) == {"a", "b", "bicubic", "reference"}
    np.testing.assert_array_equal(water.streams["a"], water.streams["reference"])
    assert (water.streams["bicubic"] != water.streams["reference"]).any()


def test_above_the_limit_nothing_is_read_and_the_reason_is_told() -> None:
    def never(rows: slice, cols: slice) -> Any:
        raise AssertionError("read")

    need = memory_needed((96, 96), 3, 2)
    lanes, found, references = surfaces()
    told = compare_all(lanes, never, (96, 96), cells(96), DrainageOptions(limit_bytes=need - 1))
    assert isinstance(told, str)
    assert "96 × 96 cells" in told
    assert "hydrology_memory=" in told
    enough = compare_all(lanes, reader(found, references), (96, 96), cells(96), DrainageOptions(limit_bytes=need))
    assert isinstance(enough, DrainageComparison)


@pytest.mark.parametrize("options", [{"areas_km2": (0.0,)}, {"stages_m": (-1.0,)}, {"stages_m": ()}])
def test_an_area_or_stage_that_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        DrainageOptions(**options)
