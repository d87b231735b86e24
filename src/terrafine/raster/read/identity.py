"""What identifies the files of a raster source: size, time and digest of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from terrafine.raster.protocol import RasterSource
from terrafine.raster.read.checks import integrity

__all__ = ["file_entries", "sampled_digest"]


def file_entries(paths: Iterable[str], source: RasterSource) -> list[dict[str, Any]]:
    """Return path, size, time and digest of each file of a source; JSON-safe.

    Parameters
    ----------
    paths
        The files, those inside a VRT included; each is listed once.
    source
        The open raster; sampled where a file that it reads is not local.

    Returns
    -------
    list of dict
        `path`, and where known `size`, `mtime_ns` and `sha256`.
    """
    files: list[dict[str, Any]] = []
    for path in dict.fromkeys(paths):
        local = Path(path)
        entry: dict[str, Any] = {"path": path}
        if local.is_file():
            stat = local.stat()
            entry |= {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": integrity.content_digest(path)}
        elif path in source.paths:
            entry |= {"size": None, "mtime_ns": None, "sha256": sampled_digest(source)}
        files.append(entry)
    return files


def sampled_digest(source: RasterSource) -> str:
    """Return the SHA-256 of 16 windows spread over a raster that is not a local file.

    Parameters
    ----------
    source
        The open raster.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    digest = hashlib.sha256()
    height, width = source.shape
    side = 256
    for fy in np.linspace(0, max(0, height - side), 4).astype(int).tolist():
        for fx in np.linspace(0, max(0, width - side), 4).astype(int).tolist():
            for name in source.bands:
                values, valid = source.read(name, slice(fy, fy + side), slice(fx, fx + side))
                digest.update(values.tobytes() + valid.tobytes())
    return digest.hexdigest()
