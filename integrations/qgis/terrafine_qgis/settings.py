"""The setting of the plugin, and the installation that it or the search leads to."""

from __future__ import annotations

from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import QgsProcessingException, QgsProcessingFeedback

from .installation import Installation, candidates, find

GROUP = "Terrafine"
EXECUTABLE = "TERRAFINE_EXECUTABLE"

HOW_TO = (
    "Terrafine is a program of its own and is never installed into QGIS. Either run the algorithm “Terrafine: "
    "create environment”, or install it yourself (a Python 3.11 or later outside QGIS, `pip install` of Terrafine) "
    "and state the path of its executable in Settings > Options > Processing > Providers > Terrafine."
)


def installed(feedback: QgsProcessingFeedback) -> Installation:
    """The program to call; an error that leads to the next step where there is none."""
    setting = str(ProcessingConfig.getSetting(EXECUTABLE) or "")
    found, refused = find(candidates(setting))
    for other in refused:
        feedback.pushWarning(f"{other.path} is not used: {other.problem}")
    if found is None:
        where = f"{setting}, the path in the settings, is no executable that runs. " if setting else ""
        raise QgsProcessingException(f"terrafine was not found. {where}{HOW_TO}")
    feedback.pushInfo(f"terrafine {found.version}: {found.path}")
    return found


def remember(path: str) -> None:
    """Store the path of the executable in the settings."""
    ProcessingConfig.setSettingValue(EXECUTABLE, path)
