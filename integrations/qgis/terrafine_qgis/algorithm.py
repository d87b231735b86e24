"""A verb of `terrafine` as a Processing algorithm: the dialog from its row of the table, the run as a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputHtml,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterDestination,
)

from .command import arguments, main_result
from .fields import add_to, is_given, value_of
from .process import Ended, run
from .progress import step_of
from .settings import installed
from .styles import styled_when_loaded
from .verbs import Verb

OUTPUT = "OUTPUT"
PAGE = "PAGE"


def run_with_feedback(command: list[str], feedback: QgsProcessingFeedback) -> Ended:
    """Run a command; its percentages move the bar, and its other lines go to the log."""
    stage = ""

    def on_line(line: str) -> None:
        nonlocal stage
        step = step_of(line)
        if step is None:
            show = feedback.pushWarning if line.lower().startswith(("note:", "warning:")) else feedback.pushConsoleInfo
            show(line)
            return
        if step.stage != stage:
            stage = step.stage
            feedback.setProgressText(stage)
        feedback.setProgress(step.percent)

    feedback.pushCommandInfo(" ".join(f'"{w}"' if " " in w else w for w in command))
    return run(command, on_line, feedback.isCanceled)


class TerrafineAlgorithm(QgsProcessingAlgorithm):
    """The algorithm of one verb.

    Parameters
    ----------
    verb
        Its row of the table.
    """

    def __init__(self, verb: Verb) -> None:
        super().__init__()
        self.verb = verb

    def createInstance(self) -> TerrafineAlgorithm:  # noqa: N802
        """A fresh copy, as QGIS asks for each run."""
        return TerrafineAlgorithm(self.verb)

    def name(self) -> str:
        """Its id behind `terrafine:`."""
        return self.verb.name

    def displayName(self) -> str:  # noqa: N802
        """Its name in the toolbox."""
        return self.verb.title

    def shortHelpString(self) -> str:  # noqa: N802
        """The text beside the dialog."""
        return self.verb.help

    def tags(self) -> list[str]:
        """Words that the toolbox finds it by."""
        return ["terrafine", *self.verb.tags]

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:  # noqa: N802
        """Declare inputs, options and output."""
        for parameter in (*self.verb.inputs, *self.verb.options):
            add_to(self, parameter)
        if self.verb.report:
            self.addParameter(QgsProcessingParameterFolderDestination(OUTPUT, self.verb.output))
            self.addOutput(QgsProcessingOutputHtml(PAGE, "Report"))
        else:
            self.addParameter(QgsProcessingParameterRasterDestination(OUTPUT, self.verb.output))

    def checkParameterValues(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuse what QGIS would accept and the program cannot read, before anything runs."""
        for parameter in (*self.verb.inputs, *self.verb.options):
            if is_given(parameter, parameters):
                try:
                    value_of(self, parameter, parameters, context)
                except QgsProcessingException as e:
                    return False, str(e)
        output = self.parameterAsOutputLayer(parameters, OUTPUT, context) if not self.verb.report else ""
        if output and Path(output).suffix.lower() not in (".tif", ".tiff"):
            return False, f"{output}: Terrafine writes GeoTIFF; end the name in .tif"
        return super().checkParameterValues(parameters, context)

    def processAlgorithm(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the program, and hand over what it wrote."""
        program = installed(feedback)
        values = {
            p.name: value_of(self, p, parameters, context)
            for p in (*self.verb.inputs, *self.verb.options)
            if is_given(p, parameters)
        }
        output = self._output(parameters, context)
        try:
            words = arguments(self.verb, values, output)
        except ValueError as e:
            raise QgsProcessingException(str(e)) from e
        ended = run_with_feedback([program.path, *words], feedback)
        if ended.cancelled:
            feedback.pushInfo("Cancelled. Run it again with the same output to resume.")
            return {}
        if ended.code:
            raise QgsProcessingException(f"{ended.message()}\n(terrafine {self.verb.name}, exit code {ended.code})")
        return self._results(output, context)

    def _output(self, parameters: dict[str, Any], context: QgsProcessingContext) -> str:
        if self.verb.report:
            folder = str(self.parameterAsString(parameters, OUTPUT, context))
            Path(folder).mkdir(parents=True, exist_ok=True)
            return folder
        return str(self.parameterAsOutputLayer(parameters, OUTPUT, context))

    def _results(self, output: str, context: QgsProcessingContext) -> dict[str, Any]:
        result = main_result(self.verb, output)
        if not Path(result).is_file():
            raise QgsProcessingException(f"{result}: not written, although the program ended without an error")
        if self.verb.report:
            return {OUTPUT: output, PAGE: result}
        styled_when_loaded(self.verb.style, output, context)
        return {OUTPUT: output}
