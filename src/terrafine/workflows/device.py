"""Where the model of a run computes: the name a user gives, checked without torch, then resolved once."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from terrafine.errors import UsageError

if TYPE_CHECKING:
    from terrafine.workflows.options import RunOptions

__all__ = ["DEVICES", "check_device", "device_bytes", "device_label", "on_device"]

DEVICES = "auto, cpu, cuda, cuda:N or mps"
_NAME = re.compile(r"auto|cpu|cuda(:\d+)?|mps")


def check_device(device: str, engine: str = "torch") -> None:
    """Refuse a name that is no device, and a GPU for an engine that runs on the CPU; raises UsageError."""
    if not isinstance(device, str) or not _NAME.fullmatch(device):
        raise UsageError(f"device {device!r}: expected {DEVICES}")
    if engine != "torch" and device not in ("auto", "cpu"):
        raise UsageError(
            f'device {device!r}: the engine {engine} runs on the CPU; choose device="cpu", or engine="torch"'
        )


def on_device(run: RunOptions) -> RunOptions:
    """Resolve the device of a run: of this machine, or of the workers of a Dask cluster.

    Raises
    ------
    UsageError
        For a device that is not there.
    JobError
        Where no Dask scheduler answers.
    """
    if run.engine != "torch":
        return dataclasses.replace(run, device="cpu")
    if run.dask is not None:
        from terrafine.inference.executors.dask import cluster_device

        return dataclasses.replace(run, device=cluster_device(run.dask, run.device))
    from terrafine.nn.device import find_device

    return dataclasses.replace(run, device=str(find_device(run.device)))


def device_bytes(device: str) -> int | None:
    """Free memory that bounds the tiles of a run on that resolved device; None where it is the machine's own."""
    if not device.startswith("cuda:"):  # the CPU, Apple's GPU, or the GPUs of Dask workers, which are not known here
        return None
    import torch

    from terrafine.nn.device import free_bytes

    return free_bytes(torch.device(device))


def device_label(device: str) -> str:
    """`cuda (NVIDIA A100)`: the resolved device as tags and the summary state it."""
    if device == "cpu":
        return device
    from terrafine.nn.device import found_devices

    model = next((d.model for d in found_devices() if d.name == device), "")
    kind = device.partition(":")[0]
    return f"{kind} ({model})" if model else kind
