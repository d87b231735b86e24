"""Round numbers at or above, and at or below, the one wanted."""

from __future__ import annotations

import pytest

from terrafine.evaluation.nice import nice_length, nice_step


@pytest.mark.parametrize(("wanted", "step"), [(1.5, 1.5), (1.6, 2.0), (71, 100.0), (0.0021, 0.003)])
def test_other_multiples_may_count_as_round(wanted: float, step: float) -> None:
    assert nice_step(wanted, (1, 1.5, 2, 3, 5, 7)) == pytest.approx(step)


def test_the_tolerance_admits_a_step_slightly_below() -> None:
    assert nice_step(2.001) == 5.0
    assert nice_step(2.001, tolerance=1e-3) == 2.0


@pytest.mark.parametrize(("most", "length"), [(999.0, 500.0), (1000.0, 1000.0), (0.3, 0.2)])
def test_a_length_is_at_most_what_is_given(most: float, length: float) -> None:
    assert nice_length(most) == pytest.approx(length)
