"""Mutated rasters: bytes and tags of GeoTIFFs, VRTs and text grids; each is read or refused, in a process that lives.

A raster that is read may hold any values: what is counted is a crash of the process, a hang, more memory than the limit
or an error that is not ours.
"""

from __future__ import annotations

import os
import random
import resource
import struct
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.reliability import Record
from benchmarks.reliability.settings import outcome

__all__ = ["files", "mutated", "tag_mutants"]

SEED = 2026
EACH = 150  # mutants of bytes of each file, and of tags of each GeoTIFF
BATCH = 50  # in one process
MEMORY = 6 << 30  # of address space
SECONDS = 120  # of processor time for a batch


def bases(folder: Path) -> dict[str, Path]:
    """Valid files of several formats and layouts."""
    from tests.support.rasters import heights, write_raster

    z = heights((70, 90))
    layouts: dict[str, dict[str, object]] = {
        "stripes": {},
        "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"},
        "zstd": {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "zstd", "predictor": 3},
        "cog": {"driver": "COG", "compress": "lzw"},
        "bigtiff": {"BIGTIFF": "YES", "interleave": "pixel"},
    }
    found = {name: write_raster(folder / f"{name}.tif", z, **layout) for name, layout in layouts.items()}  # type: ignore[arg-type]
    found["ascii"] = write_raster(folder / "grid.asc", z, driver="AAIGrid", crs=None)
    found["envi"] = write_raster(folder / "envi.img", z, driver="ENVI").with_suffix(".hdr")
    (folder / "m.vrt").write_text(
        '<VRTDataset rasterXSize="90" rasterYSize="70"><SRS>EPSG:32633</SRS><GeoTransform>500000,30,0,5000000,0,-30'
        '</GeoTransform><VRTRasterBand dataType="Float32" band="1"><NoDataValue>-9999</NoDataValue><ComplexSource>'
        '<SourceFilename relativeToVRT="1">stripes.tif</SourceFilename><SourceBand>1</SourceBand><SrcRect xOff="0" '
        'yOff="0" xSize="90" ySize="70"/><DstRect xOff="0" yOff="0" xSize="90" ySize="70"/><NODATA>-9999</NODATA>'
        "</ComplexSource></VRTRasterBand></VRTDataset>",
        encoding="utf-8",
    )
    return found | {"vrt": folder / "m.vrt"}


def tag_mutants(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """A GeoTIFF with another tag, type, count, value or link to the next directory."""
    rng = random.Random(seed)
    big = data[2:4] == b"+\0"
    size, head, entry, at_first = (20, "<Q", "<HHQQ", 8) if big else (12, "<H", "<HHII", 4)
    (start,) = struct.unpack_from("<Q" if big else "<I", data, at_first)
    (n,) = struct.unpack_from(head, data, start)
    first = start + struct.calcsize(head)
    wide = (0, 1, 2, 3, 255, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, len(data), len(data) - 1, 8)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2))):
            at = first + size * rng.randrange(n)
            fields = list(struct.unpack_from(entry, data, at))
            which = rng.choice((0, 1, 2, 2, 3, 3, 3))
            fields[which] = rng.choice((0, 1, 2, 3, 4, 5, 12, 13, 16, 99)) if which == 1 else rng.choice(wide)
            if which == 0:
                fields[0] = rng.choice((256, 257, 258, 259, 277, 322, 323, 324, 325, 339, 42112, 42113, 34735, 65_000))
            struct.pack_into(entry, changed, at, *fields)
        if rng.random() < 0.1:
            struct.pack_into("<Q" if big else "<I", changed, first + size * n, rng.choice((8, start, first, 2**31)))
        yield bytes(changed)


def mutated(found: dict[str, Path], each: int, seed: int) -> Iterator[tuple[str, Path, bytes]]:
    """(kind, file, bytes) of every mutant."""
    from tests.support.mutants import torn

    for name, path in found.items():
        data = path.read_bytes()
        for _, other in torn(data[:40_000] if name == "ascii" else data, each, seed):
            yield f"{name}, bytes", path, other
        if path.suffix == ".tif":
            for other in tag_mutants(data, each, seed):
                yield f"{name}, tags", path, other


def _read(path: Path) -> Callable[[], object]:
    """Open the raster as every verb does, and read a window of it."""
    from terrafine.raster.read.source import open_source

    opened = path.with_suffix(".img") if path.suffix == ".hdr" else path

    def read() -> None:
        with open_source(str(opened), assume_crs="EPSG:32633") as source:
            rows, cols = (slice(0, min(n, 200)) for n in source.shape)
            source.read("elevation", rows, cols)

    return read


def files() -> Record:
    """Attack, in forked processes of some mutants each."""
    import terrafine.raster.read.source  # noqa: F401 - before the forks

    counts: dict[str, Counter[str]] = {}
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        todo = list(mutated(bases(folder), EACH, SEED))
        for first in range(0, len(todo), BATCH):
            for kind, found in _in_a_process(todo[first : first + BATCH], folder / "seen"):
                counts.setdefault(kind, Counter())[found] += 1
                if found == "hang" or found.startswith(("unexpected", "crash")):
                    failures.append(f"{kind}: {found}")
    return {
        "tried": len(todo),
        "failures": failures,
        "seed": SEED,
        "kinds": {kind: dict(sorted(found.items())) for kind, found in counts.items()},
    }


def _in_a_process(todo: list[tuple[str, Path, bytes]], seen: Path) -> list[tuple[str, str]]:
    """The outcome of each mutant; one that ends the process counts as a crash, and the rest go on in another."""
    done: list[tuple[str, str]] = []
    while len(done) < len(todo):
        seen.write_text("")
        process = os.fork()
        if not process:
            try:
                _attack(todo[len(done) :], seen)
            finally:
                os._exit(0)
        _, status = os.waitpid(process, 0)
        lines = seen.read_text().splitlines()
        done += [(kind, line) for (kind, _, _), line in zip(todo[len(done) :], lines, strict=False)]
        if status and len(done) < len(todo):
            done.append((todo[len(done)][0], f"crash {os.waitstatus_to_exitcode(status)}"))
    return done


def _attack(todo: list[tuple[str, Path, bytes]], seen: Path) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    np.seterr(all="ignore")
    with open(seen, "a", encoding="utf-8", buffering=1) as file:
        for _, path, data in todo:
            good = path.read_bytes()
            path.write_bytes(data)
            try:
                file.write(outcome(_read(path)) + "\n")
            finally:
                path.write_bytes(good)
