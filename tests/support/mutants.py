"""Hostile variants of a file of settings: each changes one thing at one place, drawn from a seed."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["KINDS", "Mutant", "mutants", "to_toml", "torn"]

NAMES = (
    "../../../etc/passwd",
    "/etc/passwd",
    "a\x00b",
    "\x1b[31mred\x1b[0m",
    "x" * 5_000,
    "",
    "**/*",
    "~",
    "a\nb",
    "\u202e",
)
HUGE = (2**31, 2**63, 10**18, 10**400, 1e308, 10**9)
DEPTH = 90


@dataclass(frozen=True, slots=True)
class Mutant:
    """One variant: what was done where, and the record."""

    label: str
    record: Any


def mutants(record: Any, count: int, seed: int) -> list[Mutant]:
    """So many variants of a JSON-like record; every kind comes in turn, its place and its value are drawn."""
    rng = random.Random(seed)
    found: list[Mutant] = []
    nth = 0
    while len(found) < count:
        kind = list(KINDS)[nth % len(KINDS)]
        nth += 1
        other = copy.deepcopy(record)
        if (what := KINDS[kind](other, rng)) is not None:
            found.append(Mutant(f"{kind}: {what}", other))
    return found


def _places(record: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """Each (container, key, path)."""
    items = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    for key, value in list(items):
        yield record, key, (*path, key)
        yield from _places(value, (*path, key))


def _pick(record: Any, rng: random.Random, wanted: Any = object) -> tuple[Any, Any, str] | None:
    """A place whose value is of a type; short paths are as likely as long ones in sum."""
    found = [p for p in _places(record) if isinstance(p[0][p[1]], wanted)]
    if not found:
        return None
    depth = rng.choice(sorted({len(p[2]) for p in found}))
    holder, key, path = rng.choice([p for p in found if len(p[2]) == depth])
    return holder, key, ".".join(map(str, path))[:100]


def _set(record: Any, rng: random.Random, wanted: Any, value: Any) -> str | None:
    place = _pick(record, rng, wanted)
    if place is None:
        return None
    holder, key, path = place
    holder[key] = value(holder[key]) if callable(value) else value
    return f"{path} = {str(holder[key])[:60]!r}"


def _drop(record: Any, rng: random.Random) -> str | None:
    place = _pick(record, rng)
    if place is None:
        return None
    del place[0][place[1]]
    return place[2]


def _swap(record: Any, rng: random.Random) -> str | None:
    others = ["text", 7, 1.5, True, [], [1, "a", {}], {}, {"a": {"b": [1]}}, -3, [[1.0, 2.0]]]
    return _set(record, rng, object, rng.choice(others))


def _number(*choices: Any) -> Any:
    return lambda record, rng: _set(record, rng, (int, float), rng.choice(choices))


def _negative(record: Any, rng: random.Random) -> str | None:
    return _set(record, rng, (int, float), lambda v: -abs(v) - rng.choice((0, 1)))


def _nested(record: Any, rng: random.Random) -> str | None:
    deep: Any = 1
    for _ in range(DEPTH):
        deep = rng.choice(({"a": deep}, [deep]))
    return _set(record, rng, object, deep)


def _unknown(record: Any, rng: random.Random) -> str | None:
    tables = [record, *(h[k] for h, k, _ in _places(record) if isinstance(h[k], dict))]
    name = rng.choice(("unknown", "__class__", "self", "scale", "kind", "\x1b[2J", "a" * 300, "steps", "../x"))
    rng.choice(tables)[name] = rng.choice((1, "x", [], {"y": 2.0}, math.nan))
    return repr(name)[:40]


def _longer(record: Any, rng: random.Random) -> str | None:
    return _set(record, rng, list, lambda v: rng.choice((v * 2, v[:-1], [], v * 1_000, [v, v])))


def _name(record: Any, rng: random.Random) -> str | None:
    return _set(record, rng, str, rng.choice(NAMES))


def _rename(record: Any, rng: random.Random) -> str | None:
    place = _pick(record, rng)
    if place is None or not isinstance(place[0], dict):
        return None
    name = rng.choice(NAMES)
    place[0][name] = place[0].pop(place[1])
    return f"{place[2]} -> {name[:40]!r}"


KINDS: dict[str, Any] = {
    "dropped": _drop,
    "another type": _swap,
    "not finite": _number(math.nan, math.inf, -math.inf),
    "huge": _number(*HUGE),
    "negative": _negative,
    "zero": _number(0, 0.0),
    "nested": _nested,
    "unknown key": _unknown,
    "another length": _longer,
    "hostile name": _name,
    "hostile key": _rename,
    "a little": _number(1, 2, 3, 0.5, 1e-300, 17),
}


def to_toml(record: dict[str, Any]) -> str:
    """TOML of a record, tables inline below the first level."""
    flat = [f"{_key(k)} = {_inline(v)}" for k, v in record.items() if not isinstance(v, dict)]
    for name, table in record.items():
        if isinstance(table, dict):
            flat.append(f"[{_key(name)}]")
            flat += [f"{_key(k)} = {_inline(v)}" for k, v in table.items()]
    return "\n".join(flat) + "\n"


def _key(key: Any) -> str:
    return _inline(str(key))


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf") if math.isinf(value) else repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def torn(data: bytes, count: int, seed: int) -> list[tuple[str, bytes]]:
    """So many variants of a file's bytes: cut short, bytes changed, parts repeated, brackets and text put in."""
    rng = random.Random(seed)
    found = []
    inserts = (
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b"\x00",
        b"9" * 5_000,
        b"a." * 20_000 + b"a = 1\n",
        b"NaN",
        b"seed = 0x" + b"f" * 5_000 + b"\n",
    )
    for nth in range(count):
        at = rng.randrange(len(data) + 1)
        kind = nth % 5
        if kind == 0:
            found.append((f"cut at {at}", data[:at]))
        elif kind == 1:
            changed = bytearray(data)
            for _ in range(rng.randint(1, 8)):
                changed[rng.randrange(len(data))] = rng.randrange(256)
            found.append(("bytes changed", bytes(changed)))
        elif kind == 2:
            put = inserts[nth // 5 % len(inserts)]
            found.append((f"{put[:6]!r} at {at}", data[:at] + put + data[at:]))
        elif kind == 3:
            stop = rng.randrange(at, len(data) + 1)
            found.append((f"{at}:{stop} twice", data[:stop] + data[at:stop] + data[stop:]))
        else:
            put = inserts[nth // 5 % len(inserts)]
            found.append((f"all {put[:6]!r}", put))
    return found
