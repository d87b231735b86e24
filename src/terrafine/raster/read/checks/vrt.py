"""Read the sources of a VRT more strictly than GDAL, so that no source is overlooked.

GDAL accepts attributes in place of elements, ignores case, and has elements that read files as raw bytes, run code or
name further files. Only the elements of plain mosaics, warps and built-in functions are accepted here; each is listed.

References
----------
https://gdal.org/en/stable/drivers/raster/vrt.html
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from terrafine.errors import SourceError

__all__ = ["VrtSource", "vrt_folder", "vrt_sources"]

_LARGEST = 256 << 20  # bytes: some hundred thousand tiles
_LINKS = 40  # of one path, as the kernel follows them
_NAMES_FILE = {"sourcefilename", "sourcedataset"}
_FREE = {"metadata", "mdi", "gdalrasterattributetable", "fielddefn", "row", "f", "name", "type", "usage"}
_KNOWN = {
    *("vrtdataset", "srs", "geotransform", "gcplist", "gcp", "blockxsize", "blockysize", "overviewlist", "maskband"),
    *("vrtrasterband", "description", "unittype", "offset", "scale", "categorynames", "category", "colortable"),
    *("entry", "colorinterp", "nodatavalue", "hidenodatavalue", "histograms", "histitem", "histmin", "histmax"),
    *("bucketcount", "includeoutofrange", "approximate", "histcounts", "overview", "simplesource", "complexsource"),
    *("averagedsource", "kernelfilteredsource", "sourceband", "sourceproperties", "srcrect", "dstrect", "nodata"),
    *("scaleoffset", "scaleratio", "exponent", "srcmin", "srcmax", "dstmin", "dstmax", "clamp", "lut", "usemaskband"),
    *("colortablecomponent", "kernel", "size", "coefs", "pixelfunctiontype", "pixelfunctionarguments"),
    *("sourcetransfertype", "skipnoncontributingsources", "openoptions", "ooi"),
    *("gdalwarpoptions", "warpmemorylimit", "resamplealg", "workingdatatype", "option", "transformer", "bandlist"),
    *("approxtransformer", "maxerror", "basetransformer", "genimgprojtransformer", "reprojecttransformer"),
    *("reprojectiontransformer", "srcgeotransform", "srcinvgeotransform", "dstgeotransform", "dstinvgeotransform"),
    *("sourcesrs", "targetsrs", "sourcecrs", "targetcrs", "bandmapping", "srcnodatareal", "srcnodataimag"),
    *("dstnodatareal", "dstnodataimag", "dstalphaband", "srcalphaband", "cutline", "cutlineblenddist"),
    *("multithread", "initdest", "srsaxisordermapping", "reversegeotransform", "gcptransformer", "order", "reversed"),
    *("sourcecoordinateepoch", "targetcoordinateepoch", "usereprojectioncache", "approxratio", "homography"),
}
_CRS = ("sourcesrs", "targetsrs", "sourcecrs", "targetcrs", "srs")
_SUBCLASSES = {"vrtwarpeddataset", "vrtwarpedrasterband", "vrtderivedrasterband", "vrtsourcedrasterband", ""}
_WHY = {
    "vrtrawrasterband": "reads any file as raw bytes",
    "vrtpansharpeneddataset": "is not a plain mosaic",
    "vrtprocesseddataset": "is not a plain mosaic",
}


@dataclass(frozen=True, slots=True)
class VrtSource:
    """A source that a VRT names.

    Attributes
    ----------
    text
        The name as the VRT has it.
    path
        The path that it leads to.
    relative
        Whether the name is relative to the VRT.
    """

    text: str
    path: Path
    relative: bool


@dataclass(slots=True)
class _Reader:
    """What expat reports, checked as it comes."""

    vrt: Path
    folder: Path
    found: list[VrtSource] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)
    _text: list[str] | None = None
    _relative: bool = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        low = name.lower()
        if self._text is not None:
            raise self._refusal(f"<{name}> inside the name of a source")
        if not self._open and low != "vrtdataset":
            raise self._refusal(f"<{name}> as its first element")
        if low not in _KNOWN | _FREE | _NAMES_FILE:
            raise self._refusal(f"<{name}>")
        lower = {key.lower(): value.strip() for key, value in attributes.items()}
        subclass = lower.get("subclass", "").lower()
        if subclass not in _SUBCLASSES:
            raise self._refusal(f"{lower['subclass']}, which {_WHY.get(subclass, 'is not known here')}")
        if strange := _NAMES_FILE & lower.keys():
            raise self._refusal(f"the attribute {strange.pop()}")
        if low == "ooi":
            raise self._refusal("options of opening a source (<OOI>)")
        self._open.append(low)
        if low in _NAMES_FILE:
            self._text, self._relative = [], lower.get("relativetovrt") == "1"

    def data(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
        elif self._open and self._open[-1] in _CRS and ("://" in text or text.lstrip().startswith(("/", "@"))):
            raise self._refusal(f"a CRS that is to be fetched ({text.strip()[:60]})")

    def end(self, name: str) -> None:
        self._open.pop()
        if self._text is None:
            return
        text, self._text = "".join(self._text).lstrip(), None
        if text:
            path = self.folder / text if self._relative else Path(text)
            self.found.append(VrtSource(text, path, self._relative))

    def markup(self, *_: object) -> None:
        """A comment, an instruction or a section of raw text: harmless, but not within a name."""
        if self._text is not None:
            raise self._refusal("a comment or raw text inside the name of a source")

    def doctype(self, *_: object) -> None:
        raise self._refusal("a document type")

    def _refusal(self, what: str) -> SourceError:
        return SourceError(
            f"{self.vrt}: this VRT holds {what}; expected a plain mosaic or warp of raster files. Write it as a "
            "GeoTIFF where you trust it: gdal_translate IN.vrt OUT.tif"
        )


def vrt_folder(vrt: Path) -> Path:
    """Return the folder that relative names start from: that of the file to which symbolic links lead.

    Parameters
    ----------
    vrt
        The VRT file.

    Returns
    -------
    Path
        The folder.
    """
    for _ in range(_LINKS):
        if not vrt.is_symlink():
            break
        vrt = vrt.parent / vrt.readlink()
    return vrt.parent


def vrt_sources(vrt: Path) -> list[VrtSource]:
    """Return every source that a VRT names, each once, in order.

    Parameters
    ----------
    vrt
        The VRT file.

    Returns
    -------
    list of VrtSource
        The sources.

    Raises
    ------
    SourceError
        If the VRT is too large or not well-formed, or holds more than plain mosaics, warps and built-in functions.
    """
    if os.stat(vrt).st_size > _LARGEST:  # noqa: PTH116
        raise SourceError(f"{vrt}: a VRT of more than {_LARGEST >> 20} MB; expected fewer sources in each")
    reader = _Reader(vrt, vrt_folder(vrt))
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = reader.data, reader.doctype
    parser.CommentHandler = parser.ProcessingInstructionHandler = parser.StartCdataSectionHandler = reader.markup
    try:
        parser.Parse(vrt.read_bytes(), True)
    except expat.ExpatError as error:
        raise SourceError(f"{vrt}: no whole VRT ({error}); fetch or build it again") from None
    except OSError as error:
        raise SourceError(f"{vrt}: cannot be read ({error.strerror})") from None
    return list(dict.fromkeys(reader.found))
