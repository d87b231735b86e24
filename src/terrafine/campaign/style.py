"""Styles for QGIS beside a mosaic."""

from __future__ import annotations

from pathlib import Path

from terrafine.atomic import write_whole

__all__ = ["write_styles"]

_HILLSHADE = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis styleCategories="Symbology" version="3.28">
  <pipe>
    <rasterrenderer type="hillshade" band="1" azimuth="315" angle="45" zfactor="1" multidirection="1" opacity="1"/>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
"""


def write_styles(target: Path, asset: str, *, buildings: bool = False) -> None:
    """Write the style of a mosaic of classes or heights as NAME.qml; other assets open well without."""
    if asset == "class":
        from terrafine.raster.write.class_style import write_style

        write_style(target.with_suffix(".qml"), buildings=buildings)
    elif asset in ("elevation", "relief"):
        write_whole(target.with_suffix(".qml"), _HILLSHADE.encode())
