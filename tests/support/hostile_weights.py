"""Weights files as a stranger would forge them: the spec, the tensors, the header or the bytes are changed."""

from __future__ import annotations

import copy
import json
import random
import struct
from pathlib import Path
from typing import Any

from tests.support.mutants import mutants, torn

__all__ = ["by_hand", "forged", "safetensors", "with_other_numbers"]


def safetensors(header: dict[str, Any], body: bytes) -> bytes:
    """The bytes of a safetensors file."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def by_hand(path: Path) -> dict[str, bytes]:
    """Forgeries of a weights file that no change at random finds; none may be loaded."""
    header, body = _parts(path)
    first, second = [name for name in header if name != "__metadata__"][:2]
    entries = {name: value for name, value in header.items() if name != first}
    end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")

    def changed(name: str, **values: Any) -> bytes:
        return safetensors(header | {name: header[name] | values}, body)

    def named(name: str) -> bytes:
        return safetensors(entries | {name: header[first]}, body)

    def described(value: Any) -> bytes:
        return safetensors(entries | {first: header[first], "__metadata__": value}, body)

    twice = json.dumps(header)[:-1] + f", {json.dumps(first)}: {json.dumps(header[second])}}}"
    spec = header["__metadata__"]["terrafine"]
    found = {
        "a name twice": struct.pack("<Q", len(twice)) + twice.encode() + body,
        "offsets overlap": changed(second, data_offsets=header[first]["data_offsets"]),
        "offsets beyond the end": changed(first, data_offsets=[end, end + 4]),
        "offsets turned round": changed(first, data_offsets=header[first]["data_offsets"][::-1]),
        "offsets negative": changed(first, data_offsets=[-4, 0]),
        "offsets of 64 bits": changed(first, data_offsets=[0, 2**64 - 1]),
        "shape of 2^64 cells": changed(first, shape=[2**32, 2**32]),
        "bytes behind the last tensor": path.read_bytes() + bytes(1000),
        "no header": bytes(8),
        "header of 2^63 bytes": struct.pack("<Q", 2**63) + body,
        "header of 100 MB": struct.pack("<Q", 10**8) + b"{" + b" " * 10**8,
        "header 10,000 deep": struct.pack("<Q", 20_000) + b"[" * 10_000 + b"]" * 10_000,
    }
    found |= {f"dtype {name}": changed(first, dtype=name) for name in ("F8_E4M3", "F8_E5M2", "C64", "BOOL", "F99", 7)}
    names = ("a\0b", "../../etc/passwd", "/etc/passwd", "C:\\a", "", "a" * 10**6)
    found |= {f"a tensor named {name[:20]!r}": named(name) for name in names}
    others: tuple[Any, ...] = ([], "text", 7, None, {"terrafine": 7}, {"terrafine": [spec]}, {"terrafine": None}, {})
    found |= {f"metadata number {i}": described(value) for i, value in enumerate(others)}
    return found


def with_other_numbers(path: Path) -> dict[str, bytes]:
    """Each tensor of whole numbers with one that is negative or huge, where a network expects the number of a thing."""
    header, body = _parts(path)
    found = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in ("I32", "I64"):
            continue
        start, kind = entry["data_offsets"][0], {"I32": "<i", "I64": "<q"}[entry["dtype"]]
        for number in (-1, -(2**31), 10_000, 2**31 - 1):
            changed = bytearray(body)
            struct.pack_into(kind, changed, start, number)
            found[f"{number} in {name}"] = safetensors(header, bytes(changed))
    return found


def forged(path: Path, count: int, seed: int) -> list[tuple[str, bytes]]:
    """So many forgeries of a weights file: half of the spec, a quarter of the header, a quarter of the bytes."""
    header, body = _parts(path)
    spec = json.loads(header["__metadata__"]["terrafine"])
    rng, found = random.Random(seed), []
    for mutant in mutants(spec, count // 2, seed):
        other = copy.deepcopy(header)
        other["__metadata__"]["terrafine"] = json.dumps(mutant.record)
        found.append((f"spec, {mutant.label}", safetensors(other, body)))
    found += [(f"header, {m.label}", safetensors(m.record, body)) for m in mutants(header, count // 4, seed)]
    found += [(f"bytes, {label}", data) for label, data in torn(path.read_bytes(), (count - len(found)) // 2, seed)]
    names = [name for name in header if name != "__metadata__"]
    while len(found) < count:
        other, changed = copy.deepcopy(header), bytearray(body)
        name = rng.choice(names)
        entry = other[name]
        kind = rng.choice(("nan", "dtype", "renamed", "shape"))
        if kind == "nan":
            start = entry["data_offsets"][0]
            changed[start : start + 4] = struct.pack("<f", rng.choice((float("nan"), float("inf"))))
        elif kind == "dtype":
            entry["dtype"] = rng.choice(("I32", "F16", "BF16", "I64", "U8", "F99"))
        elif kind == "renamed":
            other[name + ".\x1b[2J"] = other.pop(name)
        else:
            entry["shape"] = [int(n) for n in reversed(entry["shape"])] + [1]
        found.append((f"tensor, {kind} of {name}", safetensors(other, bytes(changed))))
    return found
