"""`describe` returns what a model, a weights file or a raster states, and refuses what is neither."""

from pathlib import Path

import pytest

from terrafine.errors import SourceError
from terrafine.systems import list_models
from terrafine.workflows.describe import RasterDescription, WeightsDescription, describe

SAMPLE = Path(__file__).parents[3] / "demo" / "data" / "sample_120m.tif"


def test_a_name_is_the_models_of_that_name_and_a_file_of_weights_is_one_of_them() -> None:
    (ref,) = [r for r in list_models() if r.name == "srcnn"]
    assert describe("srcnn") == [ref]
    assert ref.path is not None
    assert describe(str(ref.path)) == WeightsDescription(ref.spec, ref.sha256)


def test_a_raster_has_facts_and_an_elevation_model_a_product() -> None:
    found = describe(str(SAMPLE))
    assert isinstance(found, RasterDescription)
    assert found.facts["kind"] == "elevation"
    assert found.product is not None


def test_what_is_neither_is_refused_as_both() -> None:
    with pytest.raises(SourceError, match=r"no such file, and .*no-such-model"):
        describe("no-such-model")
