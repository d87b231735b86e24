from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from terrafine.errors import GateError, SourceError, UsageError
from terrafine.evaluation.gate import check, load_gates, measured, raise_unless_passed


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def results(rmse: float, better: bool | None = True) -> dict[str, Any]:
    water = {"d8": {"agreement": 0.7}, "streams": [{"area_km2": 0.1, "overlap": [{"f1": 0.5}, {"f1": 0.9}]}]}
    one = {"name": "a", "elevation": {"rmse": rmse}, "verdict": {"better": better}, "hydrology": water}
    return {"candidates": [one, one | {"name": "b", "hydrology": None}]}


GATES = """
[max]
elevation.rmse = 5
[is]
verdict.better = true
"""


@pytest.mark.parametrize(
    ("rmse", "better", "passed"),
    [(5.0, True, [True, True]), (5.001, True, [False, True]), (1.0, False, [True, False]), (1.0, None, [True, False])],
)
def test_a_gate_passes_up_to_its_limit_and_no_farther(
    tmp_path: Path, rmse: float, better: bool | None, passed: list[bool]
) -> None:
    checks = check(results(rmse, better), load_gates(written(tmp_path / "g.toml", GATES)))
    assert [c["passed"] for c in checks] == passed * 2
    if all(passed):
        raise_unless_passed(checks)
    else:
        with pytest.raises(GateError, match="2 of 4 gates not passed"):
            raise_unless_passed(checks)


def test_lists_are_reached_by_position_and_what_was_not_measured_does_not_pass(tmp_path: Path) -> None:
    gates = load_gates(written(tmp_path / "g.toml", "[min]\nhydrology.streams.0.overlap.1.f1 = 0.8\n"))
    checks = check(results(1.0), gates)
    assert [(c["candidate"], c["value"], c["passed"]) for c in checks] == [("a", 0.9, True), ("b", None, False)]
    with pytest.raises(GateError, match=r"b: hydrology.streams.0.overlap.1.f1 is not measured, expected at least 0\.8"):
        raise_unless_passed(checks)


@pytest.mark.parametrize("key", ["elevation.rsme", "hydrology.streams.7.area_km2", "elevation.rmse.x", "elevation"])
def test_a_key_that_leads_nowhere_is_refused_by_name(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match=key):
        check(results(1.0), load_gates(written(tmp_path / "g.toml", f"[max]\n{key} = 1\n")))


@pytest.mark.parametrize("text", ["", "[most]\nelevation.rmse = 1\n", "[max]\nelevation.rmse = 'low'\n", "max = 3\n"])
def test_a_file_without_gates_is_a_usage_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"g\.toml"):
        load_gates(written(tmp_path / "g.toml", text))


def test_a_file_that_is_no_toml_is_a_source_error(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", written(tmp_path / "g.toml", "[max\n")):
        with pytest.raises(SourceError, match=path.name):
            load_gates(path)


@pytest.mark.parametrize(
    ("value", "text"), [(0.123456789, "0.1235"), (1234.5678, "1235"), (7, "7"), (True, "True"), (None, "not measured")]
)
def test_a_measured_value_has_four_digits(value: float | bool | None, text: str) -> None:
    assert measured(value) == text
