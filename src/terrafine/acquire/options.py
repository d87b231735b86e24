"""How scenes are fetched: limits of the network and of memory, which scenes are taken, and how they are merged."""

from __future__ import annotations

from dataclasses import dataclass

from terrafine.arguments import check_fields
from terrafine.errors import UsageError

__all__ = ["COMPOSITES", "MASKS", "OFFSETS", "FetchOptions"]

COMPOSITES = ("median", "best-clear", "geomedian")
OFFSETS = ("auto", "none", "subtract")
MASKS = ("classes", "omnicloudmask", "none")
_RANGES = {
    "max_cloud": (0.0, 100.0),
    "min_clear": (0.0, 1.0),
    "timeout_s": (0.1, 3600.0),
    "attempts": (1, 100),
    "backoff_s": (0.0, 600.0),
    "connections": (1, 64),
    "max_scenes": (1, 100_000),
}


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How scenes are chosen, fetched and merged.

    Parameters
    ----------
    max_cloud
        Scenes whose catalogue entry states more cloud, in percent of the whole scene, are not taken.
    min_clear
        Scenes with a smaller share of clear cells inside the area are not taken.
    offset
        The offset of 1,000 in Sentinel-2 numbers: `auto` resolves it for each item, `none` and `subtract` state it for
        all.
    mask
        `classes`: cloud, shadow and other unusable cells are left out by the classes that come with a scene;
        `omnicloudmask`: by a network of its own package (extra `clouds`), from red, green and near infrared; `none`:
        every measured cell is used.
    timeout_s
        Longest wait for an answer of a server, in seconds.
    attempts
        Attempts for each request, the first included.
    backoff_s
        Wait before the second attempt in seconds; it doubles with each.
    connections
        Requests at the same time.
    memory
        Bytes that the pixels of one block may take together.
    orbit
        Of radar: ascending or descending; None for both, each in a file of its own.
    max_scenes
        More scenes than this are refused.

    Raises
    ------
    UsageError
        For a value out of its range.
    """

    max_cloud: float = 80.0
    min_clear: float = 0.05
    offset: str = "auto"
    mask: str = "classes"
    timeout_s: float = 60.0
    attempts: int = 5
    backoff_s: float = 1.0
    connections: int = 8
    memory: int = 1_000_000_000
    orbit: str | None = None
    max_scenes: int = 2_000

    def __post_init__(self) -> None:
        check_fields(self)
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name}={getattr(self, name)!r}; expected {low:g} to {high:g}")
        if self.offset not in OFFSETS:
            raise UsageError(f"offset={self.offset!r}; expected one of {', '.join(OFFSETS)}")
        if self.mask not in MASKS:
            raise UsageError(f"mask={self.mask!r}; expected one of {', '.join(MASKS)}")
        if self.orbit not in (None, "ascending", "descending"):
            raise UsageError(f"orbit={self.orbit!r}; expected ascending or descending")
        if self.memory < 50_000_000:
            raise UsageError(f"memory={self.memory!r}; expected at least 50 MB for the pixels of a block")
