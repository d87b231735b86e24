"""What `terrafine` alone prints, and the table of exit codes."""

from __future__ import annotations

from collections.abc import Iterator

from terrafine import errors
from terrafine.version import __version__

__all__ = ["EXIT_CODES", "INTERRUPTED", "UNEXPECTED", "first_steps"]

INTERRUPTED = 130
UNEXPECTED = 1
_FIRST = (
    ("terrafine dem glo30.tif fine.tif", "a finer elevation model from a coarse one"),
    ("terrafine evaluate fine.tif lidar.tif -o report", "how far it is from a reference, as a report"),
    ("terrafine map sentinel2.tif impervious.tif", "impervious surface on a 1 m grid"),
)


def first_steps() -> str:
    """The three commands that most people want, and where the others are."""
    width = max(len(line) for line, _ in _FIRST)
    lines = [f"  {line:<{width}}   {what}" for line, what in _FIRST]
    return "\n".join(
        (
            f"Terrafine {__version__} turns free, coarse satellite data into fine maps of the Earth.",
            "",
            *lines,
            "",
            "`terrafine --help` lists every verb, `terrafine dem --help` the options of one, and `terrafine doctor` "
            "checks the",
            "installation.",
        )
    )


def _codes() -> Iterator[tuple[str, str]]:
    """(code, meaning) of every exit code, from the tree of errors."""
    yield "0", "done"
    yield str(UNEXPECTED), "a defect of Terrafine"
    kinds = [getattr(errors, name) for name in errors.__all__ if name != "TerrafineError"]
    for kind in sorted(kinds, key=lambda k: k.exit_code):
        text = (kind.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        yield str(kind.exit_code), text[0].lower() + text[1:]
    yield str(INTERRUPTED), "interrupted"


EXIT_CODES = tuple(_codes())
