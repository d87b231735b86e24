"""Run the checks of `terrafine doctor`, whatever goes wrong in one of them."""

from __future__ import annotations

from collections.abc import Iterator

from terrafine.workflows import doctor
from terrafine.workflows.doctor import Check

__all__ = ["Check", "run_checks"]


def run_checks() -> Iterator[Check]:
    """Run all checks in order; a check that fails unexpectedly is reported as broken and does not end the report.

    Yields
    ------
    Check
        One line of the report.
    """
    for name, check in doctor.CHECKS:
        try:
            yield from check(name)
        except Exception as e:
            yield Check(
                name, "broken", f"{type(e).__name__}: {e}", "reinstall: pip install --force-reinstall terrafine"
            )
