"""What a campaign costs: its plan, the overhead of a tile on Dask, workers, and sums for 2.2 million km²."""

from __future__ import annotations

from benchmarks.common import RESULTS as _ALL

RESULTS = _ALL / "campaign"
