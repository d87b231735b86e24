"""The result of an evaluation as DataFrames, as a page, and in a notebook."""

from pathlib import Path

import pytest
from tests.support.rasters import write_dem
from tests.support.surfaces import hills

from terrafine.workflows.evaluate import Evaluation, evaluate


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder: Path = tmp_path_factory.mktemp("evaluation")
    a, b = write_dem(folder / "a<b>.tif"), write_dem(folder / "b.tif", hills() + 1)
    return evaluate(a, b, hydrology=False, coregister=False, out=folder / "report")


def test_tables_are_those_of_the_report(done: Evaluation) -> None:
    written = {path.stem for path in done.files if path.suffix == ".csv"}
    assert set(done.tables) == written
    error = next(table for table in done.tables.values() if "rmse" in table.columns)
    assert error["rmse"].iloc[0] == pytest.approx(done.results["candidates"][0]["elevation"]["rmse"], rel=1e-3)


def test_the_page_is_the_one_that_was_written(done: Evaluation) -> None:
    page = next(path for path in done.files if path.suffix == ".html")
    assert done.to_html() == page.read_text(encoding="utf-8")


def test_a_notebook_shows_verdict_and_table_and_no_markup_of_a_name(done: Evaluation) -> None:
    shown = done._repr_html_()
    assert "<table>" in shown and done.sentence.split("<")[0] in shown
    assert "<b>" not in shown
