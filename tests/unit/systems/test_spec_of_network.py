"""A spec that contradicts its network is refused before it runs: a halo that is too small would leave seams."""

from __future__ import annotations

from dataclasses import replace

import pytest

from terrafine.errors import WeightsError
from terrafine.systems import find_model, load_network


@pytest.mark.parametrize(
    ("model", "change", "match"),
    [
        ("ridgeline", {"halo": 4}, "halo is 4, expected"),
        ("ridgeline", {"inputs": ("red",)}, "inputs is"),
        ("ridgeline", {"tiling": "blend"}, "tiling is 'blend', expected 'exact'"),
        ("pimsr", {"multiple": 1}, "multiple is 1, expected a multiple of 2"),
        ("pimsr", {"guides": ("vv",)}, "guides are"),
    ],
)
def test_a_spec_that_contradicts_its_network_is_refused(model: str, change: dict[str, object], match: str) -> None:
    ref = find_model(model, 4)
    assert load_network(ref) is not None
    with pytest.raises(WeightsError, match=match):
        load_network(replace(ref, spec=replace(ref.spec, **change)))  # type: ignore[arg-type]
