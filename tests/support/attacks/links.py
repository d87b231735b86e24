"""Virtual rasters and symbolic links: sources by other paths than they seem, loops, and outputs that are inputs."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.attacks.model import Attack, Expected, command, put, sharpened

KIND = "virtual rasters and links"
_VRT = (
    '<VRTDataset rasterXSize="24" rasterYSize="24"><SRS>EPSG:32633</SRS><GeoTransform>500000,30,0,5000000,0,-30</GeoT'
    'ransform><VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename relativeToVRT='
    '"{relative}">{source}</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>'
)


def vrt(path: Path, source: object, relative: int = 1, band: int = 1) -> Path:
    """A VRT of one source."""
    path.write_text(_VRT.format(source=source, relative=relative, band=band), encoding="utf-8")
    return path


def base(folder: Path, name: str = "a.tif") -> Path:
    """The raster that the others lead to."""
    folder.mkdir(parents=True, exist_ok=True)
    return put(folder / name)


def link(path: Path, target: object) -> Path:
    path.symlink_to(str(target))
    return path


def _plain(d: Path) -> str:
    base(d)
    return sharpened(vrt(d / "v.vrt", "a.tif"))


def _through_link(d: Path) -> str:
    base(d / "data")
    vrt(d / "data/v.vrt", "a.tif")
    return sharpened(link(d / "l.vrt", "data/v.vrt"))


def _linked_folder(d: Path) -> str:
    base(d / "data")
    link(d / "b", "data")
    return sharpened(vrt(d / "v.vrt", "b/a.tif"))


def _up_from_a_link(d: Path) -> str:
    base(d / "x/y")
    link(d / "s", "x/y")
    return sharpened(vrt(d / "v.vrt", "s/../y/a.tif"))


def _linked_source(d: Path) -> str:
    base(d)
    link(d / "k.tif", "a.tif")
    return sharpened(vrt(d / "v.vrt", "k.tif"))


def _nested(d: Path) -> str:
    base(d)
    vrt(d / "in.vrt", "a.tif")
    return sharpened(vrt(d / "v.vrt", "in.vrt"))


def _two_links(d: Path) -> str:
    base(d)
    vrt(d / "v.vrt", "a.tif")
    (d / "q").mkdir()
    link(d / "q/l.vrt", d / "v.vrt")
    return sharpened(link(d / "l2.vrt", "q/l.vrt"))


def _strange_names(d: Path) -> str:
    base(d / "sp ace ü")
    return sharpened(vrt(d / "sp ace ü/v v.vrt", "a.tif"))


def _escaped(d: Path) -> str:
    base(d, "a&b.tif")
    return sharpened(vrt(d / "v.vrt", "a&amp;b.tif"))


def _through_parent(d: Path) -> str:
    base(d)
    return sharpened(vrt(d / "v.vrt", f"../{d.name}/a.tif"))


def _absent(d: Path) -> str:
    return sharpened(vrt(d / "v.vrt", "absent.tif"))


def _of_itself(d: Path) -> str:
    return sharpened(vrt(d / "v.vrt", "v.vrt"))


def _of_each_other(d: Path) -> str:
    vrt(d / "w.vrt", "v.vrt")
    return sharpened(vrt(d / "v.vrt", "w.vrt"))


def _link_loop(d: Path) -> str:
    link(d / "m.tif", "l.tif")
    return sharpened(link(d / "l.tif", "m.tif"))


def _dangling(d: Path) -> str:
    return sharpened(link(d / "l.tif", "gone.tif"))


def _cut(d: Path) -> str:
    base(d)
    path = vrt(d / "v.vrt", "a.tif")
    path.write_text(path.read_text(encoding="utf-8")[:-60], encoding="utf-8")
    return sharpened(path)


def _band_that_is_not_there(d: Path) -> str:
    base(d)
    return sharpened(vrt(d / "v.vrt", "a.tif", band=2))


def _archive(d: Path) -> str:
    base(d)
    with zipfile.ZipFile(d / "z.zip", "w") as archive:
        archive.write(d / "a.tif", "a.tif")
    command("dem", f"/vsizip/{d}/z.zip/a.tif", d / "o.tif", "--scale", 2, "--model", "nearest")
    return "" if (d / "o.tif").is_file() else "no output"


def _onto(d: Path, name: str, *, hard: bool = False) -> str:
    """An output that leads to the input."""
    source = base(d)
    if hard:
        os.link(source, d / name)
    else:
        link(d / name, "a.tif")
    command("dem", source, d / name, "--scale", 2, "--model", "nearest")
    return "the input was overwritten"


def _onto_the_source_of_a_vrt(d: Path) -> str:
    source = base(d)
    command("dem", vrt(d / "v.vrt", "a.tif"), source, "--scale", 2, "--model", "nearest")
    return "the source was overwritten"


def _onto_a_link(d: Path) -> str:
    source = base(d)
    (d / "t").mkdir()
    link(d / "o.tif", "t/x.tif")
    fault = sharpened(source)
    return fault or ("" if (d / "o.tif").is_symlink() and (d / "t/x.tif").is_file() else "the link was replaced")


def _into_no_folder(d: Path) -> str:
    return sharpened(base(d), out=d / "new/o.tif")


def attacks() -> Iterator[Attack]:
    """All inputs of this kind."""
    right = (
        _plain, _through_link, _linked_folder, _up_from_a_link, _linked_source, _nested, _two_links, _strange_names,
        _escaped, _archive, _onto_a_link,
    )  # fmt: skip
    refused = (
        _absent, _of_itself, _of_each_other, _link_loop, _dangling, _cut, _band_that_is_not_there,
        _onto_the_source_of_a_vrt, _into_no_folder,
    )  # fmt: skip
    groups: tuple[tuple[tuple[Callable[[Path], str], ...], Expected], ...] = (
        (right, "right"), (refused, "refused"), ((_through_parent,), "either"),
    )  # fmt: skip
    for runs, expected in groups:
        for run in runs:
            yield Attack(KIND, run.__name__.strip("_").replace("_", " "), run, expected)
    yield Attack(KIND, "absolute source", lambda d: sharpened(vrt(d / "v.vrt", base(d), 0)))
    yield Attack(KIND, "dots in the source", lambda d: (base(d), sharpened(vrt(d / "v.vrt", "./././a.tif")))[1])
    for source in ("/vsizip/x.zip/a.tif", "/vsicurl/http://127.0.0.1:9/a.tif", "http://127.0.0.1:9/a.tif", "/dev/zero"):
        yield Attack(KIND, f"source {source}", lambda d, s=source: sharpened(vrt(d / "v.vrt", s, 0)), "refused")
    yield Attack(KIND, "output linked to the input", lambda d: _onto(d, "b.tif"), "refused")
    yield Attack(KIND, "output hard-linked to the input", lambda d: _onto(d, "b.tif", hard=True), "refused")
