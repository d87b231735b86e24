"""Weights files: safetensors with the spec in the header, the only format that is ever loaded."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

from terrafine.atomic import write_whole
from terrafine.errors import WeightsError
from terrafine.nn.spec import ModelSpec
from terrafine.schema.check import build, conform
from terrafine.schema.files import open_without_waiting, parse_json
from terrafine.schema.types import Items, Matches, Within, shown

if TYPE_CHECKING:
    import torch

__all__ = ["Layout", "digest", "layout", "load", "read_spec", "read_tensors", "save"]

_SPEC_KEY = "terrafine"
_MAX_HEADER = 4_000_000  # a spec is a few kB; a header of more is an attack or damage
_MAX_FILE = 2_000_000_000
_TensorName = Annotated[str, Matches(r"[A-Za-z0-9_.\-]{1,300}", "the name of a tensor: letters, digits, dots, dashes")]
_Offset = Annotated[int, Within(0, _MAX_FILE)]

Layout = Mapping[str, tuple[str, tuple[int, ...]]]
"""Name of a tensor -> its type as safetensors calls it, and its shape."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a safetensors header states of one tensor."""

    dtype: Literal["F32", "F16", "BF16", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL"]
    shape: Annotated[tuple[_Offset, ...], Items(0, 8)]
    data_offsets: tuple[_Offset, _Offset]


def digest(path: str | os.PathLike[str]) -> str:
    """Compute the SHA-256 of a file.

    Parameters
    ----------
    path
        File to read.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    OSError
        Where the file cannot be read.
    """
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def read_spec(path: str | os.PathLike[str]) -> ModelSpec:
    """Read the spec from the header of a weights file, without reading tensors or running code.

    Parameters
    ----------
    path
        Safetensors file.

    Returns
    -------
    ModelSpec
        The spec.

    Raises
    ------
    WeightsError
        For a file that is not a safetensors file with a Terrafine spec.
    """
    path = Path(path)
    metadata = _header(path)[0]
    if not isinstance(metadata, dict) or _SPEC_KEY not in metadata:
        raise WeightsError(
            f"{path}: safetensors without a Terrafine spec; expected the key {_SPEC_KEY!r} in its header"
        )
    return ModelSpec.from_json(str(metadata[_SPEC_KEY]), where=str(path))


def load(path: str | os.PathLike[str]) -> tuple[ModelSpec, dict[str, torch.Tensor]]:
    """Read the spec and the tensors of a weights file.

    Parameters
    ----------
    path
        Safetensors file.

    Returns
    -------
    tuple[ModelSpec, dict[str, torch.Tensor]]
        Spec, and tensors by name.

    Raises
    ------
    WeightsError
        For a damaged file, or a value that is not finite.
    """
    return read_spec(path), read_tensors(path)


def read_tensors(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Read the tensors of a safetensors file, with or without a spec.

    Parameters
    ----------
    path
        Safetensors file.

    Returns
    -------
    dict[str, torch.Tensor]
        Tensors by name.

    Raises
    ------
    WeightsError
        For a damaged file, or a value that is not finite.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _header(Path(path))
    try:
        tensors = load_file(os.fspath(path))
    except (SafetensorError, ValueError, KeyError) as e:
        raise WeightsError(f"{path}: damaged safetensors ({shown(str(e), 200)}); fetch the file again") from e
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{path}: tensor {name!r} holds NaN or infinity; such weights are never run")
    return tensors


def layout(path: str | os.PathLike[str]) -> Layout:
    """Read the types and shapes of the tensors from the header of a weights file.

    Parameters
    ----------
    path
        Safetensors file.

    Returns
    -------
    Layout
        Types and shapes by name.

    Raises
    ------
    WeightsError
        For a file that is not a whole safetensors file.
    """
    return {name: (entry.dtype, entry.shape) for name, entry in _header(Path(path))[1].items()}


def save(path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], spec: ModelSpec) -> None:
    """Write a weights file, completely or not at all.

    Parameters
    ----------
    path
        File to write.
    tensors
        Tensors by name.
    spec
        Spec, stored in the header.

    Raises
    ------
    OSError
        Where the file cannot be written.
    """
    from safetensors.torch import save as to_bytes

    data = to_bytes(
        {k: v.detach().contiguous().cpu() for k, v in tensors.items()}, metadata={_SPEC_KEY: spec.to_json()}
    )
    write_whole(path, data)


def _header(path: Path) -> tuple[Mapping[str, Any], dict[str, _Entry]]:
    """The metadata, and what is stated of each tensor."""
    try:
        with open_without_waiting(path) as f:
            state = os.fstat(f.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise WeightsError(f"{path}: is not a plain file; expected a safetensors file")
            text, size = _header_text(path, f, state.st_size), state.st_size
    except OSError as e:
        raise WeightsError(f"{path}: cannot be read ({e.strerror}); expected a safetensors file") from e
    except ValueError as e:
        raise WeightsError(f"{shown(str(path))}: cannot be read ({e}); expected a safetensors file") from e
    metadata, entries = _parsed(path, text)
    _check_extent(path, entries, size - 8 - len(text))
    return dict(metadata), dict(entries)


@lru_cache(maxsize=32)
def _parsed(path: Path, text: bytes) -> tuple[Mapping[str, Any], Mapping[str, _Entry]]:
    """The checked header; the search for a model reads those of all weights, each several times."""
    header = parse_json(text, f"{path}: safetensors header", WeightsError, "the header of a safetensors file")
    if not isinstance(header, dict):
        raise WeightsError(f"{path}: no safetensors header; fetch the file again")
    metadata = header.pop("__metadata__", {})
    where = f"{path}: [tensors]"
    conform(Mapping[_TensorName, Any], dict.fromkeys(header), where, WeightsError)
    entries = {name: build(_Entry, entry, f"{where} {name}", WeightsError) for name, entry in header.items()}
    return metadata if isinstance(metadata, dict) else {}, entries


def _header_text(path: Path, file: BinaryIO, size: int) -> bytes:
    head, first = file.read(8), file.read(1)
    file.seek(8)
    length = int.from_bytes(head, "little")
    # A header's length may begin with these bytes too, but then the header itself follows.
    if (head[:2] == b"PK" or head[:1] == b"\x80") and first != b"{":
        raise WeightsError(f"{path}: a pickle or zip archive; only safetensors is ever loaded. Convert it yourself")
    if len(head) < 8 or not 2 <= length <= min(_MAX_HEADER, size - 8) or size > _MAX_FILE:
        raise WeightsError(f"{path}: no safetensors, or truncated (header of {length} bytes in a file of {size})")
    return file.read(length)


def _check_extent(path: Path, entries: Mapping[str, _Entry], body: int) -> None:
    end = max((entry.data_offsets[1] for entry in entries.values()), default=0)
    if end != body:
        raise WeightsError(
            f"{path}: truncated or padded: {body} bytes of tensors, expected {end}; fetch the file again"
        )
