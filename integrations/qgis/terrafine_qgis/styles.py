"""How results are drawn: relief as a hillshade, classes by their style file, images stretched, radar in decibels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsContrastEnhancement,
    QgsHillshadeRenderer,
    QgsMultiBandColorRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterBandStats,
    QgsRasterLayer,
    QgsSingleBandGrayRenderer,
)

__all__ = ["apply", "styled_when_loaded"]

AZIMUTH, ALTITUDE = 315.0, 45.0
_SAMPLE = 250_000  # cells that the limits of a stretch are taken from
_kept: list[Any] = []  # QGIS does not hold post-processors itself


class _Styled(QgsProcessingLayerPostProcessorInterface):
    """Draws a layer once QGIS has loaded it."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self.style = style

    def postProcessLayer(  # noqa: N802
        self, layer: Any, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Set the renderer."""
        if isinstance(layer, QgsRasterLayer):
            apply(self.style, layer)


def styled_when_loaded(style: str, output: str, context: QgsProcessingContext) -> None:
    """Ask QGIS to draw an output so, if the user wanted it loaded."""
    if style and context.willLoadLayerOnCompletion(output):
        made = _Styled(style)
        del _kept[:-20]
        _kept.append(made)
        context.layerToLoadOnCompletionDetails(output).setPostProcessor(made)


def apply(style: str, layer: QgsRasterLayer) -> None:
    """Set the renderer of a layer."""
    if style == "hillshade":
        _hillshade(layer)
    elif style == "classes":
        _from_file(layer)
    elif style == "colours":
        _colours(layer)
    elif style == "backscatter":
        _gray(layer, layer.bandCount())
    layer.triggerRepaint()


def _hillshade(layer: QgsRasterLayer) -> None:
    renderer = QgsHillshadeRenderer(layer.dataProvider(), 1, AZIMUTH, ALTITUDE)
    if layer.crs().isGeographic():
        renderer.setZFactor(1 / 111_320)  # heights in metres on cells in degrees
    renderer.setMultiDirectional(True)
    layer.setRenderer(renderer)


def _from_file(layer: QgsRasterLayer) -> None:
    """The style that Terrafine writes beside a map."""
    path = Path(layer.source()).with_suffix(".qml")
    if path.is_file():
        layer.loadNamedStyle(str(path))


def _stretch(layer: QgsRasterLayer, band: int) -> QgsContrastEnhancement:
    provider = layer.dataProvider()
    low, high = provider.cumulativeCut(band, 0.02, 0.98, layer.extent(), _SAMPLE)
    if not low < high:
        stats = provider.bandStatistics(band, QgsRasterBandStats.Min | QgsRasterBandStats.Max, layer.extent(), _SAMPLE)
        low, high = stats.minimumValue, stats.maximumValue
    enhancement = QgsContrastEnhancement(provider.dataType(band))
    enhancement.setContrastEnhancementAlgorithm(QgsContrastEnhancement.StretchToMinimumMaximum)
    enhancement.setMinimumValue(low)
    enhancement.setMaximumValue(high)
    return enhancement


def _colours(layer: QgsRasterLayer) -> None:
    if layer.bandCount() < 3:
        _gray(layer, 1)
        return
    renderer = QgsMultiBandColorRenderer(layer.dataProvider(), 1, 2, 3)
    renderer.setRedContrastEnhancement(_stretch(layer, 1))
    renderer.setGreenContrastEnhancement(_stretch(layer, 2))
    renderer.setBlueContrastEnhancement(_stretch(layer, 3))
    layer.setRenderer(renderer)


def _gray(layer: QgsRasterLayer, band: int) -> None:
    renderer = QgsSingleBandGrayRenderer(layer.dataProvider(), band)
    renderer.setContrastEnhancement(_stretch(layer, band))
    layer.setRenderer(renderer)
