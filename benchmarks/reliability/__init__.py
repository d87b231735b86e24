"""Attacks on Terrafine, counted: `python -m benchmarks.reliability FAMILY...`, see `__main__`."""

from __future__ import annotations

from typing import Any

from benchmarks.common import ROOT

__all__ = ["RESULTS", "Record"]

RESULTS = ROOT / "benchmarks/results/reliability"
"""One JSON file for each family of attacks."""

Record = dict[str, Any]
"""`tried`, `failures` (one line each), and what else a family counts."""
