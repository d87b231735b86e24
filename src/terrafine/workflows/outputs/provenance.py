"""Provenance of a run: the request that a resumed run must match, and the tags of its output."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.version import __version__
from terrafine.workflows.device import device_label

if TYPE_CHECKING:
    from terrafine.raster.products import Resolved
    from terrafine.systems import ModelRef

__all__ = ["bytes_per_cell", "product_tags", "request_of", "tags_of"]


def request_of(ref: ModelRef, inputs: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return everything that determines the bytes of the output, as plain JSON.

    Parameters
    ----------
    ref
        The model.
    inputs
        Identity of the source.
    more
        Further parts of the request.

    Returns
    -------
    dict
        The request.
    """
    request = {
        "inputs": inputs,
        "model": {"spec": json.loads(ref.spec.to_json()), "weights_sha256": ref.sha256},
        "options": dataclasses.asdict(ref.options) | {"device": ref.options.device.partition(":")[0]},
        "software": {"terrafine": __version__, ref.options.engine: _version(ref.options.engine)},
        **more,
    }
    return dict(json.loads(json.dumps(request, default=str)))


def tags_of(ref: ModelRef, inputs: Mapping[str, Any], **more: Any) -> dict[str, str]:
    """Return the tags of an output that state software, model and source.

    Parameters
    ----------
    ref
        The model.
    inputs
        Identity of the source.
    more
        Further tags; None and empty values are left out.

    Returns
    -------
    dict
        Tag to text.
    """
    covers = ref.spec.calibration if any(name.endswith("_sigma") for name in ref.spec.outputs) else {}
    tags = {
        "VERSION": __version__,
        "MODEL": f"{ref.spec.name} {ref.spec.version}",
        "SYSTEM": ref.spec.system,
        "WEIGHTS_SHA256": ref.sha256,
        "SOURCE": ", ".join(Path(file["path"]).name for file in inputs["files"][:20]),
        "SOURCE_SHA256": inputs["sha256"],
        "DEVICE": device_label(ref.options.device),
        "PRECISION": ref.options.precision,
        "SIGMA_COVERS": " ".join(f"{p}:{m:.4g}" for p, m in covers.items() if p[0].isdigit()),
        **more,
    }
    return {name: str(value) for name, value in tags.items() if value not in (None, "")}


def product_tags(resolved: Resolved) -> dict[str, str]:
    """Return the tags of an output that state the product of its input: key, how it was found, sensor model, noise.

    Parameters
    ----------
    resolved
        The product of the input.

    Returns
    -------
    dict
        Tag to text.
    """
    sensor = dataclasses.asdict(resolved.product.sensor)
    level = {"PRODUCT_NOISE": resolved.level} if resolved.level else {}
    return level | {
        "PRODUCT": resolved.product.key,
        "PRODUCT_FOUND": resolved.how,
        "PRODUCT_SENSOR": " ".join(f"{name}={float(value):g}" for name, value in sensor.items()),
    }


def bytes_per_cell(ref: ModelRef, otherwise: int) -> int:
    """Return the working memory per input cell that the weights state.

    Parameters
    ----------
    ref
        The model.
    otherwise
        Value for weights that state none.

    Returns
    -------
    int
        Bytes.
    """
    return int(ref.spec.provenance.get("bytes_per_cell", otherwise))


def _version(package: str) -> str:
    try:
        return version("onnxruntime" if package == "onnx" else package)
    except PackageNotFoundError:
        return "absent"
