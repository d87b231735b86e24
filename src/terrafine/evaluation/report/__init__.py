"""The report: one self-contained page and its tables, rendered from `results.json` and a few small arrays."""
