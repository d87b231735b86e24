"""The guided step to an installation: an environment outside QGIS, made with a log of every command; and its check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from .algorithm import run_with_feedback
from .installation import LEAST_PYTHON, candidates, default_folder, find, install_commands, is_new_enough, pythons
from .settings import installed, remember

TORCH = {
    "CPU (smallest download)": "https://download.pytorch.org/whl/cpu",
    "as pip finds it (CUDA on Linux, several gigabytes)": "",
}


class _Installing(QgsProcessingAlgorithm):
    """What the two algorithms of the installation share."""

    def group(self) -> str:
        """Group in the toolbox."""
        return "Installation"

    def groupId(self) -> str:  # noqa: N802
        """Id of the group."""
        return "installation"


class CreateEnvironment(_Installing):
    """Makes a Python environment with Terrafine in it, in a folder of the user's, and states it in the settings."""

    def createInstance(self) -> CreateEnvironment:  # noqa: N802
        """A fresh copy."""
        return CreateEnvironment()

    def name(self) -> str:
        """Its id."""
        return "createenvironment"

    def displayName(self) -> str:  # noqa: N802
        """Its name in the toolbox."""
        return "Terrafine: create environment"

    def shortHelpString(self) -> str:  # noqa: N802
        """The text beside the dialog."""
        least = ".".join(map(str, LEAST_PYTHON))
        return (
            f"Makes a Python environment outside QGIS and installs Terrafine and PyTorch there, with Python {least} or "
            "later. Nothing is installed into QGIS. The path of the program is then stated in Settings > Options > "
            "Processing > Providers > Terrafine. It needs a connection and one to four gigabytes of disk."
        )

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:  # noqa: N802
        """Declare what to install, where, and with which Python."""
        self.addParameter(
            QgsProcessingParameterString(
                "SOURCE", "Terrafine: path of its wheel or of a clone, or a name and version for pip"
            )
        )
        self.addParameter(
            QgsProcessingParameterEnum(
                "TORCH", "PyTorch", list(TORCH), defaultValue=next(iter(TORCH)), usesStaticStrings=True
            )
        )
        self.addParameter(
            QgsProcessingParameterString("FOLDER", "Folder of the environment", defaultValue=str(default_folder()))
        )
        python = QgsProcessingParameterFile("PYTHON", "Python to use (empty: searched for)", optional=True)
        python.setFlags(python.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
        self.addParameter(python)
        self.addOutput(QgsProcessingOutputString("EXECUTABLE", "Executable"))

    def processAlgorithm(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Make it, command by command."""
        folder = Path(self.parameterAsString(parameters, "FOLDER", context)).expanduser()
        if folder.exists() and any(folder.iterdir()):
            raise QgsProcessingException(f"{folder} is not empty; choose another folder, or remove it first")
        python = self._python(self.parameterAsString(parameters, "PYTHON", context))
        torch = TORCH[self.parameterAsEnumString(parameters, "TORCH", context)]
        source = self.parameterAsString(parameters, "SOURCE", context).strip()
        commands = install_commands(python, folder, source, torch)
        for number, command in enumerate(commands, 1):
            feedback.setProgressText(f"step {number} of {len(commands)}")
            ended = run_with_feedback(command, feedback)
            if ended.cancelled:
                feedback.pushInfo(f"Cancelled; {folder} is not complete, remove it before the next try.")
                return {}
            if ended.code:
                raise QgsProcessingException(
                    f"step {number} failed: {ended.message()}; {folder} is not complete, remove it before the next try"
                )
            feedback.setProgress(100 * number / len(commands))
        executable = commands[-1][0]
        found, _ = find(candidates(executable))
        if found is None:
            raise QgsProcessingException(f"{executable} does not run")
        remember(executable)
        feedback.pushInfo(f"terrafine {found.version} is installed, and stated in the settings: {executable}")
        return {"EXECUTABLE": executable}

    def _python(self, chosen: str) -> list[str]:
        for python in pythons(chosen):
            if is_new_enough(python):
                return python
        least = ".".join(map(str, LEAST_PYTHON))
        raise QgsProcessingException(
            f"{chosen or 'no Python on the search path'}: expected Python {least} or later with venv and pip; install "
            "one (python.org, conda, or `apt install python3-venv`) and state it under “Python to use”"
        )


class CheckInstallation(_Installing):
    """Runs `terrafine doctor` with the program that the algorithms use."""

    def createInstance(self) -> CheckInstallation:  # noqa: N802
        """A fresh copy."""
        return CheckInstallation()

    def name(self) -> str:
        """Its id."""
        return "checkinstallation"

    def displayName(self) -> str:  # noqa: N802
        """Its name in the toolbox."""
        return "Terrafine: check installation"

    def shortHelpString(self) -> str:  # noqa: N802
        """The text beside the dialog."""
        return "Finds the program that the algorithms use and looks for what is broken or missing in it."

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:  # noqa: N802
        """Declare the outputs."""
        self.addOutput(QgsProcessingOutputString("EXECUTABLE", "Executable"))
        self.addOutput(QgsProcessingOutputString("VERSION", "Version"))

    def processAlgorithm(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run it."""
        program = installed(feedback)
        ended = run_with_feedback([program.path, "doctor"], feedback)
        if ended.code and not ended.cancelled:
            raise QgsProcessingException(ended.message())
        return {"EXECUTABLE": program.path, "VERSION": program.version}
