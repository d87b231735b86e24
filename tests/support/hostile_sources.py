"""Rasters that name what nobody asked for: a remote host, a file of another folder, any file as raw bytes, themselves.

Each maker writes its files into a folder and returns the name that a user would give. `SECRET` values lie in a raster
outside that folder and the one above it.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from tests.support.rasters import heights, write_raster

__all__ = ["HOSTILE", "SECRET", "Scene", "plain_vrt"]

SECRET = 4321.0
SIDE = 16


@dataclass(frozen=True, slots=True)
class Scene:
    """Where an attack takes place: the user's folder, the secret raster, and the address of a host that listens."""

    folder: Path
    secret: Path
    url: str

    @classmethod
    def make(cls, root: Path, url: str) -> Scene:
        """Folders `inbox/box` and `private/deep` below `root`."""
        folder, private = root / "inbox" / "box", root / "private" / "deep"
        folder.mkdir(parents=True)
        private.mkdir(parents=True)
        secret = write_raster(private / "secret.tif", np.full((SIDE, SIDE), SECRET, np.float32))
        write_raster(folder / "tile.tif", heights((SIDE, SIDE)))
        return cls(folder, secret, url)


Maker = Callable[[Scene], str]
HOSTILE: dict[str, Maker] = {}


def _attack(name: str) -> Callable[[Maker], Maker]:
    def keep(maker: Maker) -> Maker:
        HOSTILE[name] = maker
        return maker

    return keep


def _vrt(body: str, head: str = "") -> str:
    return (
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"{head}><SRS>EPSG:32633</SRS>'
        f"<GeoTransform>500000,30,0,5000000,0,-30</GeoTransform>{body}</VRTDataset>"
    )


def _band(source: str, relative: int = 1, more: str = "") -> str:
    return (
        f'<VRTRasterBand dataType="Float32" band="1">{more}<SimpleSource><SourceFilename relativeToVRT="{relative}">'
        f"{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
    )


def plain_vrt(path: Path, source: str, relative: int = 1) -> Path:
    """A VRT of one source."""
    path.write_text(_vrt(_band(source, relative)), encoding="utf-8")
    return path


def _named(source: str, relative: int = 0) -> Maker:
    """A VRT of a source that holds {url}, {secret} and {folder}."""

    def make(scene: Scene) -> str:
        text = source.format(url=scene.url, secret=scene.secret, folder=scene.folder)
        return str(plain_vrt(scene.folder / "evil.vrt", text, relative))

    return make


def _written(text: str, name: str = "evil.vrt") -> Maker:
    """A file of that text."""

    def make(scene: Scene) -> str:
        path = scene.folder / name
        path.write_text(text.replace("{url}", scene.url).replace("{secret}", str(scene.secret)), encoding="utf-8")
        return str(path)

    return make


def _given(name: str) -> Maker:
    """Nothing but a name."""
    return lambda scene: name.format(url=scene.url, secret=scene.secret, folder=scene.folder)


WMS = (
    '<GDAL_WMS><Service name="TMS"><ServerUrl>{url}/${z}/${x}/${y}.png</ServerUrl></Service><DataWindow><UpperLeftX>0'
    "</UpperLeftX><UpperLeftY>10</UpperLeftY><LowerRightX>10</LowerRightX><LowerRightY>0</LowerRightY><SizeX>256</SizeX>"
    "<SizeY>256</SizeY></DataWindow><Projection>EPSG:4326</Projection><BandsCount>1</BandsCount></GDAL_WMS>"
)
WCS = "<WCS_GDAL><ServiceURL>{url}/wcs?</ServiceURL><CoverageName>dem</CoverageName></WCS_GDAL>"
WMTS = "<GDAL_WMTS><GetCapabilitiesUrl>{url}/wmts</GetCapabilitiesUrl><Layer>dem</Layer></GDAL_WMTS>"
MRF = (
    "<MRF_META><CachedSource><Source>/vsicurl/{url}/a.tif</Source></CachedSource><Raster><Size x='64' y='64'/>"
    "<PageSize x='64' y='64'/></Raster></MRF_META>"
)
GTI = "<GDALTileIndexDataset><IndexDataset>/vsicurl/{url}/index.fgb</IndexDataset></GDALTileIndexDataset>"
RAW = (
    '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand"><SourceFilename relativeToVRT="0">/etc/passwd'
    "</SourceFilename><ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset><LineOffset>16</LineOffset>"
    "</VRTRasterBand>"
)
REDIRECT = (
    '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/{url}/ovr.tif</MDI></Metadata>'
    "</PAMDataset>"
)

HOSTILE |= {
    "VRT of /vsicurl": _named("/vsicurl/{url}/a.tif"),
    "VRT of http": _named("{url}/a.tif"),
    "VRT of /vsicurl_streaming": _named("/vsicurl_streaming/{url}/a.tif"),
    "VRT of /vsis3": _named("/vsis3/bucket/a.tif"),
    "VRT of /vsizip of /vsicurl": _named("/vsizip//vsicurl/{url}/a.zip/a.tif"),
    "VRT of /vsigzip of /vsicurl": _named("/vsigzip//vsicurl/{url}/a.tif.gz"),
    "VRT of zip+https": _named("zip+https://host/a.zip!a.tif"),
    "VRT of /vsisubfile": _named("/vsisubfile/0_1000,/etc/passwd"),
    "VRT of /vsistdin": _named("/vsistdin/"),
    "VRT of /vsisparse": _named("/vsisparse/{folder}/a.xml"),
    "VRT of /vsicached": _named("/vsicached?file=/etc/passwd"),
    "VRT of /vsimem": _named("/vsimem/a.tif"),
    "VRT of GTIFF_DIR": _named("GTIFF_DIR:1:{secret}"),
    "VRT of GTIFF_DIR of /vsicurl": _named("GTIFF_DIR:1:/vsicurl/{url}/a.tif"),
    "VRT of NETCDF": _named('NETCDF:"{url}/a.nc":z'),
    "VRT of WMS:": _named("WMS:{url}?layers=a"),
    "VRT of WMTS:": _named("WMTS:{url}"),
    "VRT of EEDAI:": _named("EEDAI:image"),
    "VRT of DERIVED_SUBDATASET": _named("DERIVED_SUBDATASET:LOGAMPLITUDE:{secret}"),
    "VRT of an inline VRT": _named("&lt;VRTDataset rasterXSize='1' rasterYSize='1'/&gt;"),
    "VRT of an inline WMS": _named("&lt;GDAL_WMS&gt;&lt;/GDAL_WMS&gt;"),
    "VRT of an absolute name elsewhere": _named("{secret}"),
    "VRT of a relative name elsewhere": _named("../../private/deep/secret.tif", 1),
    "VRT of a name through many folders": _named("a/../../../private/deep/secret.tif", 1),
    "VRT of /etc/passwd": _named("/etc/passwd"),
    "VRT of a device": _named("/dev/zero"),
    "VRT of the list of mounts": _named("/proc/self/mounts"),
    "VRT that names itself": _named("evil.vrt", 1),
    "VRT of a coded slash": _named("&#47;vsicurl&#x2F;{url}/a.tif"),
    "VRT of a raw band": _written(_vrt(RAW)),
    "VRT of a raw band in other cases": _written(_vrt(RAW.replace("subClass", "SUBCLASS").replace("Raw", "RAW"))),
    "VRT of a raw band by an element": _written(
        _vrt(RAW.replace(' subClass="VRTRawRasterBand">', "><subClass>VRTRawRasterBand</subClass>"))
    ),
    "VRT of a source in an attribute": _written(
        _vrt('<VRTRasterBand dataType="Float32" band="1"><SimpleSource SourceFilename="{secret}"/></VRTRasterBand>')
    ),
    "VRT of a name with a comment": _written(_vrt(_band("/vsicurl/{url}/<!-- -->a.tif", 0))),
    "VRT of a name in CDATA": _written(_vrt(_band("<![CDATA[{secret}]]>", 0))),
    "VRT of a name by an entity": _written(
        '<!DOCTYPE a [<!ENTITY s "{secret}">]>' + _vrt(_band("&s;", 0)).replace("<?", "")
    ),
    "VRT of a billion laughs": _written(
        "<!DOCTYPE a ["
        + "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(9))
        + "]>"
        + _vrt(_band("&a9;"))
    ),
    "VRT of elements in capitals": _written(
        _vrt(_band("/vsicurl/{url}/a.tif", 0)).replace("SourceFilename", "SOURCEFILENAME")
    ),
    "VRT that is warped from elsewhere": _written(
        _vrt(
            '<VRTRasterBand dataType="Float32" band="1" subClass="VRTWarpedRasterBand"/><GDALWarpOptions>'
            '<SourceDataset relativeToVRT="0">/vsicurl/{url}/a.tif</SourceDataset></GDALWarpOptions>',
            ' subClass="VRTWarpedDataset"',
        )
    ),
    "VRT that is warped by a DEM elsewhere": _written(
        _vrt(
            "<GDALWarpOptions><Transformer><GenImgProjTransformer><SrcRPCTransformer><RPCTransformer><DEMPath>"
            "/vsicurl/{url}/dem.tif</DEMPath></RPCTransformer></SrcRPCTransformer></GenImgProjTransformer>"
            "</Transformer></GDALWarpOptions>",
            ' subClass="VRTWarpedDataset"',
        )
    ),
    "VRT whose CRS is fetched": _written(
        _vrt(
            "<GDALWarpOptions><Transformer><ReprojectionTransformer><SourceSRS>{url}/crs</SourceSRS>"
            "</ReprojectionTransformer></Transformer></GDALWarpOptions>",
            ' subClass="VRTWarpedDataset"',
        )
    ),
    "VRT of a pansharpened image": _written(
        _vrt(
            "<PansharpeningOptions><PanchroBand><SourceFilename>{secret}</SourceFilename></PanchroBand>"
            "</PansharpeningOptions>",
            ' subClass="VRTPansharpenedDataset"',
        )
    ),
    "VRT of processing steps": _written(
        _vrt(
            "<Input><SourceFilename>tile.tif</SourceFilename></Input><ProcessingSteps><Step><Algorithm>BandAffine"
            'Combination</Algorithm><Argument name="gain_dataset_filename_1">/vsicurl/{url}/g.tif</Argument></Step>'
            "</ProcessingSteps>",
            ' subClass="VRTProcessedDataset"',
        )
    ),
    "VRT of code": _written(
        _vrt(
            '<VRTRasterBand dataType="Float32" band="1" subClass="VRTDerivedRasterBand"><PixelFunctionType>f'
            "</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionCode>def f(a,b,*c):"
            ' open("/tmp/owned","w")</PixelFunctionCode></VRTRasterBand>'
        )
    ),
    "VRT of options of opening": _written(
        _vrt(
            _band("tile.tif").replace(
                "<SourceBand>", '<OpenOptions><OOI key="X">/etc/passwd</OOI></OpenOptions><SourceBand>'
            )
        )
    ),
    "VRT of a multidimensional array": _written(
        '<VRTDataset><Group name="/"><Array name="z"><DataType>Float32</DataType><Source><SourceFilename>/vsicurl/{url}'
        "/a.nc</SourceFilename></Source></Array></Group></VRTDataset>"
    ),
    "VRT whose overviews lie elsewhere": _written(
        _vrt(
            _band(
                "tile.tif",
                1,
                '<Overview><SourceFilename relativeToVRT="0">/vsicurl/{url}/o.tif</SourceFilename><SourceBand>1'
                "</SourceBand></Overview>",
            )
        )
    ),
    "VRT whose mask lies elsewhere": _written(
        _vrt(
            "<MaskBand><VRTRasterBand><SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource>"
            "</VRTRasterBand></MaskBand>" + _band("tile.tif")
        )
    ),
    "VRT called a TIFF": _written(_vrt(_band("/vsicurl/{url}/a.tif", 0)), "evil.tif"),
    "VRT after a blank": _written("  \n" + _vrt(_band("/vsicurl/{url}/a.tif", 0)), "evil.tif"),
    "WMS description": _written(WMS, "evil.xml"),
    "WMS description called a TIFF": _written(WMS, "evil.tif"),
    "WCS description": _written(WCS, "evil.wcs"),
    "WMTS description": _written(WMTS, "evil.xml"),
    "MRF with a cache": _written(MRF, "evil.mrf"),
    "tile index": _written(GTI, "evil.gti"),
    "STAC asset": _written(
        '{"stac_version": "1.0.0", "type": "Feature", "assets": {"a": {"href": "{url}/a.tif"}}}', "e.json"
    ),
    "name of an inline WMS": _given("<GDAL_WMS><Service/></GDAL_WMS>"),
    "name of WMS:": _given("WMS:{url}?layers=a"),
    "name of /vsisubfile": _given("/vsisubfile/0_1000,{secret}"),
    "name of /vsistdin": _given("/vsistdin/"),
    "name of /vsicached": _given("/vsicached?file={secret}"),
    "name of a derived dataset": _given("DERIVED_SUBDATASET:LOGAMPLITUDE:{secret}"),
    "name of a netCDF at an address": _given('NETCDF:"{url}/a.nc":z'),
    "name of a device": _given("/dev/zero"),
    "name with a line break": _given("{folder}/a\n.tif"),
}


def _as_tile(text: str) -> Maker:
    """A VRT whose tile is a file of that text."""

    def make(scene: Scene) -> str:
        _written(text, "other.tif")(scene)
        return str(plain_vrt(scene.folder / "evil.vrt", "other.tif"))

    return make


for _name, _text in {"WMS": WMS, "WCS": WCS, "WMTS": WMTS, "MRF": MRF, "tile index": GTI}.items():
    HOSTILE[f"VRT of a {_name} called a TIFF"] = _as_tile(_text)


def _beside(ending: str, text: str, nested: bool) -> Maker:
    """A text beside a TIFF that is opened, or that a VRT names."""

    def make(scene: Scene) -> str:
        _written(text, f"tile.tif{ending}")(scene)
        return str(plain_vrt(scene.folder / "evil.vrt", "tile.tif") if nested else scene.folder / "tile.tif")

    return make


for _nested in (False, True):
    _of = "VRT of a TIFF" if _nested else "TIFF"
    HOSTILE[f"{_of} with metadata that redirect"] = _beside(".aux.xml", REDIRECT, _nested)
    HOSTILE[f"{_of} with coded metadata that redirect"] = _beside(
        ".aux.xml", REDIRECT.replace("OVERVIEW_FILE", "OVERVIEW&#95;FILE"), _nested
    )
    HOSTILE[f"{_of} with overviews from WMS"] = _beside(".ovr", WMS, _nested)
    HOSTILE[f"{_of} with a mask from a VRT"] = _beside(".msk", _vrt(_band("/vsicurl/{url}/a.tif", 0)), _nested)


@_attack("TIFF with a tag that redirects")
def _tag(scene: Scene) -> str:
    with rasterio.open(scene.folder / "tile.tif", "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{scene.url}/ovr.tif")
    return str(scene.folder / "tile.tif")


@_attack("VRT of a TIFF with a tag that redirects")
def _nested_tag(scene: Scene) -> str:
    _tag(scene)
    return str(plain_vrt(scene.folder / "evil.vrt", "tile.tif"))


@_attack("VRT of a link that leads elsewhere")
def _link(scene: Scene) -> str:
    (scene.folder / "link.tif").symlink_to(scene.secret)
    return str(plain_vrt(scene.folder / "evil.vrt", "link.tif"))


@_attack("VRT through a folder that leads elsewhere")
def _folder_link(scene: Scene) -> str:
    (scene.folder / "deep").symlink_to(scene.secret.parent)
    return str(plain_vrt(scene.folder / "evil.vrt", "deep/secret.tif"))


@_attack("VRT of a VRT elsewhere")
def _nested_vrt(scene: Scene) -> str:
    plain_vrt(scene.folder / "inner.vrt", str(scene.secret), 0)
    return str(plain_vrt(scene.folder / "evil.vrt", "inner.vrt"))


@_attack("VRT of an archive elsewhere")
def _archive(scene: Scene) -> str:
    with zipfile.ZipFile(scene.secret.parent / "a.zip", "w") as archive:
        archive.write(scene.secret, "a.tif")
    return str(plain_vrt(scene.folder / "evil.vrt", f"/vsizip/{scene.secret.parent}/a.zip/a.tif", 0))


@_attack("VRT in an archive")
def _in_archive(scene: Scene) -> str:
    with zipfile.ZipFile(scene.folder / "a.zip", "w") as archive:
        archive.writestr("evil.vrt", _vrt(_band(str(scene.secret), 0)))
    return f"/vsizip/{scene.folder}/a.zip/evil.vrt"


@_attack("VRT of a VRT in an archive")
def _of_archive(scene: Scene) -> str:
    return str(plain_vrt(scene.folder / "outer.vrt", _in_archive(scene), 0))


@_attack("VRTs that name each other")
def _circle(scene: Scene) -> str:
    plain_vrt(scene.folder / "a.vrt", "b.vrt")
    return str(plain_vrt(scene.folder / "b.vrt", "a.vrt"))


@_attack("VRTs that double at each of 40 levels")
def _doubling(scene: Scene) -> str:
    below = "tile.tif"
    for i in range(40):
        (scene.folder / f"{i}.vrt").write_text(
            _vrt(_band(below).replace("</VRTRasterBand>", "") + _band(below).partition(">")[2]), encoding="utf-8"
        )
        below = f"{i}.vrt"
    return str(scene.folder / below)


@_attack("VRTs that grow tenfold at each of 14 levels")
def _tenfold(scene: Scene) -> str:
    shutil.copy(scene.folder / "tile.tif", scene.folder / "t0.tif")
    below = "t0.tif"
    for i in range(14):
        names = [f"{i}_{n}.vrt" for n in range(10)]
        for name in names:
            source = _band(below)
            inner = source.partition(">")[2].removesuffix("</VRTRasterBand>")
            body = "".join(
                inner.replace(below, b) for b in ([below] if i == 0 else [f"{i - 1}_{n}.vrt" for n in range(10)])
            )
            (scene.folder / name).write_text(
                _vrt(f'<VRTRasterBand dataType="Float32" band="1">{body}</VRTRasterBand>'), encoding="utf-8"
            )
        below = names[0]
    return str(scene.folder / below)


if hasattr(os, "mkfifo"):

    @_attack("pipe")
    def _pipe(scene: Scene) -> str:
        os.mkfifo(scene.folder / "pipe.tif")
        return str(scene.folder / "pipe.tif")

    @_attack("VRT of a pipe")
    def _of_pipe(scene: Scene) -> str:
        _pipe(scene)
        return str(plain_vrt(scene.folder / "evil.vrt", "pipe.tif"))

    @_attack("TIFF with a pipe as its overviews")
    def _pipe_beside(scene: Scene) -> str:
        os.mkfifo(scene.folder / "tile.tif.ovr")
        return str(scene.folder / "tile.tif")


try:
    import h5py
except ImportError:  # an extra
    h5py = None

if h5py is not None:

    def _hdf5(scene: Scene, write: Callable[[h5py.File], None]) -> str:
        path = scene.folder / "evil.h5"
        with h5py.File(path, "w") as file:
            write(file)
        return str(path)

    @_attack("HDF5 that keeps its numbers in /etc/passwd")
    def _external(scene: Scene) -> str:
        return _hdf5(
            scene,
            lambda f: (
                f.create_dataset("z", (SIDE, SIDE), np.uint8, external=[("/etc/passwd", 0, SIDE * SIDE)]) and None
            ),
        )

    @_attack("HDF5 that links to another file")
    def _hdf5_link(scene: Scene) -> str:
        return _hdf5(scene, lambda f: f.__setitem__("z", h5py.ExternalLink(str(scene.secret), "/z")))

    @_attack("HDF5 of a virtual dataset")
    def _virtual(scene: Scene) -> str:
        layout = h5py.VirtualLayout((SIDE, SIDE), np.float32)
        layout[:] = h5py.VirtualSource(str(scene.secret), "z", (SIDE, SIDE))
        return _hdf5(scene, lambda f: f.create_virtual_dataset("z", layout) and None)
