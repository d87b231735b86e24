"""Every awkward input gives its true result, or a refusal of its own that leaves nothing behind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.support.attacks.all import ATTACKS
from tests.support.attacks.model import Attack, RefusedError, Z, as_expected, outcome, put, sharpened

from benchmarks import right_or_refused


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: f"{a.kind}: {a.name}")
def test_an_awkward_input_is_read_right_or_refused(attack: Attack, tmp_path: Path) -> None:
    found, words = outcome(attack, tmp_path)
    assert as_expected(attack, found), (found, words)


def test_the_published_table_counts_these_inputs() -> None:
    tried = Counter(attack.kind for attack in ATTACKS)
    for version in right_or_refused.records().values():
        assert {kind: sum(found.values()) for kind, found in version.items()} == tried


def test_no_input_is_listed_twice() -> None:
    assert max(Counter((attack.kind, attack.name) for attack in ATTACKS).values()) == 1


@pytest.mark.parametrize("values", [Z + 0.05, np.where(Z.max() == Z, np.nan, Z), Z[::-1]])
def test_a_result_that_differs_is_called_wrong(values: np.ndarray, tmp_path: Path) -> None:
    attack = Attack("x", "y", lambda d: sharpened(put(d / "a.tif", values)))
    assert outcome(attack, tmp_path)[0] == "wrong"


def test_what_is_left_behind_and_errors_that_are_not_ours_are_failures(tmp_path: Path) -> None:
    def leaves(folder: Path) -> str:
        (folder / "o.tif.job").mkdir()
        raise RefusedError("no")

    assert outcome(Attack("x", "leaves", leaves), tmp_path)[0] == "failed"
    assert outcome(Attack("x", "raises", lambda d: str(1 / 0)), tmp_path / "b")[0] == "failed"
    assert outcome(Attack("x", "accepts", lambda d: "", "refused"), tmp_path / "c")[0] == "wrong"
