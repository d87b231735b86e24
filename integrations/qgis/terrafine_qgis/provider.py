"""The provider `terrafine` of the Processing toolbox, with its setting."""

from __future__ import annotations

from pathlib import Path

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithm import TerrafineAlgorithm
from .create_environment import CheckInstallation, CreateEnvironment
from .settings import EXECUTABLE, GROUP
from .verbs import VERBS

ICON = str(Path(__file__).parent / "icon.svg")


class TerrafineProvider(QgsProcessingProvider):
    """One algorithm for each verb, and two for the installation."""

    def load(self) -> bool:
        """Add the setting `executable`, then the algorithms."""
        ProcessingConfig.settingIcons[GROUP] = self.icon()
        ProcessingConfig.addSetting(
            Setting(
                GROUP,
                EXECUTABLE,
                "Executable of terrafine, or its environment (empty: searched for)",
                "",
                valuetype=Setting.STRING,
            )
        )
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """Remove the setting."""
        ProcessingConfig.removeSetting(EXECUTABLE)

    def loadAlgorithms(self) -> None:  # noqa: N802
        """Add every algorithm."""
        for verb in VERBS:
            self.addAlgorithm(TerrafineAlgorithm(verb))
        self.addAlgorithm(CreateEnvironment())
        self.addAlgorithm(CheckInstallation())

    def id(self) -> str:
        """Prefix of the algorithms."""
        return "terrafine"

    def name(self) -> str:
        """Name in the toolbox."""
        return "Terrafine"

    def longName(self) -> str:  # noqa: N802
        """Name with what it does."""
        return "Terrafine: finer elevation models and maps"

    def icon(self) -> QIcon:
        """Icon in the toolbox."""
        return QIcon(ICON)

    def supportedOutputRasterLayerExtensions(self) -> list[str]:  # noqa: N802
        """GeoTIFF alone: Terrafine writes Cloud-Optimized GeoTIFFs."""
        return ["tif", "tiff"]

    def defaultRasterFileExtension(self) -> str:  # noqa: N802
        """The extension of temporary outputs."""
        return "tif"
