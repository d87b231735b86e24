"""A folder of attacks: nothing but a whole safetensors file with a spec and finite numbers is ever loaded."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as to_bytes

from terrafine.errors import WeightsError
from terrafine.nn import weights
from terrafine.nn.spec import ModelSpec

SPEC = ModelSpec("srcnn", "srcnn", "1.0", ("elevation",), ("elevation",), scale=4, halo=6)
TENSORS = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.count": torch.tensor([3])}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.safetensors"
    weights.save(path, TENSORS, SPEC)
    return path


def test_what_is_saved_is_loaded(good: Path) -> None:
    spec, tensors = weights.load(good)
    assert spec == SPEC
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[k], TENSORS[k]) for k in TENSORS)


def test_the_same_weights_give_the_same_bytes(good: Path, tmp_path: Path) -> None:
    weights.save(tmp_path / "again.safetensors", TENSORS, SPEC)
    assert weights.digest(tmp_path / "again.safetensors") == weights.digest(good)


def test_a_header_whose_length_looks_like_a_pickle_or_an_archive_is_read(tmp_path: Path) -> None:
    seen = set()
    for padding in range(1, 2600, 8):
        path = tmp_path / "long.safetensors"
        weights.save(path, TENSORS, replace(SPEC, provenance={"note": "x" * padding}))
        assert weights.read_spec(path).provenance["note"] == "x" * padding
        seen.add(path.read_bytes()[:1])
    assert b"\x80" in seen


def test_another_number_gives_another_digest(good: Path, tmp_path: Path) -> None:
    weights.save(tmp_path / "other.safetensors", {**TENSORS, "a.count": torch.tensor([4])}, SPEC)
    assert weights.digest(tmp_path / "other.safetensors") != weights.digest(good)


def test_saving_leaves_no_temporary_file(good: Path) -> None:
    assert [p.name for p in good.parent.iterdir()] == ["good.safetensors"]


def test_the_spec_is_read_without_the_tensors(good: Path) -> None:
    assert weights.read_spec(good) == SPEC


class Touch:
    """A pickle that would make a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", [pickle.dumps, "torch"])
def test_a_pickle_is_refused_and_never_run(how: object, tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "evil.safetensors"
    if callable(how):
        path.write_bytes(how(Touch(trace)))
    else:
        torch.save({"w": Touch(trace)}, path)
    for attempt in (weights.load, weights.read_spec):
        with pytest.raises(WeightsError, match="only safetensors is ever loaded"):
            attempt(path)
    assert not trace.exists()


def test_the_trap_would_spring(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Touch(tmp_path / "trace")))
    assert (tmp_path / "trace").exists()


def test_a_zip_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "bomb.safetensors"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("archive/data/0", bytes(200_000_000))
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match="zip archive"):
        weights.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 100, -1])
def test_a_file_cut_short_is_refused_at_every_length(good: Path, kept: int) -> None:
    good.write_bytes(good.read_bytes()[:kept])
    for attempt in (weights.load, weights.read_spec):
        with pytest.raises(WeightsError, match=r"good\.safetensors"):
            attempt(good)


def test_a_file_with_bytes_after_its_end_is_refused(good: Path) -> None:
    good.write_bytes(good.read_bytes() + b"\0")
    with pytest.raises(WeightsError, match="truncated or padded"):
        weights.load(good)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_one_number_that_is_not_finite_is_refused_and_its_tensor_named(
    value: float, dtype: torch.dtype, tmp_path: Path
) -> None:
    path = tmp_path / "nan.safetensors"
    tensor = torch.zeros(5, dtype=dtype)
    tensor[3] = value
    weights.save(path, {"fine": torch.zeros(2), "head.bias": tensor}, SPEC)
    with pytest.raises(WeightsError, match=r"nan\.safetensors.*'head\.bias'"):
        weights.load(path)


@pytest.mark.parametrize("length", [10_000_001, 2**40, 2**63])
def test_a_huge_header_is_refused_before_it_is_read(length: int, tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", length))
        f.truncate(11_000_000)  # sparse
    with pytest.raises(WeightsError, match=f"header of {length} bytes"):
        weights.load(path)


def with_header(path: Path, header: object, body: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


META = {"terrafine": SPEC.to_json()}
F32 = {"dtype": "F32", "shape": [2]}


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"\xff\xfe{}", b""),
        (b"not json", b""),
        (b"[1, 2]", b""),
        ({"__metadata__": [], "a": {**F32, "data_offsets": [0, 8]}}, bytes(8)),
        ({"__metadata__": META, "a": {**F32, "data_offsets": [0, 9]}}, bytes(8)),
        ({"__metadata__": META, "a": {**F32, "data_offsets": [8, 0]}}, bytes(8)),
        ({"__metadata__": META, "a": {**F32, "data_offsets": ["0", "8"]}}, bytes(8)),
        ({"__metadata__": META, "a": {**F32, "data_offsets": []}}, bytes(8)),
        ({"__metadata__": META, "a": {**F32, "data_offsets": 8}}, bytes(8)),
        ({"__metadata__": META, "a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, bytes(8)),
        ({"__metadata__": META, "a": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
        ({"__metadata__": META, "a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 8]}}, bytes(8)),
        (
            {"__metadata__": META, "a": {**F32, "data_offsets": [0, 8]}, "b": {**F32, "data_offsets": [4, 12]}},
            bytes(12),
        ),
    ],
)
def test_a_header_that_contradicts_itself_or_the_file_is_refused(header: object, body: bytes, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"odd\.safetensors"):
        weights.load(with_header(tmp_path / "odd.safetensors", header, body))


def test_the_hand_made_header_would_load_if_it_were_right(tmp_path: Path) -> None:
    header = {"__metadata__": META, "a": {**F32, "data_offsets": [0, 8]}}
    spec, tensors = weights.load(with_header(tmp_path / "right.safetensors", header, bytes(8)))
    assert spec == SPEC
    assert torch.equal(tensors["a"], torch.zeros(2))


def test_deep_nesting_in_the_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="safetensors"):
        weights.load(with_header(tmp_path / "deep.safetensors", b"[" * 200_000))


def test_safetensors_of_another_origin_are_refused_for_want_of_a_spec(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(to_bytes(TENSORS, metadata={"format": "pt"}))
    with pytest.raises(WeightsError, match="without a Terrafine spec"):
        weights.load(path)


@pytest.mark.parametrize("damage", ["{", "{}", '{"format": 99}'])
def test_a_spec_that_is_none_is_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.safetensors"
    path.write_bytes(to_bytes(TENSORS, metadata={"terrafine": damage}))
    with pytest.raises(WeightsError, match=r"spec\.safetensors"):
        weights.load(path)


def test_a_missing_file_a_folder_and_a_text_are_weights_errors(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("hello, these are no weights at all")
    for name in ("absent.safetensors", ".", "text.safetensors"):
        with pytest.raises(WeightsError):
            weights.load(tmp_path / name)


def test_a_failed_save_leaves_the_old_file(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = good.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        weights.save(good, {"a": torch.zeros(1)}, SPEC)
    assert good.read_bytes() == before
    assert [p.name for p in good.parent.iterdir()] == ["good.safetensors"]


def test_the_archive_in_memory_is_no_weights_either() -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, buffer)
    assert buffer.getvalue()[:2] == b"PK"
