"""The result of `evaluate`: verdict, tables as DataFrames, the report as one page, and what a notebook shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from terrafine.errors import MissingExtraError

__all__ = ["Evaluation"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of `evaluate`.

    Attributes
    ----------
    kind
        What the candidates hold: elevation, classes or image.
    results
        The content of results.json.
    files
        The files that were written.
    figures
        What the pictures of the report are drawn from; None where no report was written.
    """

    kind: str
    results: Mapping[str, Any]
    files: tuple[Path, ...] = ()
    figures: Any = field(default=None, repr=False, compare=False)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return str(self.results["verdict"]["sentence"])

    @property
    def tables(self) -> dict[str, Any]:
        """Every table of the report as a pandas.DataFrame, by the name of its CSV; raises MissingExtraError."""
        try:
            import pandas as pd
        except ImportError as e:
            raise MissingExtraError("tables as DataFrames need an extra: pip install 'terrafine[evaluate]'") from e
        texts = self._texts()
        csvs = {name.removesuffix(".csv"): text for name, text in texts.items() if name.endswith(".csv")}
        return {name: pd.read_csv(io.StringIO(text)) for name, text in csvs.items()}

    def to_html(self) -> str:
        """Return the report as one page that loads nothing; with pictures where a report was written."""
        return self._texts()["index.html"]

    def _texts(self) -> dict[str, str]:
        from terrafine.evaluation.report import report_texts

        return report_texts(self.results, self.figures)

    def _repr_html_(self) -> str:
        """The verdict and the first table, for notebooks."""
        texts = self._texts()
        rows = list(csv.reader(io.StringIO(next(text for name, text in texts.items() if name.endswith(".csv")))))
        head, *body = [
            "".join(f"<{'td' if i else 'th'}>{escape(c)}</{'td' if i else 'th'}>" for c in row)
            for i, row in enumerate(rows)
        ]
        table = "".join(f"<tr>{row}</tr>" for row in body)
        return f"<p>{escape(self.sentence)}</p><table><thead><tr>{head}</tr></thead><tbody>{table}</tbody></table>"

    def raise_unless_passed(self) -> None:
        """Raise GateError naming every gate that was not passed."""
        from terrafine.evaluation.gate import raise_unless_passed

        raise_unless_passed(self.results.get("gates", []))
