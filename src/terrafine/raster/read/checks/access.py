"""Which files may be read: plain files that the user names, and what those name in turn within allowed folders.

A raster can name further sources (a VRT its tiles, an archive its members), and GDAL would follow them anywhere, over
the network too. So every name is classified here before GDAL sees it. Remote sources are read if the user gives a
remote path or allows them.
"""

from __future__ import annotations

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

__all__ = ["Access", "Location", "access_scope", "allow", "allowed_access", "classify", "is_remote", "require_plain"]

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
