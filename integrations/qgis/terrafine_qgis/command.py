"""From the values of a dialog to the arguments of `terrafine`; pure Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .verbs import CHOICE, CRS, EXTENT, FILE, FLAG, INTEGER, NUMBER, RASTER, RASTERS, TEXT, VECTOR, Parameter, Verb

__all__ = ["arguments", "main_result"]

REPORT_PAGE = "index.html"


def arguments(verb: Verb, values: Mapping[str, object], output: str) -> list[str]:
    """What follows `terrafine`.

    Options come first, as `--name=value`, so that neither a file whose name begins with a dash nor a negative number
    is read as an option; inputs and output follow a `--`.

    Parameters
    ----------
    verb
        The algorithm.
    values
        Value of each parameter by its name: text, numbers, lists of files; None or empty where it is not given.
    output
        The file or folder to write.

    Returns
    -------
    Words for `subprocess`.
    """
    words: list[str] = []
    files: list[str] = []
    for parameter in (*verb.inputs, *verb.options):
        value = values.get(parameter.name)
        if parameter.required and value in (None, "", [], ()):
            raise ValueError(f"{parameter.label}: nothing is given")
        if parameter.option:
            words += _option(parameter, value)
        else:
            files += _many(value)
    if verb.output_option:
        return [verb.name, *words, verb.output_option, output, "--", *files]
    replacing = ["--overwrite"] if verb.replaces else []
    return [verb.name, *replacing, *words, "--", *files, output]


def _option(parameter: Parameter, value: object) -> list[str]:
    if value in (None, "", [], ()):
        return []
    if parameter.kind == FLAG:
        return [parameter.option] if value else []
    if parameter.kind in (RASTER, RASTERS, VECTOR, FILE):
        return [f"{parameter.option}={parameter.prefix}{file}" for file in _many(value)]
    if parameter.kind == TEXT and parameter.option == "--band":
        return [f"{parameter.option}={pair}" for pair in str(value).replace(",", " ").split()]
    text = _number(value) if parameter.kind in (NUMBER, INTEGER) else str(value).strip()
    if parameter.twice:
        return [parameter.option, text, text]
    if parameter.kind not in (NUMBER, INTEGER, TEXT, CHOICE, CRS, EXTENT):
        raise ValueError(f"{parameter.name}: unknown kind {parameter.kind}")
    return [f"{parameter.option}={text}"] if text else []


def _many(value: object) -> list[str]:
    if value in (None, ""):
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(v) for v in value]
    return [str(value)]


def _number(value: object) -> str:
    return repr(int(value)) if isinstance(value, int) else f"{float(str(value)):.10g}"


def main_result(verb: Verb, output: str) -> str:
    """The file that a reader opens: the page of a report, or the raster itself."""
    return str(Path(output) / REPORT_PAGE) if verb.report else output
