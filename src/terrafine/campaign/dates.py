"""Dates as campaigns state them: a year, a month or a day."""

from __future__ import annotations

import datetime
import re

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


def day(text: str, *, last: bool) -> datetime.date:
    """The first or last day of a year, month or day as written in a file of settings.

    Parameters
    ----------
    text
        `2023`, `2023-04` or `2023-04-15`.
    last
        The last day of the year or month instead of the first.

    Raises
    ------
    ValueError
        If the text is not a date.
    """
    match = _DATE.fullmatch(text)
    year, month, day = match.groups() if match else (None, None, None)
    if year is None:
        raise ValueError(f"{text} is not a date")
    if day is not None:
        return datetime.date(int(year), int(month or 1), int(day))
    if not last:
        return datetime.date(int(year), int(month or 1), 1)
    first = datetime.date(int(year), int(month or 12), 1)
    following = datetime.date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return following - datetime.timedelta(days=1)
