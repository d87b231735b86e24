"""Hostile files of settings, and what comes of reading one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from terrafine.errors import TerrafineError
from terrafine.schema.types import CONTROL
from tests.support.mutants import mutants, to_toml, torn

__all__ = ["as_json", "as_toml", "hostile", "outcome"]


def outcome(read: Callable[[], object]) -> str:
    """`read`, or the kind of the refusal; its message steers no terminal. Any other exception ends the test."""
    try:
        read()
    except TerrafineError as error:
        assert not CONTROL.search(str(error)), ascii(str(error))
        assert len(str(error)) < 3_000
        return type(error).__name__
    return "read"


def hostile(record: dict[str, Any], write: Callable[[Any], bytes], count: int, seed: int) -> list[tuple[str, bytes]]:
    """Changed and torn variants of a record as written files, each with what was done to it."""
    changed = [(m.label, write(m.record)) for m in mutants(record, count, seed)]
    return changed + torn(write(record), count // 2, seed)


def as_json(record: Any) -> bytes:
    """The record as a JSON file."""
    return json.dumps(record).encode()


def as_toml(record: Any) -> bytes:
    """The record as a TOML file."""
    return to_toml(record).encode()
