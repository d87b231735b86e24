"""The device of a run: the name that a user gives, checked without torch; memory and label of the resolved one."""

from __future__ import annotations

import re

from terrafine.errors import UsageError

__all__ = ["DEVICES", "check_device", "device_bytes", "device_label"]

DEVICES = "auto, cpu, cuda, cuda:N or mps"
_NAME = re.compile(r"auto|cpu|cuda(:\d+)?|mps")


def check_device(device: str, engine: str = "torch") -> None:
    """Check the name of a device, and that the engine can run on it.

    Parameters
    ----------
    device
        A name such as `cuda:0`.
    engine
        Library that runs the network.

    Raises
    ------
    UsageError
        If it is not the name of a device, or is a GPU and the engine runs on the CPU.
    """
    if not isinstance(device, str) or not _NAME.fullmatch(device):
        raise UsageError(f"device {device!r}: expected {DEVICES}")
    if engine != "torch" and device not in ("auto", "cpu"):
        raise UsageError(
            f'device {device!r}: the engine {engine} runs on the CPU; choose device="cpu", or engine="torch"'
        )


def device_bytes(device: str) -> int | None:
    """Return the free memory of a device that bounds the tiles of a run.

    Parameters
    ----------
    device
        The resolved device.

    Returns
    -------
    int or None
        Bytes; None if the device uses the memory of the machine, or is that of a Dask worker.
    """
    if not device.startswith("cuda:"):  # the CPU, Apple's GPU, or the GPUs of Dask workers, which are not known here
        return None
    import torch

    from terrafine.nn.device import free_bytes

    return free_bytes(torch.device(device))


def device_label(device: str) -> str:
    """Return a device as tags and the summary state it, such as `cuda (NVIDIA A100)`.

    Parameters
    ----------
    device
        The resolved device.

    Returns
    -------
    str
        Its kind, and its model if it is known.
    """
    if device == "cpu":
        return device
    from terrafine.nn.device import found_devices

    model = next((d.model for d in found_devices() if d.name == device), "")
    kind = device.partition(":")[0]
    return f"{kind} ({model})" if model else kind
