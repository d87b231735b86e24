"""What a notebook shows of a report: every field that says something, with its unit, as safe HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.rasters import write_dem
from tests.support.surfaces import hills

import terrafine
from terrafine.notebook import table_of


@dataclass
class Report:
    shift_m: tuple[float, float] = (1.23456, -2.0)
    cells: int = 12_345
    path: Path | None = None
    notes: tuple[str, ...] = ("a < b", "second")
    hidden: Any = field(default=5, repr=False)
    sure: bool = True


def test_fields_have_units_and_digits_and_are_escaped() -> None:
    shown = table_of(Report())
    assert "shift (m)" in shown
    assert "1.235, -2" in shown
    assert "12,345" in shown
    assert "a &lt; b<br>second" in shown
    assert "True" in shown
    assert "hidden" not in shown and "path" not in shown


def test_reports_of_runs_and_of_radar_show_themselves(tmp_path: Path) -> None:
    source = write_dem(tmp_path / "in.tif", hills(24, 20))
    reports: list[Any] = []
    terrafine.sharpen_dem(source, tmp_path / "out.tif", scale=2, model="bicubic", report=reports.append)
    reports.append(terrafine.map_radar(source, tmp_path / "radar.tif", orbit="ascending"))
    for report in reports:
        shown = report._repr_html_()
        assert shown.startswith("<table>") and shown.count("<tr>") > 5
        assert type(report).__name__ in shown


@pytest.mark.parametrize("value", [np.float64(0.5), 0.5])
def test_numpy_numbers_are_numbers(value: float) -> None:
    assert ">0.5<" in table_of(Report(shift_m=value))  # type: ignore[arg-type]
