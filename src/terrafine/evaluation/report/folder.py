"""The folder of a report: one evaluation at a time uses it, and it holds the report of the last one as a whole."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from terrafine.atomic import PublishSet, written
from terrafine.errors import OutputError
from terrafine.private import FOLDER_LOCK, hold_folder, make_folders, remove_empty

__all__ = ["locked", "replace"]

_RESULTS = "results.json"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder and lock it for the block; what was made is removed again if it is empty at the end.

    Parameters
    ----------
    folder
        The folder.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    OutputError
        If it cannot be made or written, or another evaluation uses it.
    """
    try:
        made = make_folders(folder)
        lock = hold_folder(folder)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{folder}: the report cannot be written ({said}); choose a folder that is writable"
        ) from error
    if lock is None:
        raise OutputError(f"{folder}: another evaluation uses it for its report; wait, or use another out=DIR")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / FOLDER_LOCK).unlink()
        lock.close()
        remove_empty(made)


def replace(folder: Path, texts: Mapping[str, str], tables: Callable[[Path], set[str]]) -> list[Path]:
    """Put the files of a report in place of those of an earlier one, whose further tables are removed.

    A run that was killed between two files leaves no results.json; its own results and those before it are then found
    under their hidden names, so that no table of either stays.

    Parameters
    ----------
    folder
        The folder, locked.
    texts
        Content of each file by its name, results.json among them.
    tables
        States the names of the tables that belong to a results.json.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    hidden = [f".{_RESULTS}.{ending}" for ending in ("old", "new")]
    earlier: set[str] = set().union(*(tables(folder / name) for name in (_RESULTS, *hidden)))
    try:
        with PublishSet(folder / _RESULTS) as files:
            for name, text in texts.items():
                with written(folder / name, files.stage) as part:
                    part.write_text(text, encoding="utf-8", newline="")
            for name in sorted(earlier - set(texts)):
                files.discard(folder / name)
        for name in earlier | set(texts):
            for ending in ("old", "new"):
                (folder / f".{name}.{ending}").unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: the report cannot be written ({error.strerror or error}); choose a folder that is writable"
        ) from error
    return [folder / name for name in texts]
