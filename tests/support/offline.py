"""A process that dies at the first attempt to reach a network, whether by Python or by a library in C."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

__all__ = ["DIED_OF_NETWORK", "can_forbid", "forbid_network", "run_offline"]

DIED_OF_NETWORK = -signal.SIGSYS

_NUMBERS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # AUDIT_ARCH, socket(2); linux/audit.h
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS; BPF_JMP | BPF_JEQ | BPF_K; BPF_RET | BPF_K
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_INTERNET = (2, 10)  # AF_INET, AF_INET6


def can_forbid() -> bool:
    """Whether this system can: Linux on the processors that are listed."""
    return sys.platform == "linux" and platform.machine() in _NUMBERS


def forbid_network() -> None:
    """From now on the kernel kills this process when it opens an internet socket, as each lookup does too.

    A seccomp filter, https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html.
    """
    architecture, call = _NUMBERS[platform.machine()]
    program = [
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 0, 5, architecture),
        (_LOAD, 0, 0, 0),  # the number of the call
        (_EQUAL, 0, 3, call),
        (_LOAD, 0, 0, 16),  # its first argument: the address family
        (_EQUAL, 2, 0, _INTERNET[0]),
        (_EQUAL, 1, 0, _INTERNET[1]),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _KILL),
    ]
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    text = ctypes.create_string_buffer(code)
    header = struct.pack("HL", len(program), ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0):  # no new rights; the filter
        raise OSError(ctypes.get_errno(), "seccomp")


def run_offline(
    *arguments: object, code: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`terrafine ARGUMENTS`, or other Python code, in a process of its own that may not reach a network."""
    main = "from terrafine.cli import main; main(prog_name='terrafine')" if code is None else code
    text = f"from tests.support.offline import forbid_network; forbid_network()\n{main}"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd,
        timeout=300,
        check=False,
    )
