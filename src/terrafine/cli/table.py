"""Plain aligned columns for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["columns"]


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text with aligned columns: text to the left, numbers to the right.

    Parameters
    ----------
    header
        Names of the columns.
    rows
        Cells of each row.

    Returns
    -------
    str
        One line per row.
    """
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    numeric = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    )


def _is_number(text: str) -> bool:
    return not text or text == "-" or text[0].isdigit() or (text[0] in "+-×" and text[1:2].isdigit())
