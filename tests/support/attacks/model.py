"""One awkward input, and the outcome of a run on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tests.support.cases import ground
from tests.support.cli import terrafine
from tests.support.rasters import read_band, write_raster
from tests.support.surfaces import block_means

Array = NDArray[Any]
Expected = Literal["right", "refused", "either"]
Outcome = Literal["right", "refused", "wrong", "failed"]
"""`wrong` is exit code 0 without the true result; `failed` an error that is not ours, or something left behind."""
Z: Array = ground(24)
"""The truth of most inputs: heights in metres, float64 (24, 24)."""
TOLERANCE = 0.02


@dataclass(frozen=True)
class Attack:
    """One input.

    Attributes
    ----------
    kind, name
        The kind of fault, and the input.
    run
        Makes the input in a folder and runs Terrafine on it; returns what was found wrong with the result, or an empty
        text. Raises `RefusedError`, or whatever Terrafine raises.
    expected
        `right`: there is one true result; `refused`: there is none; `either`: a true result or a refusal.
    """

    kind: str
    name: str
    run: Callable[[Path], str]
    expected: Expected = "right"


class RefusedError(Exception):
    """The command line ended with an exit code of its own."""


def outcome(attack: Attack, folder: Path) -> tuple[Outcome, str]:
    """Run an attack in an empty folder; what came of it, and in words."""
    from terrafine.errors import TerrafineError

    try:
        fault = attack.run(folder)
    except (RefusedError, TerrafineError) as error:
        left = sorted(p.name for p in folder.rglob("*") if p.name.endswith(".job") or p.name.startswith("o."))
        return ("failed", f"left {left}: {error}") if left else ("refused", str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what this looks for
        return "failed", f"{type(error).__name__}: {error}"
    if fault:
        return "wrong", fault
    return ("wrong", "accepted, and has no true result") if attack.expected == "refused" else ("right", "")


def as_expected(attack: Attack, found: Outcome) -> bool:
    """Whether an outcome is what is right."""
    return found in (("right", "refused") if attack.expected == "either" else (attack.expected,))


def command(*arguments: object) -> None:
    """Run the command line; raise RefusedError where it refuses."""
    result = terrafine(*arguments, "--quiet")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code == 1 or "unexpected" in result.output:
        raise RuntimeError(result.output[-300:])
    if result.exit_code:
        raise RefusedError(result.output.strip()[-600:])


def compared(found: Array, truth: Array, scale: int = 2) -> str:
    """What differs between block means of an output and the truth, NaN where nodata."""
    means = block_means(np.asarray(found, np.float64), scale)
    if means.shape != truth.shape:
        return f"shape {means.shape}, expected {truth.shape}"
    if (np.isnan(means) != np.isnan(truth)).any():
        return f"{int(np.isnan(means).sum())} cells of nodata, expected {int(np.isnan(truth).sum())}"
    off = float(np.nanmax(np.abs(means - truth)))
    return f"off by {off:.3g} m" if off > TOLERANCE else ""


def sharpened(source: Path, *options: object, truth: Array = Z, out: Path | None = None) -> str:
    """`terrafine dem` by the nearest neighbour, x2: each block mean is the input cell in metres."""
    path = source.parent / "o.tif" if out is None else out
    command("dem", source, path, "--scale", 2, "--model", "nearest", *options)
    return compared(read_band(path), truth)


def put(path: Path, values: Array = Z, **more: Any) -> Path:
    """Write heights, as float32 where they are float64, without nodata value unless one is given."""
    whole = values.astype(np.float32) if values.dtype == np.float64 and "dtype" not in more else values
    return write_raster(path, whole, **({"nodata": None} | more))
