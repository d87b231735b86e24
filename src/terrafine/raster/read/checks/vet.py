"""Vet a raster before GDAL opens it: its format, its sidecar files, and every source that it names, to any depth.

GDAL tries more than a hundred formats on a file, whatever its name says; some of them fetch from a network, run a
database or read other files as raw bytes. Here a file is opened as one of the formats listed and as no other.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rasterio.env import ensure_env_with_credentials
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from terrafine.errors import SourceError
from terrafine.raster import gdal
from terrafine.raster.read.checks import integrity
from terrafine.raster.read.checks.access import (
    Access,
    Location,
    allowed_access,
    classify,
    inside,
    is_remote,
    require_near,
    require_plain,
    require_plain_beside,
)
from terrafine.raster.read.checks.hdf5 import check_hdf5
from terrafine.raster.read.checks.hfa import MAGIC, check_hfa
from terrafine.raster.read.checks.vrt import VrtSource, vrt_folder, vrt_sources

__all__ = ["FORMATS", "Opening", "check_parts", "vet"]

FORMATS = (
    *("GTiff", "SRTMHGT", "DTED", "HFA", "AAIGrid", "AIG", "EHdr", "ENVI", "USGSDEM", "GRASSASCIIGrid", "XYZ", "ACE2"),
    *("JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID", "PNG", "JPEG", "WEBP", "GIF", "BIGGIF", "BMP", "PNM"),
    *("SAGA", "GSAG", "GSBG", "GS7BG", "GTX", "NGSGEOID", "BYN", "ISG", "RST", "RMF", "PCRaster", "NWT_GRD", "HF2"),
    *("BT", "Terragen", "Leveller", "ZMap", "SIGDEM", "GRIB", "GXF", "LCP"),
)
"""Formats that are opened: each holds its pixels itself, or in a file of its own name beside it."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BY_MAGIC = (
    (_TIFF, ("GTiff",)),
    (b"CDF", ("netCDF",)),
    (_HDF5, ("BAG", "netCDF", "HDF5", "HDF5Image")),
)
_HEAD = 4096  # bytes in which GDAL looks for what a file is
_SIDECARS = (".ovr", ".OVR", ".msk", ".MSK")
_AUXILIARY = 64 << 20
_DEPTH = 16  # VRTs within each other
_READS = 2_000_000  # files that reading a nested VRT amounts to
_REDIRECTS = re.compile(rb"overview_file|proxyoverviewrequest")
_OVERVIEWS = "expected them inside, or beside it as .ovr. Copy the raster with gdal_translate, without metadata (-nomd)"
_CHARACTER = re.compile(rb"&#(x[0-9a-f]{1,6}|[0-9]{1,7});")
_DESCRIPTIONS = re.compile(
    rb"<(vrt|gdal|wcs|wmt|wms|wmts|tile|capabilities|mrf|ogr|services|wfs|csw)|\"stac|arcgis|^\s*[<{]"
)


@dataclass(frozen=True, slots=True)
class Opening:
    """How GDAL may open a raster.

    Attributes
    ----------
    name
        The name to give to GDAL.
    formats
        Names of the drivers that may be tried.
    remote
        Whether the raster is on another machine.
    """

    name: str
    formats: tuple[str, ...]
    remote: bool = False

    def open(self) -> Any:
        """Open the dataset.

        Raises
        ------
        SourceError
            If its metadata name another file as its overviews.
        RasterioError
            If GDAL cannot open it.
        """
        if self.remote:
            gdal.go_online()
        opened = _reader(self.name, self.formats)
        if opened.tags(ns="OVERVIEWS") or opened.tags(ns="ProxyOverviewRequest"):
            opened.close()
            raise SourceError(f"{self.name}: its metadata name another file as its overviews; {_OVERVIEWS}")
        return opened


@ensure_env_with_credentials  # type: ignore[untyped-decorator]
def _reader(name: str, formats: tuple[str, ...]) -> Any:
    return DatasetReader(name, driver=list(formats))


def vet(name: str, access: Access | None = None) -> Opening:
    """Return how a raster that the user names may be opened.

    Parameters
    ----------
    name
        A path, a member of an archive, a subdataset of a local file, or a remote address.
    access
        What it may name in turn; None for what the running verb allows.

    Returns
    -------
    Opening
        Name and formats for GDAL.

    Raises
    ------
    SourceError
        If the name leads to no plain file, or a sidecar file or source may not be read.
    """
    access = allowed_access() if access is None else access
    place = classify(name)
    if place.kind in ("memory", "remote"):
        return Opening(place.gdal, FORMATS, place.kind == "remote")
    require_plain(place.path, name)
    return Opening(place.gdal, _formats(place, access), access.remote)


def _formats(place: Location, access: Access) -> tuple[str, ...]:
    """The formats that a local file may be opened as, once all that it names is checked."""
    if place.kind == "archive":
        return FORMATS
    require_plain_beside(place.path)
    if place.path.is_dir():
        return ("AIG",)
    head = _head(place.path)
    if _is_vrt(head):
        if access.remote:
            gdal.go_online()
        check_parts(os.fspath(place.path), access)
        return ("VRT",)
    _check_sidecars(place.path, access)
    if head.startswith(_TIFF):
        _check_tiff(place.path)
    if head.startswith(_HDF5):
        check_hdf5(place.path)
    if head.startswith(MAGIC):
        check_hfa(place.path)
    return next((formats for magic, formats in _BY_MAGIC if head.startswith(magic)), FORMATS)


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); expected the path of a file") from None


def _is_vrt(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<") and b"<vrtdataset" in text.lower()


def _check_sidecars(path: Path, access: Access) -> None:
    """Overviews and masks beside a file are TIFFs, and its metadata do not lead elsewhere; raises SourceError."""
    for ending in _SIDECARS:
        beside = path.with_name(path.name + ending)
        if os.path.lexists(beside):
            require_plain(beside, os.fspath(beside))
            if not _head(beside).startswith((*_TIFF, MAGIC)):
                raise SourceError(f"{beside}: is no TIFF, as overviews and masks of {path.name} are; remove it")
            require_near(beside, path, access)
            if beside.resolve() != path.resolve():
                _check_beside(beside)
                _check_sidecars(beside, access)
    for beside in {path.with_suffix(".aux"), path.with_name(path.name + ".aux")} - {path}:
        if os.path.lexists(beside):
            require_plain(beside, os.fspath(beside))
            require_near(beside, path, access)
            _check_beside(beside)
    beside = path.with_name(path.name + ".aux.xml")
    if os.path.lexists(beside):
        require_plain(beside, os.fspath(beside))
        if beside.stat().st_size > _AUXILIARY:
            raise SourceError(f"{beside}: metadata of more than {_AUXILIARY >> 20} MB; remove it")
        _check_metadata(beside, beside.read_bytes())


def _check_beside(path: Path) -> None:
    if _head(path).startswith(MAGIC):
        check_hfa(path)
    else:
        _check_tiff(path)


def _check_tiff(path: Path) -> None:
    for directory in integrity.read_directories(os.fspath(path), integrity.METADATA) or ():
        _check_metadata(path, directory.metadata)


def _check_metadata(path: Path, text: bytes) -> None:
    """No metadata lead GDAL to overviews in another file, wherever that lies; raises SourceError."""
    plain = _CHARACTER.sub(_character, text.lower())
    if _REDIRECTS.search(plain):
        raise SourceError(f"{path}: its metadata name another file as its overviews; {_OVERVIEWS}")


def _character(match: re.Match[bytes]) -> bytes:
    number = int(match[1][1:], 16) if match[1].startswith(b"x") else int(match[1])
    return bytes([number]).lower() if number < 128 else b"?"


@dataclass(slots=True)
class _Walk:
    """VRTs within VRTs: what was seen, and how many files reading each amounts to."""

    top: Path
    access: Access
    reads: dict[str, int] = field(default_factory=dict)
    vetted: set[str] = field(default_factory=set)

    def into(self, vrt: Path, depth: int) -> int:
        """Check the sources of a VRT, and those of their own; the number of files that reading it opens."""
        key = os.path.realpath(vrt)
        if key in self.reads:
            if not self.reads[key]:
                raise SourceError(f"{vrt}: names itself as its source; build the VRT again with gdalbuildvrt")
            return self.reads[key]
        if depth > _DEPTH:
            raise SourceError(f"{self.top}: VRTs within each other, more than {_DEPTH} deep; expected fewer")
        self.reads[key] = 0
        _check_sidecars(vrt, self.access)
        named = vrt_sources(vrt)
        local = [(source, place) for source in named if (place := self._place(vrt, source)) is not None]
        missing = [place.path for _, place in local if not os.path.exists(place.path)]  # noqa: PTH110
        if missing:
            raise SourceError(
                f"{vrt}: names {len(named)} files, and {len(missing)} of them are not there, such as {missing[0]}; "
                "fetch them, or build the VRT again with gdalbuildvrt"
            )
        total = 1
        for source, place in local:
            total += self._enter(vrt, source, place, depth)
            if total > _READS:
                raise SourceError(f"{self.top}: VRTs within each other name over {_READS:,} files; expected fewer")
        self.reads[key] = total
        return total

    def _place(self, vrt: Path, source: VrtSource) -> Location | None:
        """Where a source lies; None for a remote one that is allowed."""
        if is_remote(source.text):
            if self.access.remote:
                return None
            raise SourceError(
                f"{vrt}: names the remote source {source.text[:80]}, which was not asked for; copy it, or allow it "
                "with allow_remote=True"
            )
        if source.text.startswith("/vsi"):
            place = classify(source.text)
            if place.kind == "archive":
                return place
        elif not re.match(r"[A-Za-z][A-Za-z0-9_.+-]+:|\s*<", source.text):
            return Location("file", source.path, os.fspath(source.path))
        raise SourceError(
            f"{vrt}: names the source {source.text[:80]}, which is not a file; expected plain files. Write it as a "
            "GeoTIFF where you trust it: gdal_translate IN.vrt OUT.tif"
        )

    def _enter(self, vrt: Path, source: VrtSource, place: Location, depth: int) -> int:
        if not inside(os.path.realpath(place.path), _roots(self.top, source.relative, self.access)):
            folder = os.path.dirname(os.path.realpath(place.path))  # noqa: PTH120
            raise SourceError(
                f"{vrt}: names the source {source.text[:200]}, which lies outside the folder of the VRT; allow it with "
                f'allow_folders="{folder}"'
            )
        require_plain(place.path, f"{vrt}: its source {place.path}")
        head = _head(place.path) if place.kind == "file" and place.path.is_file() else b""
        if place.kind == "file" and _is_vrt(head):
            return self.into(place.path, depth + 1)
        if place.gdal not in self.vetted:
            self.vetted.add(place.gdal)
            self._vet(vrt, place, head)
        return 1

    def _vet(self, vrt: Path, place: Location, head: bytes) -> None:
        """GDAL will open the source as whatever it takes it for: it must be of our formats, and look like no other."""
        formats = _formats(place, self.access)
        if formats == ("GTiff",):
            return
        if ".gti." in place.gdal.lower() or _DESCRIPTIONS.search(head[:2048].lower()):
            raise SourceError(
                f"{vrt}: its source {place.path} is not a raster, but a description of one; name a raster"
            )
        try:
            with gdal.environment():
                Opening(place.gdal, formats).open().close()
        except RasterioError as error:
            raise SourceError(f"{vrt}: its source {place.path} is not a raster of a known format ({error})") from None


def check_parts(path: str, access: Access | None = None) -> None:
    """Check that every source of a local VRT exists and may be read, nested VRTs included.

    Parameters
    ----------
    path
        A VRT file.
    access
        What it may name; None for what the running verb allows.

    Raises
    ------
    SourceError
        If a source is missing or may not be read.
    """
    vrt = Path(path)
    if vrt.is_file():
        _Walk(vrt, allowed_access() if access is None else access).into(vrt, 0)


def _roots(top: Path, relative: bool, access: Access) -> set[str]:
    """Folders that sources may lie in: the VRT's own, as named and as links lead; the working one; those allowed.

    A relative name may lead to the neighbours of the folder too, as `../tiles/a.tif` does. Neither the root of the
    disk nor a home folder counts as such.
    """
    own = {os.path.realpath(top.parent), os.path.realpath(vrt_folder(top))}
    wide = {os.path.realpath(os.curdir)}
    if relative:
        wide |= {os.path.dirname(folder) for folder in own}  # noqa: PTH120
    home = os.path.realpath(os.path.expanduser("~"))  # noqa: PTH111
    top_level = os.path.abspath(os.sep)  # noqa: PTH100
    narrow = {folder for folder in wide if folder not in (home, os.path.dirname(home), top_level)}  # noqa: PTH120
    return (own | narrow) - {top_level} | set(access.folders)
