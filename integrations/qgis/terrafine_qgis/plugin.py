"""The plugin: registers the provider of algorithms, in QGIS and in `qgis_process`."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication

from .provider import TerrafineProvider


class TerrafinePlugin:
    """What QGIS loads.

    Parameters
    ----------
    iface
        Interface of QGIS; None in `qgis_process`.
    """

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: TerrafineProvider | None = None

    def initProcessing(self) -> None:  # noqa: N802
        """Register the provider; `qgis_process` calls this alone."""
        self.provider = TerrafineProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:  # noqa: N802
        """Register the provider."""
        self.initProcessing()

    def unload(self) -> None:
        """Remove the provider."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
