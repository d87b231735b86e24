"""Which files may be read: plain files that the user names, and what those name in turn within allowed folders.

A raster can name further sources (a VRT its tiles, an archive its members), and GDAL would follow them anywhere, over
the network too. So every name is classified here before GDAL sees it. Remote sources are read if the user gives a
remote path or allows them.
"""

from __future__ import annotations

import functools
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from terrafine.errors import SourceError

__all__ = [
    "Access",
    "Location",
    "access_scope",
    "allow",
    "allowed_access",
    "classify",
    "inside",
    "is_remote",
    "require_near",
    "require_plain",
    "require_plain_beside",
]

Kind = Literal["file", "archive", "memory", "remote"]

_ARCHIVE = re.compile(r"/vsi(zip|tar|gzip|7z|rar)/(.*)", re.DOTALL)
_REMOTE = re.compile(r"/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs)(_streaming)?/")
_PREFIXED = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]+:")
_SUBDATASET = re.compile(
    r'GTIFF_DIR:(?:off:)?\d+:(?P<tiff>.+)|(?:NETCDF|HDF5):"?(?P<quoted>[^"]+?)"?(?::[^:"]*|://?[^"]*)', re.DOTALL
)
_SCHEME = re.compile(r"[A-Za-z0-9+]+://")
_REMOTE_SCHEMES = {"http", "https", "ftp", "s3", "gs", "az", "oss"}
_ARCHIVES = 4  # archives within each other
_DESCRIBING = {  # endings of files that GDAL reads beside a raster whatever their stem is, such as METADATA.DIM
    *(".xml", ".txt", ".dim", ".imd", ".rpb", ".til", ".pvl", ".adf", ".met", ".hdr", ".aux", ".ers", ".rrd"),
}


@dataclass(frozen=True, slots=True)
class Access:
    """What may be read besides the files that the user named.

    Attributes
    ----------
    remote
        Whether a local file may name remote sources.
    folders
        Folders, absolute and free of links, in which a VRT's sources may lie besides its own.
    """

    remote: bool = False
    folders: tuple[str, ...] = ()


_NOTHING = Access()
_ACCESS: ContextVar[Access] = ContextVar("terrafine-access", default=_NOTHING)


def allowed_access() -> Access:
    """Return what the running verb may read."""
    return _ACCESS.get()


@contextmanager
def access_scope() -> Iterator[None]:
    """End with the block what is allowed inside it."""
    token = _ACCESS.set(_ACCESS.get())
    try:
        yield
    finally:
        _ACCESS.reset(token)


def allow(folders: Sequence[str | os.PathLike[str]] = (), remote: bool = False) -> None:
    """Allow sources of sources in further folders, or on other machines, until the scope ends.

    Parameters
    ----------
    folders
        Folders in which the sources of a VRT may lie.
    remote
        Whether a local file may name remote sources.
    """
    now = _ACCESS.get()
    real = tuple(os.path.realpath(folder) for folder in folders)
    _ACCESS.set(Access(now.remote or remote, tuple(dict.fromkeys((*now.folders, *real)))))


@dataclass(frozen=True, slots=True)
class Location:
    """Where a name leads.

    Attributes
    ----------
    kind
        A plain local file or folder, a member of a local archive, a file in memory, or a file on another machine.
    path
        The local file or folder that holds it; empty for memory and for another machine.
    gdal
        The name as GDAL is to be given it.
    """

    kind: Kind
    path: Path
    gdal: str


def classify(name: str) -> Location:
    """Return where a name that the user gives leads.

    Parameters
    ----------
    name
        A path, a member of an archive, a subdataset of a local file, or a remote address.

    Returns
    -------
    Location
        The file behind the name.

    Raises
    ------
    SourceError
        If the name is not one of these.
    """
    if any(ord(c) < 32 for c in name):
        raise SourceError(f"{name!r}: holds control characters; expected the path of a file")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise SourceError(f"{name!r}: the name is not UTF-8, as GDAL expects it; rename the file") from None
    if name.startswith("/vsi"):
        return _virtual(name, name)
    if _SCHEME.match(name) and not os.path.lexists(name):
        return _virtual(name, _of_url(name))
    if _PREFIXED.match(name):
        if os.path.lexists(name):
            return Location("file", Path(name), os.path.abspath(name))  # noqa: PTH100
        match = _SUBDATASET.fullmatch(name)
        if match is None:
            raise SourceError(
                f"{name}: there is no such file; expected the path of a local file, an archive's member as "
                "/vsizip/ARCHIVE/MEMBER, or a remote address such as https://"
            )
        return Location("file", Path(match["tiff"] or match["quoted"]), name)
    if name.lstrip().startswith("<"):
        raise SourceError(f"{name[:40]}...: is a description, not a path; save it to a file, and give its name")
    return Location("file", Path(name), name)


def is_remote(name: str) -> bool:
    """Return whether a name leads to another machine, directly or through archives.

    Parameters
    ----------
    name
        A path or an address.

    Returns
    -------
    bool
        True for an address such as https:// or a path such as /vsis3/.
    """
    scheme = name.partition("://")[0].lower() if _SCHEME.match(name) else ""
    return bool({*scheme.split("+")} & _REMOTE_SCHEMES) or _REMOTE.search(name) is not None


def _of_url(name: str) -> str:
    """GDAL's path of an address such as https://, s3:// or zip://, as rasterio writes it; others stay."""
    from rasterio import _path

    return str(_path._vsi_path(_path._parse_path(name)))


def _virtual(name: str, path: str) -> Location:
    """Where a path leads in one of GDAL's file systems, archives within archives included."""
    inner = path
    for _ in range(_ARCHIVES):
        if inner.startswith("/vsimem/"):
            return Location("memory", Path(), path)
        if _REMOTE.match(inner):
            return Location("remote", Path(), path)
        match = _ARCHIVE.match(inner)
        if match is None:
            break
        rest = match[2]
        if rest.startswith(("/vsi", "vsi")):
            inner = "/" + rest.lstrip("/")
            continue
        return Location("archive", _archive(match[1], rest), path)
    if not inner.startswith("/vsi"):
        return Location("file", Path(inner), inner)
    system = inner.split("/")[1]
    raise SourceError(f"{name}: files are not read through /{system}/; expected the path of a local file")


def _archive(kind: str, rest: str) -> Path:
    """The file that is the archive, of `archive/member` or `{archive}/member`."""
    if rest.startswith("{"):
        return Path(rest[1:].partition("}")[0])
    whole = Path(rest)
    if kind == "gzip":
        return whole
    return next((p for p in reversed(whole.parents) if p.is_file()), whole if whole.is_file() else whole.parent)


def require_plain(path: Path, name: str) -> None:
    """Check that a path is a plain file with content, or a folder.

    Parameters
    ----------
    path
        The path.
    name
        What messages call it.

    Raises
    ------
    SourceError
        If it does not exist, is empty, a pipe or a device, or may not be read.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            raise SourceError(f"{name}: there is no such file") from None
        why = "leads nowhere" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", "") or str(error)
        raise SourceError(f"{name}: cannot be read ({why}); expected the path of a file") from None
    if stat.S_ISDIR(found.st_mode):
        return
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(f"{name}: is a pipe, a socket or a device; expected a plain file")
    if found.st_size == 0:
        raise SourceError(f"{name}: the file is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{name}: may not be read by this user; change its permissions, or copy it")


def inside(path: str, folders: set[str]) -> bool:
    """Return whether a path is one of the folders, or below one.

    Parameters
    ----------
    path
        A path without links.
    folders
        Folders, without links.

    Returns
    -------
    bool
        True if so.
    """
    return any(path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def require_near(beside: Path, path: Path, access: Access) -> None:
    """Check that what lies beside a raster, such as its overviews, is no link to where nothing of the raster lies.

    Parameters
    ----------
    beside
        The file beside the raster.
    path
        The raster.
    access
        Further folders that are allowed.

    Raises
    ------
    SourceError
        If it is.
    """
    real = os.path.realpath(beside)
    folder = os.path.dirname(real)  # noqa: PTH120
    own = {os.path.realpath(path.parent), os.path.dirname(os.path.realpath(path))}  # noqa: PTH120
    if folder not in own and not inside(real, set(access.folders)):
        raise SourceError(
            f"{beside}: leads to {real}, where nothing of {path.name} lies; remove it, or allow it with "
            f'allow_folders="{folder}"'
        )


def require_plain_beside(path: Path) -> None:
    """Check that no pipe, socket or device lies beside a file, or in a folder, where GDAL would read it with that.

    Parameters
    ----------
    path
        The file or the folder; it exists.

    Raises
    ------
    SourceError
        If there is one: reading it might never end.
    """
    folder = path if path.is_dir() else path.parent
    try:
        special = _special(os.path.abspath(folder), folder.stat().st_mtime_ns)  # noqa: PTH100
    except OSError:
        return
    for name in special:
        lower = name.lower()
        if folder == path or lower.startswith(path.stem.lower()) or os.path.splitext(lower)[1] in _DESCRIBING:  # noqa: PTH122
            raise SourceError(
                f"{folder / name}: is a pipe, a socket or a device, and would be read with {path.name}; move one of "
                "them to another folder"
            )


@functools.lru_cache(maxsize=256)
def _special(folder: str, changed: int) -> tuple[str, ...]:
    """Names in a folder, last changed at that time, that lead to neither a file nor a folder, but to something."""
    with os.scandir(folder) as entries:
        odd = [entry for entry in entries if not (entry.is_file() or entry.is_dir())]
    return tuple(entry.name for entry in odd if os.path.exists(entry.path))  # noqa: PTH110
