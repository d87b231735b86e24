"""A metric of elevation models is one module: declared there, it is measured, recorded and reported."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest
from tests.support.rasters import write_surface
from tests.support.surfaces import terrain

from terrafine.evaluation.elevation import metrics as package
from terrafine.evaluation.elevation.compare import compare
from terrafine.evaluation.metrics import elevation_metrics
from terrafine.evaluation.report import write_report

LARGEST = """
from dataclasses import dataclass
from terrafine.evaluation.metrics import Metric, TableSpec

@dataclass(frozen=True)
class Largest:
    value: float = 0.0
    def add(self, block):
        return Largest(max(self.value, float(abs(block.error).max())))
    def summary(self):
        return {"largest_m": self.value}

METRIC = Metric("largest", 99, "block", lambda context: Largest(), tables=(
    TableSpec("largest", "The largest error, metres", ("largest_m",), lambda part: [(part["largest_m"],)]),
))
"""


def test_the_metrics_have_keys_of_their_own_and_stand_in_order() -> None:
    found = elevation_metrics()
    assert len({metric.key for metric in found}) == len(found) >= 9
    assert [metric.order for metric in found] == sorted(metric.order for metric in found)
    names = [table.name for metric in found for table in metric.tables]
    assert len(set(names)) == len(names)


def test_one_new_module_is_measured_recorded_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "largest.py").write_text(LARGEST, encoding="utf-8")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, f"{package.__name__}.largest", raising=False)
    z = terrain(96)
    off = z.copy()
    off[40, 50] += 7
    made, reference = write_surface(tmp_path / "a.tif", off), write_surface(tmp_path / "r.tif", z)
    found = compare(made, reference, coregister=False, hydrology=False, draws=100)
    assert found["candidates"][0]["largest"]["largest_m"] == pytest.approx(7, abs=1e-3)
    write_report(found, None, tmp_path / "report")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "report" / "largest.csv").read_text(encoding="utf-8"))))
    assert [row["surface"] for row in rows] == ["a"]
    assert float(rows[0]["largest_m"]) == pytest.approx(7, abs=1e-3)
    assert "The largest error, metres" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
