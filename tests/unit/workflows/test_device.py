"""The device of a run: resolved before anything is read, in the job's identity, in the tags, on Dask by resource."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from tests.support.rasters import write_dem

import terrafine
from terrafine.errors import JobError, ResourceError, UsageError
from terrafine.inference.executors import dask as on_dask
from terrafine.inference.job import Job
from terrafine.inference.planner import make_plan
from terrafine.systems import find_model
from terrafine.workflows.device import device_label
from terrafine.workflows.fields import on_device
from terrafine.workflows.options import RunOptions
from terrafine.workflows.outputs.provenance import request_of, tags_of

IDENTITY = {"files": [{"path": "a.tif"}], "sha256": "0"}


@pytest.mark.parametrize(
    ("verb", "more"),
    [
        (terrafine.sharpen_dem, {}),
        (terrafine.estimate_height, {}),
        (terrafine.map_impervious, {}),
        (terrafine.sharpen_image, {}),
    ],
)
def test_a_device_that_is_not_there_is_refused_before_anything_is_read(verb: Any, more: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"device 'cuda:7'.*found .*cpu"):
        verb("not-there.tif", "out.tif", device="cuda:7", **more)


def test_the_other_engines_run_on_the_cpu_whatever_there_is() -> None:
    assert on_device(RunOptions(engine="onnx")).device == "cpu"
    with pytest.raises(UsageError, match="runs on the CPU in float32"):
        find_model("ridgeline", 4, engine="onnx", device="cuda:0")


def test_the_request_of_a_job_names_the_kind_of_device_and_another_kind_is_refused(tmp_path: Path) -> None:
    ref = find_model("bicubic", 2)
    plan = make_plan((40, 40), ref.spec)

    def request(device: str, precision: str = "float32") -> dict[str, Any]:
        options = dataclasses.replace(ref.options, device=device, precision=precision)
        return request_of(dataclasses.replace(ref, options=options), IDENTITY)

    assert request("cuda:0") == request("cuda:1") == request("cuda")
    assert request("cuda")["options"]["device"] == "cuda"
    with Job.claim(tmp_path / "fine.tif", request("cuda:0"), plan):
        pass
    with pytest.raises(JobError, match=r'device: was "cuda", now "cpu"'):
        Job.claim(tmp_path / "fine.tif", request("cpu"), plan)
    with pytest.raises(JobError, match=r'precision: was "float32", now "bfloat16"'):
        Job.claim(tmp_path / "fine.tif", request("cuda", "bfloat16"), plan)


def test_tags_state_device_and_precision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: "Fake")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: SimpleNamespace(total_memory=8))
    assert device_label("cuda:0") == "cuda (Fake)"
    assert device_label("cuda") == "cuda"
    ref = find_model("bicubic", 2)
    gpu = dataclasses.replace(ref, options=dataclasses.replace(ref.options, device="cuda:0"))
    assert tags_of(gpu, IDENTITY)["DEVICE"] == "cuda (Fake)"
    monkeypatch.undo()
    source = write_dem(tmp_path / "a.tif", np.random.default_rng(1).normal(100, 9, (24, 24)).astype(np.float32))
    terrafine.sharpen_dem(source, tmp_path / "b.tif", model="bicubic", scale=2, device="cpu")
    with rasterio.open(tmp_path / "b.tif") as made:
        tags = made.tags(ns="TERRAFINE") or made.tags()
    assert next(v for k, v in tags.items() if k.endswith("DEVICE")) == "cpu", tags
    assert next(v for k, v in tags.items() if k.endswith("PRECISION")) == "float32"


def test_free_memory_of_a_gpu_bounds_the_tile_and_too_little_is_refused() -> None:
    spec = find_model("ridgeline", 4).spec
    free = make_plan((2000, 2000), spec, bytes_per_cell=4096)
    bound = make_plan((2000, 2000), spec, bytes_per_cell=4096, device_bytes=900_000_000)
    assert bound.tile < free.tile
    assert make_plan((2000, 2000), spec, bytes_per_cell=4096, device_bytes=10**12) == free
    with pytest.raises(ResourceError, match=r"of the GPU's memory.*100 MB are free.*device=\"cpu\""):
        make_plan((2000, 2000), spec, bytes_per_cell=4096, device_bytes=100_000_000)


class Cluster:
    """A client of a cluster whose workers have these resources."""

    def __init__(self, *resources: dict[str, float]) -> None:
        workers = {f"tcp://{i}": {"resources": r} for i, r in enumerate(resources)}
        self.scheduler = SimpleNamespace(identity=lambda n_workers: {"workers": workers}, address="tcp://here")

    def submit(self, *_: Any) -> None:
        raise AssertionError

    def sync(self, function: Any, **given: Any) -> Any:
        return function(**given)


def test_on_dask_the_device_is_that_of_the_workers() -> None:
    gpus, none = Cluster({"GPU": 1}, {}), Cluster({}, {"memory": 3})
    assert on_device(RunOptions(dask=gpus)).device == "cuda"
    assert on_device(RunOptions(dask=gpus, device="cuda")).device == "cuda"
    assert on_device(RunOptions(dask=gpus, device="cpu")).device == "cpu"
    assert on_device(RunOptions(dask=none)).device == "cpu"
    with pytest.raises(UsageError, match="no worker of the Dask cluster declares the resource GPU"):
        on_device(RunOptions(dask=none, device="cuda"))
    for device in ("cuda:1", "mps"):
        with pytest.raises(UsageError, match=f"device '{device}': Dask workers take"):
            on_device(RunOptions(dask=gpus, device=device))


def test_shards_of_a_run_on_gpus_are_sent_to_workers_with_that_resource() -> None:
    sent: list[dict[str, Any]] = []

    class StoppedError(Exception):
        pass

    class Client(Cluster):
        loop = None

        def nthreads(self) -> dict[str, int]:
            return {"tcp://0": 1}

        def submit(self, *_: Any, **given: Any) -> Any:
            sent.append(given)
            return SimpleNamespace(key=given["key"])

    def stop(futures: Any, loop: Any) -> Any:
        raise StoppedError

    context: Any = SimpleNamespace()
    for resources in (None, on_dask.GPU):
        with pytest.raises(StoppedError):
            on_dask._run_on(Client(), stop, context, iter([0]), None, 0, resources)  # type: ignore[arg-type]
    assert "resources" not in sent[0]
    assert sent[1]["resources"] == {"GPU": 1}
