"""The dialogs of the QGIS plugin offer what the command line has: each row of the table is compared with an option."""

from __future__ import annotations

import shlex
from dataclasses import replace

import click
import pytest
from integrations.qgis.terrafine_qgis import verbs as table
from integrations.qgis.terrafine_qgis.command import arguments, main_result
from tests.support import pages

from terrafine.cli import main

IDS = [v.name for v in table.VERBS]
VALUE = {
    table.NUMBER: 0.5,
    table.INTEGER: 4,
    table.FLAG: True,
    table.CRS: "EPSG:32633",
    table.RASTER: "/maps/a b.tif",
    table.RASTERS: ["/maps/-1.tif", "/maps/ü.tif"],
    table.VECTOR: "/maps/c.gpkg",
    table.FILE: "/maps/d.toml",
    table.EXTENT: "-1.72,48.08,-1.62,48.14",
}
TEXTS = {
    "BANDS": "red=3, green=2 blue=1",
    "MEMORY": "4GB",
    "DEVICE": "cpu",
    "MODEL": "ridgeline",
    "INCIDENCE": "34.5",
    "DATES": "2023-04/2023-10",
    "BAND_NAMES": "red,green",
}


def value(parameter: table.Parameter) -> object:
    if parameter.kind == table.CHOICE:
        return parameter.choices[-1]
    if parameter.kind == table.TEXT:
        return TEXTS.get(parameter.name, "some text")
    return VALUE[parameter.kind]


def everything(verb: table.Verb) -> dict[str, object]:
    return {p.name: value(p) for p in (*verb.inputs, *verb.options)}


def options(verb: table.Verb) -> dict[str, click.Option]:
    """Options of the command by each of their long names."""
    found = [p for p in main.commands[verb.name].params if isinstance(p, click.Option)]
    return {name: p for p in found for name in (*p.opts, *p.secondary_opts) if name.startswith("--")}


def offered(verb: table.Verb) -> set[str]:
    return {p.option for p in (*verb.inputs, *verb.options) if p.option}


def missing(verb: table.Verb) -> set[str]:
    left_out = {*table.LEFT_OUT[verb.name], *table.LEFT_OUT_EVERYWHERE}
    return set(options(verb)) - offered(verb) - left_out


@pytest.mark.parametrize("verb", table.VERBS, ids=IDS)
def test_every_option_is_offered_or_left_out_with_a_reason(verb: table.Verb) -> None:
    assert missing(verb) == set()


def test_an_option_that_is_neither_is_found() -> None:
    poorer = replace(table.DEM, options=tuple(p for p in table.DEM.options if p.option != "--product"))
    assert missing(poorer) == {"--product"}


@pytest.mark.parametrize("verb", table.VERBS, ids=IDS)
def test_no_row_is_stale(verb: table.Verb) -> None:
    assert offered(verb) - set(options(verb)) == set()
    assert set(table.LEFT_OUT[verb.name]) - set(options(verb)) == set()
    assert set(table.LEFT_OUT[verb.name]) & offered(verb) == set()


@pytest.mark.parametrize("verb", table.VERBS, ids=IDS)
def test_a_file_is_replaced_where_the_verb_asks(verb: table.Verb) -> None:
    assert verb.replaces == ("--overwrite" in options(verb))


@pytest.mark.parametrize("verb", table.VERBS, ids=IDS)
def test_kinds_choices_and_repetition_agree(verb: table.Verb) -> None:
    for p in (*verb.inputs, *verb.options):
        if not p.option:
            continue
        option = options(verb)[p.option]
        assert (p.kind == table.FLAG) == option.is_flag, p
        if p.kind == table.CHOICE and isinstance(option.type, click.Choice):
            assert tuple(option.type.choices) == p.choices, p
        if p.kind == table.RASTERS:
            assert option.multiple, p
        assert p.twice == (option.nargs == 2), p
        assert p.required or not option.required, p


@pytest.mark.parametrize("verb", table.VERBS, ids=IDS)
def test_a_full_dialog_parses(verb: table.Verb) -> None:
    words = arguments(verb, everything(verb), "/out/fine.tif")
    assert pages.problem(shlex.join(["terrafine", *words])) == "", words


@pytest.mark.parametrize("verb", table.VERBS, ids=IDS)
def test_an_empty_dialog_parses_with_what_is_required(verb: table.Verb) -> None:
    given = {p.name: value(p) for p in (*verb.inputs, *verb.options) if p.required}
    words = arguments(verb, given, "/out/fine.tif")
    assert pages.problem(shlex.join(["terrafine", *words])) == "", words
    assert len(words) <= 8


def test_an_option_that_does_not_exist_is_found() -> None:
    row = table.Parameter("X", "--no-such-option", table.FLAG, "x")
    words = arguments(replace(table.DEM, options=(row,)), {"INPUT": ["a.tif"], "X": True}, "o.tif")
    assert "No such option" in pages.problem(shlex.join(["terrafine", *words]))


def test_words_are_as_on_the_command_line() -> None:
    values = {
        "INPUT": ["-a.tif", "b c.tif"],
        "SCALE": "3",
        "UNCERTAINTY": True,
        "RESTART": False,
        "RESOLUTION": 10.0,
        "NODATA": -9999.0,
        "GUIDE_VV": ["1.tif", "2.tif"],
        "BANDS": "elevation=2",
        "MODEL": " ",
    }
    assert arguments(table.DEM, values, "o.tif") == [
        "dem",
        "--overwrite",
        "--scale=3",
        "--uncertainty",
        "--tr",
        "10",
        "10",
        "--guide=vv=1.tif",
        "--guide=vv=2.tif",
        "--band=elevation=2",
        "--nodata=-9999",
        "--",
        "-a.tif",
        "b c.tif",
        "o.tif",
    ]


def test_a_report_goes_to_a_folder_and_opens_its_page() -> None:
    words = arguments(table.EVALUATE, {"INPUT": ["a.tif"], "REFERENCE": "r.tif"}, "/out")
    assert words == ["evaluate", "--reference=r.tif", "-o", "/out", "--", "a.tif"]
    assert main_result(table.EVALUATE, "/out").replace("\\", "/") == "/out/index.html"


def test_a_required_value_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="Direction of the pass: nothing is given"):
        arguments(table.RADAR, {"INPUT": ["a.tif"]}, "o.tif")


def test_names_are_unique_within_a_dialog() -> None:
    for verb in table.VERBS:
        names = [p.name for p in (*verb.inputs, *verb.options)]
        assert len(names) == len(set(names))
        assert {"OUTPUT", "PAGE"}.isdisjoint(names)
