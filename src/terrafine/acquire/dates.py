"""Ranges of dates as users write them: `2023-04/2023-10`, a year, a month or a day."""

from __future__ import annotations

import calendar
import datetime as dt
import re

from terrafine.errors import UsageError

__all__ = ["day_number", "parse_dates"]

_FORM = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")
_FIRST = dt.date(1970, 1, 1)
_EXPECTED = "expected FROM/TO or one of them, as 2023-04/2023-10, 2023-06-15 or 2023"


def parse_dates(text: str) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of a range, both included.

    Parameters
    ----------
    text
        `FROM/TO`, each a year, a month or a day; or one alone, which is a range too.

    Returns
    -------
    first, last : date

    Raises
    ------
    UsageError
        For another form, a date that no calendar has, or an end before its start.
    """
    parts = [part.strip() for part in text.split("/")]
    if len(parts) > 2:
        raise UsageError(f"dates {text!r}: {_EXPECTED}")
    spans = [_span(part, text) for part in parts]
    first, last = spans[0][0], spans[-1][1]
    if last < first:
        raise UsageError(f"dates {text!r}: run backwards: they end before they begin; expected FROM/TO in this order")
    return first, last


def _span(part: str, text: str) -> tuple[dt.date, dt.date]:
    match = _FORM.fullmatch(part)
    if match is None:
        raise UsageError(f"dates {text!r}: {_EXPECTED}")
    year, month, day = (None if g is None else int(g) for g in match.groups())
    try:
        first = dt.date(year or 0, month or 1, day or 1)
    except ValueError as error:
        raise UsageError(f"dates {text!r}: {part} is not a date ({error}); {_EXPECTED}") from None
    if day is not None:
        return first, first
    if month is not None:
        return first, dt.date(first.year, month, calendar.monthrange(first.year, month)[1])
    return first, dt.date(first.year, 12, 31)


def day_number(day: dt.date) -> int:
    """Return the days from 1970-01-01 to a date, as the band `date` of a composite holds them.

    Parameters
    ----------
    day
        The date.

    Returns
    -------
    int
        Days.
    """
    return (day - _FIRST).days
