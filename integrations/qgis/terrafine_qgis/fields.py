"""Parameters of a dialog from rows of the table, and their values back as text, numbers and files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
    QgsRectangle,
)

from .verbs import CHOICE, CRS, EXTENT, FILE, FLAG, INTEGER, NUMBER, RASTER, RASTERS, TEXT, VECTOR, Parameter

__all__ = ["add_to", "is_given", "value_of"]


def add_to(algorithm: QgsProcessingAlgorithm, parameter: Parameter) -> None:
    """Declare a parameter."""
    made = _definition(parameter)
    if parameter.advanced:
        made.setFlags(made.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
    algorithm.addParameter(made)


def _definition(p: Parameter) -> QgsProcessingParameterDefinition:
    optional = not p.required
    makers: dict[str, Callable[[], QgsProcessingParameterDefinition]] = {
        RASTERS: lambda: QgsProcessingParameterMultipleLayers(
            p.name, p.label, QgsProcessing.TypeRaster, optional=optional
        ),
        RASTER: lambda: QgsProcessingParameterRasterLayer(p.name, p.label, optional=optional),
        VECTOR: lambda: QgsProcessingParameterVectorLayer(
            p.name, p.label, [QgsProcessing.TypeVectorPolygon], optional=optional
        ),
        FLAG: lambda: QgsProcessingParameterBoolean(p.name, p.label, defaultValue=bool(p.default)),
        CHOICE: lambda: QgsProcessingParameterEnum(
            p.name, p.label, list(p.choices), defaultValue=p.default, optional=optional, usesStaticStrings=True
        ),
        NUMBER: lambda: _number(p, QgsProcessingParameterNumber.Double),
        INTEGER: lambda: _number(p, QgsProcessingParameterNumber.Integer),
        CRS: lambda: QgsProcessingParameterCrs(p.name, p.label, optional=optional),
        EXTENT: lambda: QgsProcessingParameterExtent(p.name, p.label, optional=optional),
        FILE: lambda: QgsProcessingParameterFile(p.name, p.label, optional=optional),
        TEXT: lambda: QgsProcessingParameterString(p.name, p.label, defaultValue=p.default, optional=optional),
    }
    return makers[p.kind]()


def _number(p: Parameter, kind: int) -> QgsProcessingParameterNumber:
    made = QgsProcessingParameterNumber(p.name, p.label, type=kind, defaultValue=p.default, optional=not p.required)
    if p.minimum is not None:
        made.setMinimum(p.minimum)
    return made


def is_given(p: Parameter, parameters: dict[str, Any]) -> bool:
    """Whether a value stands for it; a number that is not given has none, not 0."""
    return parameters.get(p.name) not in (None, "", [])


def value_of(
    algorithm: QgsProcessingAlgorithm, p: Parameter, parameters: dict[str, Any], context: QgsProcessingContext
) -> object:
    """The value of a parameter that is given, as `command.arguments` takes it."""
    at = (parameters, p.name, context)
    readers: dict[str, Callable[[], object]] = {
        RASTERS: lambda: [_file(p, layer) for layer in algorithm.parameterAsLayerList(*at)],
        RASTER: lambda: _file(p, algorithm.parameterAsLayer(*at)),
        VECTOR: lambda: _file(p, algorithm.parameterAsLayer(*at)),
        FLAG: lambda: bool(algorithm.parameterAsBool(*at)),
        CHOICE: lambda: str(algorithm.parameterAsEnumString(*at)),
        INTEGER: lambda: int(algorithm.parameterAsInt(*at)),
        NUMBER: lambda: float(algorithm.parameterAsDouble(*at)),
        CRS: lambda: _crs(algorithm.parameterAsCrs(*at)),
        EXTENT: lambda: _box(algorithm.parameterAsExtent(*at, QgsCoordinateReferenceSystem("EPSG:4326"))),
    }
    return readers.get(p.kind, lambda: str(algorithm.parameterAsString(*at)))()


def _crs(crs: QgsCoordinateReferenceSystem) -> str:
    return str(crs.authid() or crs.toWkt())


def _box(extent: QgsRectangle) -> str:
    """West, south, east, north in degrees."""
    sides = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
    return ",".join(f"{side:.7f}" for side in sides)


def _file(p: Parameter, layer: QgsMapLayer | None) -> str:
    """The file of a layer; layers of services and of memory have none, and a subset of features would be ignored."""
    if layer is None:
        raise QgsProcessingException(f"{p.label}: the layer cannot be read")
    provider = layer.providerType()
    source = str(layer.source())
    if provider not in ("gdal", "ogr"):
        raise QgsProcessingException(
            f"{p.label}: {layer.name()} comes from “{provider}”, not from a file; export it to a GeoTIFF or GeoPackage"
        )
    path, _, subset = source.partition("|")
    if p.kind == VECTOR and "subset=" in subset:
        raise QgsProcessingException(f"{p.label}: {layer.name()} has a filter; export what it shows to a file")
    return path
