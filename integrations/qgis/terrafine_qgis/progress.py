"""Progress out of what `terrafine` prints: bars that redraw a line, and plain lines; pure Python."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Lines", "Step", "step_of"]

_PROGRESS = re.compile(r"^\s*(?P<stage>[^%|]*?)(?P<colon>:?)\s*(?P<percent>\d{1,3})\s?%(?P<after>.*)$")
_REMARK = ("note:", "warning:", "error:")


@dataclass(frozen=True)
class Step:
    """How far a stage is: its name, which may be empty, and its share in per cent, 0 to 100."""

    stage: str
    percent: int


def step_of(line: str) -> Step | None:
    """The progress that a line reports, or None where it reports something else."""
    match = _PROGRESS.match(line)
    if match is None or line.lower().lstrip().startswith(_REMARK) or int(match["percent"]) > 100:
        return None
    plain = not match["after"].strip() or match["after"].startswith("|")
    if not (plain or match["colon"] or not match["stage"]) or match["stage"].endswith("."):
        return None
    return Step(match["stage"].strip(), int(match["percent"]))


class Lines:
    """Bytes of a pipe in, whole lines out; a carriage return ends a line as a line feed does."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[str]:
        """Lines that these bytes complete, without those that are empty."""
        parts = re.split(rb"[\r\n]", self._held + data)
        self._held = parts.pop()
        return [text for part in parts if (text := part.decode("utf-8", "replace").rstrip())]

    def rest(self) -> list[str]:
        """What stands after the last line end, at the end of the stream."""
        held, self._held = self._held, b""
        text = held.decode("utf-8", "replace").rstrip()
        return [text] if text else []
