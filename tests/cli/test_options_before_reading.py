"""Options that cannot be used are refused before a file is read; attributes of arrays state units in any spelling."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.attacks import special
from tests.support.attacks.arrays import array
from tests.support.attacks.model import Attack, Z, as_expected, outcome

import terrafine
from terrafine.errors import GridError

QUICK = [
    attack
    for attack in special.attacks()
    if attack.kind == "options before reading" or "instead of units" in attack.name
]


@pytest.mark.parametrize("attack", QUICK, ids=lambda a: a.name)
def test_it_is_refused_before_reading_or_read_right(attack: Attack, tmp_path: Path) -> None:
    found, words = outcome(attack, tmp_path)
    assert as_expected(attack, found), (found, words)


def test_two_units_that_differ_are_refused() -> None:
    with pytest.raises(GridError, match="several units, ft, m; state the right one with elevation_unit=UNIT"):
        terrafine.sharpen_dem(array(units="m", unit="ft"), scale=2, model="nearest")
    out = terrafine.sharpen_dem(array(Z, units="m", Unit="metre", note="kept"), scale=2, model="nearest")
    assert out.attrs["units"] == "m" and "Unit" not in out.attrs and out.attrs["note"] == "kept"
