"""The sample as a GeoPackage with a form for QGIS, blind to what the map shows; and its answers read back."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import shapely

from terrafine.atomic import temporary_folder, write_whole
from terrafine.campaign.sampling.design import Design, Point, Stratum
from terrafine.errors import DataError, MissingExtraError, SourceError
from terrafine.schema.files import read_json

__all__ = ["ANSWERS", "read_answers", "read_design", "write_design", "write_form"]

ANSWERS = {"other": 0, "impervious": 1, "not interpretable": -1}
_LAYER, _CELLS = "responses", "cells"
_FORMAT = "terrafine-sample/1"


def write_design(path: Path, design: Design) -> None:
    """Write the design as JSON: strata, seed, and what the map shows at each point; not for the interpreter's eyes."""
    record = {"format": _FORMAT, **dataclasses.asdict(design)}
    write_whole(path, json.dumps(record, indent=1).encode())


def read_design(path: Path) -> Design:
    """Read a design.

    Raises
    ------
    SourceError
        If there is none, or it is not one of this version.
    """
    record = read_json(path, SourceError, "the design of a sample: `terrafine campaign sample` writes it", 400_000_000)
    try:
        if record["format"] != _FORMAT:
            raise KeyError("format")
        strata = tuple(Stratum(**s) for s in record["strata"])
        points = tuple(
            Point(**{**p, "outline": tuple(map(tuple, p["outline"])), "mapped": tuple(p["mapped"])})
            for p in record["points"]
        )
        return Design(
            int(record["seed"]),
            tuple(record["epochs"]),
            strata,
            points,
            str(record["keys"]),
            tuple(record["mapped_m2"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{path}: not the design of a sample ({error}); draw it again") from error


def write_form(path: Path, design: Design) -> None:
    """Write the GeoPackage: layer `responses`, a point with fields to answer, and `cells`, the outlines to look at.

    Raises
    ------
    MissingExtraError
        Where pyogrio is not installed.
    """
    try:
        from pyogrio.raw import write  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise MissingExtraError(f"{path}: a GeoPackage needs an extra: pip install 'terrafine[campaign]'") from error
    points = design.points
    number = np.array([p.number for p in points], np.int32)
    answers = [f"reference_{name}" for name in design.epochs]
    blank = np.zeros(len(points), np.int32)
    text = np.array([""] * len(points), object)
    with temporary_folder() as folder:  # SQLite keeps a journal beside the file while it writes
        made = folder / "form.gpkg"
        write(
            made,
            np.array([shapely.to_wkb(shapely.Point(p.longitude, p.latitude)) for p in points], object),
            [number, *(blank for _ in answers), text, text],
            ["number", *answers, "interpreter", "remark"],
            field_mask=[None, *(np.ones(len(points), bool) for _ in answers), None, None],
            layer=_LAYER,
            geometry_type="Point",
            crs="EPSG:4326",
            driver="GPKG",
        )
        write(
            made,
            np.array([shapely.to_wkb(shapely.Polygon(p.outline)) for p in points], object),
            [number],
            ["number"],
            layer=_CELLS,
            geometry_type="Polygon",
            crs="EPSG:4326",
            driver="GPKG",
            append=True,
        )
        _add_style(made, answers)
        write_whole(path, made.read_bytes())


def _add_style(path: Path, answers: Sequence[str]) -> None:
    """Put the form into the table in which QGIS keeps the default style of a layer."""
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), "
            "f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), "
            "styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), "
            "update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"
        )
        base.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles')"
        )
        base.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
            "styleQML, styleSLD, useAsDefault, description, owner) VALUES ('','',?,'geom','responses',?,'',1,'','')",
            (_LAYER, _qml(answers)),
        )


def _qml(answers: Sequence[str]) -> str:
    """A form: the number read-only, a list of the three answers for each epoch, two lines of text."""
    listed = "".join(
        f'<Option type="Map"><Option type="QString" name={quoteattr(name)} value="{value}"/></Option>'
        for name, value in ANSWERS.items()
    )
    choice = f'<Option type="Map"><Option type="List" name="map">{listed}</Option></Option>'
    fields = "".join(
        f'<field name={quoteattr(name)}><editWidget type="ValueMap"><config>{choice}</config></editWidget></field>'
        for name in answers
    )
    plain = "".join(
        f'<field name="{name}"><editWidget type="TextEdit"><config/></editWidget></field>'
        for name in ("number", "interpreter", "remark")
    )
    order = "".join(
        f'<attributeEditorField name={quoteattr(name)} index="-1" showLabel="1"/>'
        for name in ("number", *answers, "interpreter", "remark")
    )
    aliases = "".join(
        f'<alias field={quoteattr(name)} name={quoteattr(name.removeprefix("reference_"))} index="-1"/>'
        for name in answers
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
        '<qgis version="3.28" styleCategories="Fields|Forms|Symbology">'
        f"<fieldConfiguration>{fields}{plain}</fieldConfiguration><aliases>{aliases}</aliases>"
        '<editable><field name="number" editable="0"/></editable>'
        f"<attributeEditorForm>{order}</attributeEditorForm><editorlayout>generatedlayout</editorlayout>"
        f"<previewExpression>{escape('number')}</previewExpression></qgis>"
    )


def read_answers(path: Path, design: Design) -> dict[str, dict[int, int]]:
    """The answers of a form: epoch -> number of the point -> class; blank and not interpretable ones are left out.

    Raises
    ------
    SourceError
        For a file that is not a form.
    DataError
        For answers that are none, or of another sample.
    MissingExtraError
        Where pyogrio is not installed.
    """
    try:
        from pyogrio.raw import read  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise MissingExtraError(f"{path}: a GeoPackage needs an extra: pip install 'terrafine[campaign]'") from error
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file; expected the form that `terrafine campaign sample` wrote")
    try:
        meta, _, _, columns = read(path, layer=_LAYER, read_geometry=False)
    except (RuntimeError, OSError, ValueError) as error:
        raise SourceError(f"{path}: not the form of a sample ({error}); expected a layer {_LAYER}") from error
    table: dict[str, Any] = {str(n): column for n, column in zip(meta["fields"], columns, strict=True)}
    missing = sorted({"number", *(f"reference_{e}" for e in design.epochs)} - set(table))
    if missing:
        raise DataError(f"{path}: has no field {', '.join(missing)}; expected the form of this sample")
    numbers = [int(n) for n in table["number"]]
    strange = sorted(set(numbers) - {p.number for p in design.points})
    if strange or len(set(numbers)) != len(numbers):
        raise DataError(f"{path}: points {strange[:5]} are not of this sample, or a number stands twice")
    found: dict[str, dict[int, int]] = {}
    for epoch in design.epochs:
        values = np.asarray(table[f"reference_{epoch}"], np.float64)
        given = np.isfinite(values)
        if not np.isin(values[given], list(ANSWERS.values())).all():
            raise DataError(f"{path}: reference_{epoch} holds {sorted(set(values[given]))}; expected 0, 1 or -1")
        found[epoch] = {n: int(v) for n, v in zip(numbers, values.tolist(), strict=True) if v in (0.0, 1.0)}
    return found
