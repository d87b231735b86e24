"""A model's spec as text, and as plain data for JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrafine.nn.spec import ModelSpec
    from terrafine.systems import ModelRef

__all__ = ["described", "described_spec", "model_text", "spec_text", "tree"]


def described(ref: ModelRef) -> dict[str, Any]:
    """Describe a model as plain data.

    Parameters
    ----------
    ref
        The model.

    Returns
    -------
    dict
        Its spec, kind and digest.
    """
    kind = "formula" if ref.path is None else "network"
    return {"kind": kind, **described_spec(ref.spec, None if ref.path is None else ref.sha256)}


def described_spec(spec: ModelSpec, sha256: str | None) -> dict[str, Any]:
    """Describe a spec and the digest of its weights as plain data.

    Parameters
    ----------
    spec
        The spec.
    sha256
        Digest of the weights, or None.

    Returns
    -------
    dict
        Both.
    """
    return {"sha256": sha256, **json.loads(spec.to_json())}


def model_text(ref: ModelRef) -> str:
    """Describe a model for people.

    Parameters
    ----------
    ref
        The model.

    Returns
    -------
    str
        Its lines.
    """
    return spec_text(ref.spec, "none: a formula" if ref.path is None else ref.sha256)


def spec_text(spec: ModelSpec, sha256: str) -> str:
    """Describe a spec for people.

    Parameters
    ----------
    spec
        The spec.
    sha256
        Digest of the weights, or what stands in its place.

    Returns
    -------
    str
        Its lines.
    """
    lines = [
        f"{spec.name} {spec.version} ×{spec.scale}, system {spec.system}",
        f"inputs      {', '.join(spec.inputs)}",
        f"outputs     {', '.join(spec.outputs)}",
        f"tiling      {spec.tiling}: tile {spec.tile}, halo {spec.halo}, multiple of {spec.multiple} (input cells)",
        f"network     {_pairs(spec.network)}",
        f"tolerance   {spec.tolerance_m:g} m RMS when mirrored or rotated",
        f"calibration {_pairs(spec.calibration)}",
        f"sha256      {sha256}",
        "provenance",
        *tree(spec.provenance),
    ]
    return "\n".join(lines)


def tree(mapping: Mapping[str, Any], indent: str = "  ") -> Iterator[str]:
    """Give one line for each value, mappings indented below their name.

    Parameters
    ----------
    mapping
        The values.
    indent
        Before each line.

    Yields
    ------
    str
        The lines.
    """
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{key}"
            yield from tree(value, indent + "  ")
        else:
            yield f"{indent}{key}: {value}"


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in mapping.items()) or "none"
