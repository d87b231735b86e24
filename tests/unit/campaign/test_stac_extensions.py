"""Published items and collection are valid STAC, with the extensions that they declare, by pystac and stac-validator.

The schemas of the extensions are those of tests/support/stac_schemas.py, written from the field tables that the
extensions publish. The published schemas of projection 2.0.0, raster 2.0.0, classification 2.0.0 and processing 1.2.0
are on the network only; those of file 2.1.0 and scientific 1.0.0, and older versions of the others, were read and agree
in what they refuse.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.campaigns import disc, opened, write_campaign, write_map_campaign
from tests.support.stac_schemas import SCHEMAS, record_problem, stac_validator_message, write_schemas

import terrafine
from terrafine.acquire.stac_check import require_valid_stac
from terrafine.campaign.execute import run_units
from terrafine.errors import OutputError

pytest.importorskip("pystac")
Record = dict[str, Any]


def published(settings: Path, work: Any = None) -> Path:
    plan, folder = opened(settings)
    more = {} if work is None else {"work": work}
    assert run_units(plan, folder, list(plan.units()), **more).failed == []
    return terrafine.publish_campaign(settings).collection


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of class maps with a DOI."""
    settings = write_map_campaign(tmp_path_factory.mktemp("town"), zones=False)
    text = settings.read_text()
    settings.write_text(
        f'{text}[product]\ndoi = "10.5281/zenodo.123"\ncitation = "A. Author (2020): Town."\nprovider = "Town"\n'
    )
    return published(settings, disc)


@pytest.fixture(scope="module")
def hills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of heights."""
    return published(write_campaign(tmp_path_factory.mktemp("hills")))


def items_of(collection: Path) -> list[Path]:
    return sorted((collection.parent / "items").rglob("*.json"))


@pytest.mark.parametrize("product", ["town", "hills"])
def test_everything_published_is_valid_by_pystac_and_by_stac_validator(
    product: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    pytest.importorskip("stac_validator")
    collection: Path = request.getfixturevalue(product)
    schemas = write_schemas(tmp_path)
    for path in (collection, *items_of(collection)[:3]):
        record = json.loads(path.read_text())
        assert record["stac_extensions"] and set(record["stac_extensions"]) <= set(SCHEMAS)
        assert record_problem(record) == ""
        message = stac_validator_message(path, schemas)
        assert message["valid_stac"], json.dumps(message, default=str, indent=1)
        assert len(message["schema"]) == 1 + len(record["stac_extensions"])


def test_an_extension_is_declared_where_its_fields_are_and_nowhere_else(town: Path, hills: Path) -> None:
    def declared(path: Path) -> set[str]:
        return {url.split("/")[3] for url in json.loads(path.read_text())["stac_extensions"]}

    assert declared(town) == {"projection", "raster", "classification", "scientific"}
    assert declared(hills) == {"projection", "raster"}
    assert declared(items_of(town)[0]) == {"projection", "raster", "classification", "processing", "file"}
    assert declared(items_of(hills)[0]) == {"projection", "raster", "processing", "file"}


def wrong_type(field: str, value: Any) -> Callable[[Record], None]:
    def change(item: Record) -> None:
        item["properties"][field] = value

    return change


def in_band(field: str, value: Any) -> Callable[[Record], None]:
    def change(item: Record) -> None:
        item["assets"]["class"]["bands"][0][field] = value

    return change


def in_asset(field: str, value: Any) -> Callable[[Record], None]:
    def change(item: Record) -> None:
        item["assets"]["class"][field] = value

    return change


def without_lineage(item: Record) -> None:
    for field in ("processing:software", "processing:lineage"):
        del item["properties"][field]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(wrong_type("proj:epsg", 32632), id="the field that projection 2 removed"),
        pytest.param(wrong_type("proj:code", 32632), id="a code that is a number"),
        pytest.param(wrong_type("proj:bbox", [1, 2, 3]), id="a box of three numbers"),
        pytest.param(in_asset("proj:transform", [10, 0, 5]), id="a transform of three numbers"),
        pytest.param(in_asset("proj:shape", [640.5, 640]), id="half a row"),
        pytest.param(in_asset("raster:bands", [{"data_type": "uint8"}]), id="the field that raster 2 removed"),
        pytest.param(in_band("raster:sampling", "centre"), id="a sampling that does not exist"),
        pytest.param(in_band("classification:classes", [{"value": 1}]), id="a class without a name"),
        pytest.param(in_band("classification:classes", [{"value": 1.5, "name": "a"}]), id="a class that is no integer"),
        pytest.param(in_band("data_type", "byte"), id="a type that STAC does not know"),
        pytest.param(in_asset("file:checksum", "sha256:XY"), id="a digest that is no multihash"),
        pytest.param(wrong_type("processing:software", "Terrafine"), id="software that is no table"),
        pytest.param(without_lineage, id="a declared extension without its fields"),
        pytest.param(wrong_type("datetime", "yesterday"), id="a date that is none"),
    ],
)
def test_a_field_that_the_extensions_do_not_allow_is_found(
    change: Callable[[Record], None], town: Path, tmp_path: Path
) -> None:
    pytest.importorskip("stac_validator")
    item = copy.deepcopy(json.loads(items_of(town)[0].read_text()))
    assert record_problem(item) == ""
    change(item)
    assert record_problem(item)
    path = tmp_path / "item.json"
    path.write_text(json.dumps(item))
    assert not stac_validator_message(path, write_schemas(tmp_path))["valid_stac"]


@pytest.mark.parametrize("field", ["sci:doi", "proj:code"])
def test_a_field_that_the_extensions_do_not_allow_is_found_in_the_collection(field: str, town: Path) -> None:
    collection = json.loads(town.read_text())
    if field == "sci:doi":
        collection[field] = "doi:10.1/x"
    else:
        for asset in collection["item_assets"].values():
            asset["proj:epsg"] = 32632
    assert record_problem(collection)


def test_a_record_that_is_no_stac_is_not_published(town: Path) -> None:
    collection, item = (json.loads(path.read_text()) for path in (town, items_of(town)[0]))
    require_valid_stac(collection, [item])
    item["properties"]["datetime"] = "yesterday"
    with pytest.raises(OutputError, match="is not valid STAC"):
        require_valid_stac(collection, [item])
