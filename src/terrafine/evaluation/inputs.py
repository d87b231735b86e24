"""The inputs of every comparison: candidates by name, one reference, and a callback for progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from terrafine.errors import UsageError

__all__ = ["Candidates", "PathLike", "Progress", "named_candidates"]

PathLike = str | os.PathLike[str]
Candidates = PathLike | Sequence[PathLike] | Mapping[str, PathLike]
"""One file, several, or {name: file}."""

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def named_candidates(candidates: Candidates, taken: Collection[str] = ()) -> dict[str, PathLike]:
    """Return the candidates by name.

    Parameters
    ----------
    candidates : path, sequence of paths, or mapping of name to path
        A file without a name is named by its stem; by folder and stem where two stems are equal; by its file name
        where the stem is `taken`.
    taken : collection of str
        Names of what the candidates are compared with.

    Returns
    -------
    dict
        Name to path.

    Raises
    ------
    UsageError
        If no candidate is given, two share a name, or a name is taken.
    """
    if isinstance(candidates, Mapping):
        named = dict(candidates)
    else:
        listed = [candidates] if isinstance(candidates, (str, os.PathLike)) else list(candidates)
        stems = [Path(p).stem for p in listed]
        stems = [Path(p).name if s in taken else s for s, p in zip(stems, listed, strict=True)]
        names = [s if stems.count(s) == 1 else f"{Path(p).parent.name}/{s}" for s, p in zip(stems, listed, strict=True)]
        named = dict(zip(names, listed, strict=True))
        if len(named) < len(listed):
            raise UsageError(f"candidates {sorted(names)} share names; give them as a mapping of name to file")
    if used := sorted(set(taken) & named.keys()):
        raise UsageError(f"candidate {used[0]!r}: that name is taken for what it is compared with; give it another")
    if not named:
        raise UsageError("no candidate was given; expected at least one file")
    return named
