"""Types of command-line arguments: sizes in bytes, bands and guides; and the format of sizes and small lengths."""

from __future__ import annotations

import math
import re

import click

from terrafine.errors import UsageError
from terrafine.workflows.device import check_device
from terrafine.workflows.options import parse_size

__all__ = ["BAND", "BYTES", "DEVICE", "GUIDE", "at_most", "human_bytes"]


class _Bytes(click.ParamType):  # type: ignore[type-arg]  # generic only in late versions of click
    """`4GB`, `512MiB` or a plain number of bytes; decimal prefixes are powers of ten, binary ones of two."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_size(value if isinstance(value, int) else str(value))
        except UsageError as e:
            self.fail(str(e), param, ctx)


class _Band(click.ParamType):  # type: ignore[type-arg]
    """`elevation=1`: the band of that name is the file's band of that number, counted from 1."""

    name = "name=number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"\s*(\w+)\s*=\s*([1-9]\d*)\s*", str(value))
        if match is None:
            self.fail(f"{value!r} names no band; expected for example elevation=1, counted from 1", param, ctx)
        return match[1], int(match[2])


class _Guide(click.ParamType):  # type: ignore[type-arg]
    """`vv=s1_vv.tif`, `vh=stack.tif#2`, `vv=dates/*.tif`, `incidence=38.5`: a guide's band, and its file or files."""

    name = "name=file"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        band, mark, file = str(value).partition("=")
        if not mark or not file or not band.isidentifier():
            self.fail(f"{value!r} names no guide; expected for example vv=s1_vv.tif", param, ctx)
        return band, file


class _Device(click.ParamType):  # type: ignore[type-arg]
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""

    name = "device"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            check_device(str(value))
        except UsageError as e:
            self.fail(str(e), param, ctx)
        return str(value)


BYTES = _Bytes()
BAND = _Band()
DEVICE = _Device()
GUIDE = _Guide()


def human_bytes(size: float) -> str:
    """Return a size as text with at most three digits and a decimal prefix, such as `1.5 GB`.

    Parameters
    ----------
    size
        Bytes.

    Returns
    -------
    str
        The text.
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def at_most(metres: float) -> str:
    """Return `by at most 3.2 mm` and the like, rounded up so that it stays true.

    Parameters
    ----------
    metres
        A length.

    Returns
    -------
    str
        The text.
    """
    if metres < 1e-4:
        return "by less than 0.1 mm"
    if metres < 0.1:
        return f"by at most {math.ceil(metres * 1e4) / 10:g} mm"
    return f"by at most {math.ceil(metres * 100) / 100:g} m"
