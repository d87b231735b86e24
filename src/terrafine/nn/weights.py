"""Weights files: safetensors with the spec in the header, the only format that is ever loaded."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from terrafine.atomic import write_whole
from terrafine.errors import WeightsError
from terrafine.nn.spec import ModelSpec

if TYPE_CHECKING:
    import torch

__all__ = ["digest", "load", "read_spec", "save"]

_SPEC_KEY = "terrafine"
_MAX_HEADER = 10_000_000  # a spec is a few kB; a header of more is an attack or damage
_MAX_FILE = 2_000_000_000


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
    metadata = _header(path).get("__metadata__", {})
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
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    spec = read_spec(path)
    try:
        tensors = load_file(os.fspath(path))
    except (SafetensorError, ValueError) as e:
        raise WeightsError(f"{path}: damaged safetensors ({e}); fetch the file again") from e
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{path}: tensor {name!r} holds NaN or infinity; such weights are never run")
    return spec, tensors


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


def _header(path: Path) -> dict[str, object]:
    try:
        with open(path, "rb") as f:
            size = os.fstat(f.fileno()).st_size
            head, first = f.read(8), f.read(1)
            f.seek(8)
            length = int.from_bytes(head, "little")
            # A header's length may begin with these bytes too, but then the header itself follows.
            if (head[:2] == b"PK" or head[:1] == b"\x80") and first != b"{":
                raise WeightsError(
                    f"{path}: a pickle or zip archive; only safetensors is ever loaded. Convert it yourself"
                )
            if len(head) < 8 or not 2 <= length <= min(_MAX_HEADER, size - 8) or size > _MAX_FILE:
                raise WeightsError(
                    f"{path}: no safetensors, or truncated (header of {length} bytes in a file of {size})"
                )
            header = json.loads(f.read(length))
    except OSError as e:
        raise WeightsError(f"{path}: cannot be read ({e.strerror}); expected a safetensors file") from e
    except (ValueError, RecursionError) as e:
        raise WeightsError(f"{path}: no safetensors header ({e}); fetch the file again") from e
    if not isinstance(header, dict):
        raise WeightsError(f"{path}: no safetensors header")
    _check_extent(path, header, size - 8 - length)
    return header


def _check_extent(path: Path, header: dict[str, object], body: int) -> None:
    try:
        ends = [int(e["data_offsets"][1]) for k, e in header.items() if k != "__metadata__"]  # type: ignore[index]
    except (TypeError, KeyError, IndexError, ValueError) as e:
        raise WeightsError(f"{path}: no safetensors header (a tensor without its place); fetch the file again") from e
    if max(ends, default=0) != body:
        raise WeightsError(
            f"{path}: truncated or padded: {body} bytes of tensors, expected {max(ends, default=0)}; "
            "fetch the file again"
        )
