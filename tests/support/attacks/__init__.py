"""Awkward inputs, by kind, each with what is right: a true result, or a refusal.

`python -m benchmarks.right_or_refused` counts them for docs/right-or-refused.md; tests/cli/test_right_or_refused.py
runs each of them.
"""
