"""Checks of the installation: each states what it found and, if that is wrong, what to do; `terrafine doctor`."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from terrafine.errors import TerrafineError
from terrafine.host import available_memory_bytes, import_engine
from terrafine.version import __version__

__all__ = ["CHECKS", "Check"]

REQUIRED = ("numpy", "scipy", "rasterio", "odc.geo", "pyproj", "torch", "safetensors", "tqdm", "PIL")
EXTRAS = {
    "openvino": ("openvino", "onnx", "onnxscript"),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "dask": ("distributed",),
    "xarray": ("xarray", "rioxarray"),
    "evaluate": ("numba", "pyflwdir", "xdem", "matplotlib"),
    "hydro": ("numba", "pyflwdir", "pyogrio"),
}
_REINSTALL = "install terrafine again, in a new environment"
LOW_MEMORY = 1_500_000_000
LOW_DISK = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report.

    Attributes
    ----------
    name
        What was checked.
    state
        `ok`, `note` or `broken`; only `broken` makes the exit code 1.
    found
        What was found.
    advice
        What to do, or empty.
    """

    name: str
    state: Literal["ok", "note", "broken"]
    found: str
    advice: str = ""


def _python(name: str) -> Iterator[Check]:
    yield Check("terrafine", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    old = sys.version_info < (3, 11)
    yield Check(
        name, "broken" if old else "ok", platform.python_version(), "install Python 3.11 or later" if old else ""
    )
    yield Check("system", "ok", platform.platform())


def _packages(_: str) -> Iterator[Check]:
    for module in REQUIRED:
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as e:
            yield Check(module, "broken", str(e), _REINSTALL)
        else:
            yield Check(module, "ok", _version(module))


def _gdal(name: str) -> Iterator[Check]:
    rasterio = importlib.import_module("rasterio")
    env = importlib.import_module("rasterio.env")
    foreign = importlib.import_module("terrafine.raster.gdal").foreign_proj()
    with env.Env() as gdal:
        missing = {"GTiff", "COG", "VRT"} - set(gdal.drivers())
    if missing:
        yield Check(
            name, "broken", f"no driver {', '.join(sorted(missing))}", "install rasterio from PyPI or conda-forge"
        )
    else:
        yield Check(name, "ok", rasterio.__gdal_version__)
    ignored = f"; {' and '.join(foreign)} of another installation not used" if foreign else ""
    try:
        found = rasterio.crs.CRS.from_epsg(32633).to_epsg()
    except rasterio.errors.CRSError as e:
        yield Check(
            "PROJ", "broken", str(e), "another program's PROJ_DATA or PROJ_LIB is set: unset them, then run this again"
        )
    else:
        yield Check(
            "PROJ", "ok" if found == 32633 else "broken", f"{rasterio.__proj_version__}, knows EPSG:{found}{ignored}"
        )


def _torch(name: str) -> Iterator[Check]:
    torch = importlib.import_module("torch")
    yield Check(name, "ok", f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    flags = _cpu_flags() & {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16"}
    yield Check("CPU", "ok", f"{os.cpu_count()} cores; {', '.join(sorted(flags)) or 'no flags known'}")
    found = importlib.import_module("terrafine.nn.device").found_devices()
    named = ", ".join(_device(d) for d in found)
    yield Check("devices", "ok", f"{named}; a run without a stated device takes {found[0].name}")


def _device(device: Any) -> str:
    memory = "" if device.memory_bytes is None else f", {device.memory_bytes / 1e9:.0f} GB"
    return f"{device.name} ({device.model}{memory})" if device.model else str(device.name)


def _engines(_: str) -> Iterator[Check]:
    for extra, modules in EXTRAS.items():
        absent = [m for m in modules if not _importable(m)]
        if absent:
            yield Check(
                extra, "note", f"without {', '.join(absent)}", f"pip install 'terrafine[{extra}]' if you want it"
            )
        else:
            yield Check(extra, "ok", ", ".join(f"{m} {_version(m)}" for m in modules))


def _memory(name: str) -> Iterator[Check]:
    available = available_memory_bytes()
    if available is None:
        yield Check(name, "note", "this system does not report it", "give each run a memory limit")
        return
    low = available < LOW_MEMORY
    yield Check(
        name,
        "note" if low else "ok",
        f"{available / 1e9:.1f} GB free",
        "close other programs, or use smaller tiles" if low else "",
    )


def _disk(name: str) -> Iterator[Check]:
    for label, folder in ((name, Path.cwd()), ("temporary folder", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free
        low = free < LOW_DISK
        yield Check(
            label, "note" if low else "ok", f"{free / 1e9:.1f} GB free in {folder}", "free some space" if low else ""
        )
    try:
        with tempfile.TemporaryFile() as f:
            f.write(b"x" * 65536)
            f.flush()
            os.fsync(f.fileno())
    except OSError as e:
        yield Check("temporary files", "broken", e.strerror or str(e), "set TMPDIR to a folder that you may write to")
    else:
        yield Check("temporary files", "ok", "writable")


def _weights(_: str) -> Iterator[Check]:
    from terrafine.nn.weights import digest, load
    from terrafine.systems import list_models

    for ref in list_models():
        if ref.path is None:
            continue
        name = f"{ref.name} ×{ref.spec.scale}"
        try:
            tensors = load(ref.path)[1]
        except TerrafineError as e:
            yield Check(name, "broken", str(e), _REINSTALL)
            continue
        count = sum(t.numel() for t in tensors.values())
        yield Check(name, "ok", f"{count:,} finite weights, sha256 {digest(ref.path)[:12]}")


CHECKS: tuple[tuple[str, Callable[[str], Iterator[Check]]], ...] = (
    ("Python", _python),
    ("packages", _packages),
    ("GDAL", _gdal),
    ("torch", _torch),
    ("engines", _engines),
    ("memory", _memory),
    ("disk", _disk),
    ("weights", _weights),
)
"""Each check with its name, in the order of the report; it yields one Check for each thing that it looks at."""


def _version(module: str) -> str:
    names = importlib.metadata.packages_distributions().get(module.partition(".")[0], [])
    best = [n for n in names if n.replace("-", ".") == module] or names
    return importlib.metadata.version(best[0]) if best else "unknown version"


def _importable(module: str) -> bool:
    try:
        import_engine(module)
    except (ImportError, OSError):
        return False
    return True


def _cpu_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return set()
    lines = [line for line in text.splitlines() if line.startswith(("flags", "Features"))]
    return set(lines[0].partition(":")[2].split()) if lines else set()
