"""Weights files as a stranger would forge them: the spec, the tensors, the header or the bytes are changed."""

from __future__ import annotations

import copy
import json
import random
import struct
from pathlib import Path
from typing import Any

from tests.support.mutants import mutants, torn

__all__ = ["forged", "safetensors"]


def safetensors(header: dict[str, Any], body: bytes) -> bytes:
    """The bytes of a safetensors file."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


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
