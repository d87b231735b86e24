"""Creation options of an output, as `KEY=VALUE` of GDAL: what may be stated, and as which arguments of the writer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from terrafine.errors import UsageError

__all__ = ["ALLOWED", "layout_of"]

_LEVELS = {"ZSTD": 22, "DEFLATE": 9}
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "COMPRESS": ("ZSTD", "DEFLATE", "LZW", "NONE"),
    "LEVEL": tuple(str(n) for n in range(1, _LEVELS["ZSTD"] + 1)),
    "OVERVIEWS": ("AUTO", "NONE"),
    "STATISTICS": ("YES", "NO"),
}
"""Every key and its values; upper or lower case. Tiling, block size and BigTIFF are those of every output."""


def layout_of(options: Mapping[str, str]) -> dict[str, Any]:
    """Return arguments of `open_cog` for creation options.

    Parameters
    ----------
    options
        Key to value: COMPRESS=ZSTD | DEFLATE | LZW | NONE, LEVEL=1 to 22 (ZSTD) or 1 to 9 (DEFLATE), OVERVIEWS=AUTO |
        NONE, STATISTICS=YES | NO.

    Returns
    -------
    dict
        Arguments by name; empty where nothing is stated.

    Raises
    ------
    UsageError
        For a key or a value that is not among them, a key that is stated twice, or a level that the compression has
        not.
    """
    given: dict[str, str] = {}
    for key, value in options.items():
        name, text = key.strip().upper(), value.strip().upper()
        if name not in ALLOWED:
            raise UsageError(f"creation option {key}: is not one; expected {', '.join(ALLOWED)}")
        if name in given:
            raise UsageError(f"creation option {key}: is stated twice")
        if text not in ALLOWED[name]:
            span = ALLOWED[name] if name != "LEVEL" else ("a whole number, 1 to 22",)
            raise UsageError(f"creation option {key}={value}: expected {', '.join(span)}")
        given[name] = text
    compress, level = given.get("COMPRESS", "ZSTD"), given.get("LEVEL")
    if level is not None and int(level) > _LEVELS.get(compress, 0):
        most = f"1 to {_LEVELS[compress]}" if compress in _LEVELS else "none, it has no levels"
        raise UsageError(f"creation option LEVEL={level}: for COMPRESS={compress} expected {most}")
    found: dict[str, Any] = {}
    if "COMPRESS" in given or level is not None:
        found["compress"] = compress.lower() + (f":{level}" if level is not None else "")
    if "OVERVIEWS" in given:
        found["overviews"] = given["OVERVIEWS"] == "AUTO"
    if "STATISTICS" in given:
        found["statistics"] = given["STATISTICS"] == "YES"
    return found
