"""Class maps as files: numbers, names and colours of impervious surface, and the style file for QGIS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

from terrafine.atomic import Publish, publish, written
from terrafine.errors import OutputError
from terrafine.raster.read.content_type import CLASS_NAMES
from terrafine.raster.write.encoding import Encoding

__all__ = [
    "BUILDING",
    "CLASSES",
    "COLOURS",
    "IMPERVIOUS",
    "PERCENT",
    "REFLECTANCE",
    "class_tags",
    "style_path",
    "write_style",
]

CLASSES: Mapping[int, str] = {0: "other", 1: "impervious"}
BUILDING = 2
"""Number of impervious ground that is a building, in the maps of models that tell buildings apart."""
COLOURS: Mapping[int, tuple[int, int, int]] = {0: (232, 236, 222), 1: (178, 34, 52), BUILDING: (92, 18, 40)}

IMPERVIOUS = Encoding("uint8", nodata=255, palette=COLOURS)
"""0 other, 1 impervious, 2 impervious and a building, 255 unknown."""
PERCENT = Encoding("uint8", scale=0.01, nodata=255)
"""Probability or its standard deviation in whole per cent, 255 unknown; the file states the scale."""
REFLECTANCE = Encoding("int16", scale=1e-4, nodata=-32768)
"""Reflectance × 10,000, -32768 unknown; the file states the scale."""


def class_tags(buildings: bool = False) -> dict[str, str]:
    """Return the tag that names the classes inside the file: `0=other;1=impervious`, and perhaps `2=building`.

    Parameters
    ----------
    buildings
        Whether the map separates buildings.

    Returns
    -------
    dict[str, str]
        The tag.
    """
    return {CLASS_NAMES: ";".join(f"{number}={name}" for number, name in _classes(buildings).items())}


def style_path(path: Path) -> Path:
    """Return where QGIS looks for the style of a raster: `impervious.qml` beside `impervious.tif`.

    Parameters
    ----------
    path
        The raster.

    Returns
    -------
    Path
        The style file.
    """
    return path.with_suffix(".qml")


def write_style(target: Path, publish: Publish = publish, buildings: bool = False) -> None:
    """Write the QGIS style of a class map.

    Parameters
    ----------
    target
        The style file.
    publish
        Brings the finished file under its final name.
    buildings
        Whether the map separates buildings.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        with written(target, publish) as part:
            part.write_text(_style(_classes(buildings)), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{target}: the style cannot be written ({error.strerror}); check the folder") from error


def _classes(buildings: bool) -> Mapping[int, str]:
    return {**CLASSES, BUILDING: "building"} if buildings else CLASSES


def _style(classes: Mapping[int, str]) -> str:
    entries = "\n".join(
        f'        <paletteEntry value="{number}" label={quoteattr(name)} alpha="255" '
        f'color="#{"".join(f"{c:02x}" for c in COLOURS[number])}"/>'
        for number, name in classes.items()
    )
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis styleCategories="Symbology" version="3.28">
  <pipe>
    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">
      <colorPalette>
{entries}
      </colorPalette>
    </rasterrenderer>
    <rasterresampler zoomedInResampler="nearest" zoomedOutResampler="nearest"/>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
"""
