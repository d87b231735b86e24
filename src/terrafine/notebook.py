"""What a notebook shows of a report: its fields as a table."""

from __future__ import annotations

import dataclasses
from html import escape
from typing import Any

__all__ = ["table_of"]

_UNITS = {"_m": "m", "_bytes": "bytes", "_share": "of the valid cells", "_deg": "°"}


def table_of(report: Any) -> str:
    """Return the fields of a report as an HTML table.

    Parameters
    ----------
    report
        An instance of a dataclass.

    Returns
    -------
    str
        HTML that loads nothing.
    """
    rows = []
    for field in dataclasses.fields(report):
        name, value = field.name, getattr(report, field.name)
        empty = value is None or (isinstance(value, str | tuple | list) and not value)
        if field.repr and not empty:
            unit = next((word for ending, word in _UNITS.items() if name.endswith(ending)), "")
            plain = next((name.removesuffix(ending) for ending in _UNITS if name.endswith(ending)), name)
            label = plain.replace("_", " ") + (f" ({unit})" if unit else "")
            rows.append(f"<tr><th style='text-align:left'>{escape(label)}</th><td>{_cell(value)}</td></tr>")
    return f"<table><caption>{escape(type(report).__name__)}</caption><tbody>{''.join(rows)}</tbody></table>"


def _cell(value: Any) -> str:
    """A value as HTML: several texts as lines, numbers with four digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | tuple | list):
        return escape(str(value))
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    between = "<br>" if any(isinstance(v, str) for v in value) else ", "
    return between.join(_cell(v) for v in value)
