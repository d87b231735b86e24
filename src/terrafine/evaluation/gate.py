"""Gates: limits on the numbers of an evaluation, for a pipeline that must stop at a bad surface.

    [max]
    elevation.rmse = 5.0
    consistency.max_abs = 0.01
    [min]
    hydrology.d8.agreement = 0.6
    hydrology.streams.0.overlap.1.f1 = 0.8        # lists by position, from 0
    [is]
    verdict.better = true

The keys are those of a candidate in `results.json`. Every candidate must pass every gate; what was not measured does
not pass.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from terrafine.errors import GateError, SourceError, UsageError
from terrafine.schema.check import conform
from terrafine.schema.files import read_toml
from terrafine.schema.types import Matches, shown

__all__ = ["Gate", "check", "load_gates", "measured", "raise_unless_passed"]

_KINDS = {"max": "at most", "min": "at least", "is": "exactly"}
_Key = Annotated[str, Matches(r"[A-Za-z0-9_ +-]{1,100}(?:\.[A-Za-z0-9_ +-]{1,100}){0,15}", "keys joined by dots")]
_MOST = 1_000


@dataclass(frozen=True)
class Gate:
    """One limit on the results.

    Attributes
    ----------
    kind
        `max`, `min` or `is`.
    key
        Path of a number in a candidate of `results.json`, joined by dots.
    limit
        The largest, smallest or exact value.
    """

    kind: str
    key: str
    limit: float | bool

    def passes(self, value: Any) -> bool:
        """Return whether a measured value passes.

        Parameters
        ----------
        value
            The value.

        Returns
        -------
        bool
            False for None and for what is not a number.
        """
        if self.kind == "is":
            return value is not None and bool(value == self.limit)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return value <= self.limit if self.kind == "max" else value >= self.limit


def load_gates(path: str | os.PathLike[str]) -> list[Gate]:
    """Read the gates of a TOML file, in its order.

    Parameters
    ----------
    path
        The file, with tables [max], [min] and [is].

    Returns
    -------
    list of Gate
        The gates.

    Raises
    ------
    SourceError
        If the file cannot be read as TOML.
    UsageError
        If it holds no gate, or something else.
    """
    tables = read_toml(path, SourceError, "a TOML file with tables [max], [min] and [is]")
    gates = []
    for kind, table in tables.items():
        if kind not in _KINDS or not isinstance(table, dict):
            raise UsageError(f"{path}: found {shown(kind)}; expected the tables [max], [min] and [is] only")
        for key, limit in _flat(table):
            conform(_Key, key, f"{path}: [{kind}] the key", UsageError)
            conform(float | bool if kind == "is" else float, limit, f"{path}: [{kind}] {key}", UsageError)
            gates.append(Gate(kind, key, limit))
    if not 0 < len(gates) <= _MOST:
        count = len(gates) or "no"
        raise UsageError(
            f"{path}: holds {count} gate; expected 1 to {_MOST}, for example [max] with elevation.rmse = 5.0"
        )
    return gates


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def check(results: Mapping[str, Any], gates: Sequence[Gate]) -> list[dict[str, Any]]:
    """Check each gate on each candidate.

    Parameters
    ----------
    results
        Content of results.json.
    gates
        The gates.

    Returns
    -------
    list of dict
        candidate, kind, key, limit, value (None if not measured) and passed.

    Raises
    ------
    UsageError
        If a candidate lacks a key, or the key leads to a group of numbers.
    """
    found = []
    for candidate in results["candidates"]:
        for gate in gates:
            value = _value(candidate, gate.key)
            found.append(
                {"candidate": candidate["name"], "kind": gate.kind, "key": gate.key, "limit": gate.limit}
                | {"value": value, "passed": gate.passes(value)}
            )
    return found


def _value(candidate: Mapping[str, Any], key: str) -> Any:
    """None below a part that was not measured."""
    value: Any = candidate
    done: list[str] = []
    for step in key.split("."):
        if value is None:
            return None
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, ValueError, IndexError, TypeError) as e:
            keys = range(len(value)) if isinstance(value, list) else value if isinstance(value, Mapping) else ()
            raise UsageError(
                f"gate {key!r}: {'.'.join(done) or 'a candidate'} has no {step!r}; it has {', '.join(map(str, keys))}"
            ) from e
        done.append(step)
    if isinstance(value, (Mapping, list)):
        raise UsageError(f"gate {key!r}: leads to a part, not to a number; see results.json")
    return value


def measured(value: float | bool | None) -> str:
    """Return a measured value of a gate as text with four digits.

    Parameters
    ----------
    value
        The value; None if not measured.

    Returns
    -------
    str
        The text.
    """
    return "not measured" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def raise_unless_passed(checks: Sequence[Mapping[str, Any]]) -> None:
    """Raise an error that names every gate that was not passed, if there is one.

    Parameters
    ----------
    checks
        What `check` returns.

    Raises
    ------
    GateError
        If a gate was not passed.
    """
    failed = [c for c in checks if not c["passed"]]
    if failed:
        lines = [
            f"{c['candidate']}: {c['key']} is {measured(c['value'])}, expected {_KINDS[c['kind']]} {c['limit']}"
            for c in failed
        ]
        raise GateError(f"{len(failed)} of {len(checks)} gates not passed. " + "; ".join(lines))
