"""Check the paths of outputs before anything is written, and resolve symbolic links."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from terrafine.errors import OutputError
from terrafine.private import check_name

__all__ = [
    "check_destinations",
    "check_names",
    "check_suffix",
    "follow",
    "listed",
    "outputs_for",
    "require_replaceable",
]

PathLike = str | os.PathLike[str]


def listed(source: PathLike | Sequence[PathLike]) -> list[str]:
    """Return the paths of an input as a list.

    Parameters
    ----------
    source
        One path, or several.

    Returns
    -------
    list of str
        The paths.
    """
    return [os.fspath(p) for p in ([source] if isinstance(source, (str, os.PathLike)) else source)]


def outputs_for(
    source: PathLike | Sequence[PathLike],
    destination: PathLike,
    *,
    preview: PathLike | None = None,
    sidecars: Sequence[PathLike | None] = (),
    inputs: Sequence[PathLike | None] = (),
) -> tuple[Path, Path | None, list[Path | None]]:
    """Check the paths of a GeoTIFF, its preview and its sidecar files, and resolve symbolic links.

    Parameters
    ----------
    source
        The input, none of whose files may be overwritten.
    destination, preview, sidecars
        The outputs as the user states them; None for one that is not wanted.
    inputs
        Further files that are read.

    Returns
    -------
    destination, preview, sidecars : Path, Path or None, list of Path or None
        The paths to write.

    Raises
    ------
    OutputError
        If the name of an output states another format, or it is an input, is named twice, or cannot be written.
    """
    paths = [*listed(source), *(os.fspath(p) for p in inputs if p is not None)]
    out = follow(Path(destination))
    picture, *others = (None if p is None else follow(Path(p)) for p in (preview, *sidecars))
    check_destinations(paths, out, picture)
    taken = {p.absolute() for p in (out, picture) if p is not None}
    for other in others:
        if other is None:
            continue
        check_destinations(paths, other, None)
        if other.absolute() in taken:
            raise OutputError(f"{other}: is the path of two outputs; give another name")
        taken.add(other.absolute())
    check_names(Path(destination), None if preview is None else Path(preview))
    return out, picture, others


def check_destinations(paths: list[str], destination: Path, preview: Path | None) -> None:
    """Check that outputs are plain files in existing folders, and neither an input nor its archive.

    A device or a pipe is refused because publishing renames over its target, which would replace it by a plain file.

    Parameters
    ----------
    paths
        The inputs.
    destination, preview
        The outputs; `preview` may be None.

    Raises
    ------
    OutputError
        If one of these fails.
    """
    for out in (destination, *([] if preview is None else [preview])):
        check_name(out)
        for path in paths:
            if out.exists() and any(file.exists() and out.samefile(file) for file in _on_disk(path)):
                raise OutputError(f"{out}: is the input itself, which is never overwritten; give another output")
        if out.is_dir():
            raise OutputError(f"{out}: is a folder; expected the path of a file to write")
        if out.exists() and not out.is_file():
            raise OutputError(f"{out}: is a device or a pipe, not a plain file; expected the path of a file to write")
        if not out.parent.is_dir():
            raise OutputError(f"{out}: its folder {out.parent} does not exist; make it, or write elsewhere")
        if shutil.disk_usage(out.parent).total == 0:
            raise OutputError(f"{out}: its folder {out.parent} is not on a disk (such as /proc); write elsewhere")
        if not os.access(out.parent, os.W_OK):
            raise OutputError(f"{out}: its folder {out.parent} is not writable; write elsewhere")
    if preview is not None and preview.absolute() == destination.absolute():
        raise OutputError(f"{preview}: is both output and preview; give two paths")


def require_replaceable(out: Path, overwrite: bool | None, inputs: Sequence[PathLike] = ()) -> None:
    """Check that a file may be replaced by an output; one that is an input is refused by `check_destinations`.

    Parameters
    ----------
    out
        The output.
    overwrite
        True to replace any file, False to replace none, None to replace any but a raster that Terrafine did not write:
        the last of several inputs, where the output was forgotten, would be one.
    inputs
        The inputs.

    Raises
    ------
    OutputError
        If the file may not be replaced.
    """
    from terrafine.raster.write.existing import is_foreign_raster

    if overwrite or not out.is_file() or any(f.exists() and out.samefile(f) for p in inputs for f in _on_disk(str(p))):
        return
    if overwrite is False:
        raise OutputError(f"{out}: exists and is not replaced; give another output, or allow it with overwrite=True")
    if is_foreign_raster(out):
        raise OutputError(
            f"{out}: exists, and is a raster that Terrafine did not write: an input, if the output was forgotten. Give "
            "another output, or replace it with overwrite=True"
        )


def check_suffix(path: Path, suffixes: tuple[str, ...], kind: str) -> None:
    """Check that the suffix of a file states the format that is written; a name without suffix is allowed.

    Parameters
    ----------
    path
        The file.
    suffixes
        Allowed suffixes in lower case, the usual one first.
    kind
        Name of the format, for the message.

    Raises
    ------
    OutputError
        If the suffix states another format.
    """
    if path.suffix and path.suffix.lower() not in suffixes:
        named = path.with_suffix(suffixes[0]).name
        raise OutputError(f"{path}: is written as {kind}; expected a name that ends in {suffixes[0]}, as {named}")


def check_names(destination: Path, preview: Path | None) -> None:
    """Check that an output is named as a GeoTIFF, and a preview as a PNG.

    Parameters
    ----------
    destination, preview
        The outputs; `preview` may be None.

    Raises
    ------
    OutputError
        If one states another format, or both are the same.
    """
    check_suffix(destination, (".tif", ".tiff"), "GeoTIFF")
    if preview is not None:
        if preview.absolute() == destination.absolute():
            raise OutputError(f"{preview}: is both output and preview; give two paths")
        check_suffix(preview, (".png",), "PNG")


def follow(path: Path) -> Path:
    """Return the file that a symbolic link leads to, so that publishing replaces the file and keeps the link.

    Parameters
    ----------
    path
        Any path.

    Returns
    -------
    Path
        The path itself if it is not a link.

    Raises
    ------
    OutputError
        If the link leads back to itself.
    """
    if not path.is_symlink():
        return path
    end = Path(os.path.realpath(path))
    if end.is_symlink():  # realpath stops at a link of a loop
        raise OutputError(f"{path}: is a symbolic link that leads back to itself; remove it, or write elsewhere")
    return end


def _on_disk(path: str) -> list[Path]:
    """Return the files that may hold an input: itself, or each step of a path into an archive, /vsizip/a.zip/b.tif."""
    if not path.startswith("/vsi"):
        return [Path(path)]
    inner = Path(path[1:].partition("/")[2].replace("{", "").replace("}", ""))
    return [inner, *inner.parents]
