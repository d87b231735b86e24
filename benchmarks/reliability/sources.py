"""Hostile sources, and disks that are full."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.reliability import Record

__all__ = ["disks", "sources"]


def sources() -> Record:
    """Each hostile source is opened; it must be refused with an error of ours."""
    from tests.support.hostile_beside import BESIDE
    from tests.support.hostile_sources import HOSTILE, Scene

    from terrafine.errors import SourceError
    from terrafine.raster.read.source import open_source

    failures = []
    for name, make in (HOSTILE | BESIDE).items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                open_source(make(Scene.make(Path(folder), "http://127.0.0.1:9"))).close()
                failures.append(f"{name}: opened")
            except SourceError:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what this counts
                failures.append(f"{name}: {type(error).__name__}")
    return {"tried": len(HOSTILE | BESIDE), "failures": failures}


def disks() -> Record:
    """A run on a disk that is full at each size leaves no part, and the next run gives the bytes of a calm one."""
    from tests.reliability.test_system_errors import OPTIONS, SIZES, largest_file, left
    from tests.support.rasters import write_dem

    import terrafine
    from terrafine.errors import DiskError

    failures = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "out").mkdir()
            dem, out = write_dem(Path(folder) / "dem.tif"), Path(folder) / "out" / "o.tif"
            calm = terrafine.sharpen_dem(dem, Path(folder) / "calm.tif", **OPTIONS).read_bytes()
            try:
                with largest_file(size):
                    terrafine.sharpen_dem(dem, out, **OPTIONS)
            except DiskError:
                if left(out):
                    failures.append(f"{size} bytes: left {', '.join(sorted(left(out)))}")
            except Exception as error:  # noqa: BLE001
                failures.append(f"{size} bytes: {type(error).__name__}")
            if terrafine.sharpen_dem(dem, out, **OPTIONS).read_bytes() != calm:
                failures.append(f"{size} bytes: other bytes afterwards")
    return {"tried": len(SIZES), "failures": failures}
