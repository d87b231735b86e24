"""Record of the files that a run trains on; a run whose files have changed is not resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from terrafine.errors import DataError
from terrafine.raster.read.checks.integrity import content_digest

__all__ = ["DataRecord", "data_record", "require_unchanged"]

DataRecord = Mapping[str, Mapping[str, Any]]
"""Name under the data folder -> `size` in bytes and `sha256`; large files are sampled. Times do not count."""

_LISTED = 3


def data_record(root: Path, files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Compute size and digest of each file.

    Parameters
    ----------
    root
        Data folder.
    files
        Paths of the files.

    Returns
    -------
    dict[str, dict[str, Any]]
        Name under the data folder -> `size` in bytes and `sha256`.

    Raises
    ------
    OSError
        Where a file cannot be read.
    """
    return {
        Path(os.path.relpath(path, root)).as_posix(): {
            "size": path.stat().st_size,
            "sha256": content_digest(os.fspath(path)),
        }
        for path in sorted(set(files))
    }


def require_unchanged(kept: Path, found: DataRecord) -> None:
    """Compare the data with the record of the run.

    A folder without a record, from an earlier version, is accepted.

    Parameters
    ----------
    kept
        The record in the run folder.
    found
        Record of the present data.

    Raises
    ------
    DataError
        For a file that was changed, added or removed since the run began; the message names it.
    """
    try:
        before: DataRecord = json.loads(kept.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as e:
        raise DataError(f"{kept}: cannot be read ({e}); start over with restart=True") from e
    lines = [_line(name, before.get(name), found.get(name)) for name in sorted({*before, *found})]
    changed = [line for line in lines if line]
    if changed:
        more = f" and {len(changed) - _LISTED} more" if len(changed) > _LISTED else ""
        raise DataError(
            f"{kept.parent}: the data is not what the run began on: {'; '.join(changed[:_LISTED])}{more}. Put the data "
            "back as it was, start over with restart=True, or use another out=DIR"
        )


def _line(name: str, before: Mapping[str, Any] | None, found: Mapping[str, Any] | None) -> str:
    if before is None:
        return f"{name} was added"
    if found is None:
        return f"{name} is no longer there"
    if before == found:
        return ""
    sizes = f" ({before['size']:,} bytes then, {found['size']:,} now)" if before["size"] != found["size"] else ""
    return f"{name} has changed{sizes}"
