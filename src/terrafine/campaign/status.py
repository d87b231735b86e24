"""Where a campaign stands: units by state and epoch, and every hole with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from terrafine.campaign.folder import DONE, EMPTY, FAILED, PENDING, STALE, Folder, State
from terrafine.campaign.plan import Plan, Unit
from terrafine.schema.types import CONTROL

__all__ = ["Hole", "Status", "states_of", "status_of"]


@dataclass(frozen=True, slots=True)
class Hole:
    """A unit without a result, and why.

    Attributes
    ----------
    tile, epoch
        Names of the tile and the epoch.
    state
        `failed` or `empty`.
    reason
        The message.
    """

    tile: str
    epoch: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Status:
    """Where a campaign stands.

    Attributes
    ----------
    name
        Name of the campaign.
    area_km2
        Area of the region.
    tiles
        Tiles of the region.
    counts
        Epoch -> state -> units; states are done, empty, failed, pending and stale.
    holes
        Units that failed or whose sources are empty there.
    bytes
        Bytes of the finished tiles.
    empty_allowed
        Whether the settings admit tiles without an observation.
    notes
        Scenes that were used against what the catalogue states of them, and epochs whose tiles were read as DEMs of
        different products.
    """

    name: str
    area_km2: float
    tiles: int
    counts: Mapping[str, Mapping[str, int]]
    holes: tuple[Hole, ...]
    bytes: int
    empty_allowed: bool = False
    notes: tuple[str, ...] = ()

    def total(self, state: str) -> int:
        """Units of a state over all epochs."""
        return sum(of.get(state, 0) for of in self.counts.values())

    @property
    def complete(self) -> bool:
        """Whether every unit is done; or empty, where the settings admit that."""
        open_ = self.total(FAILED) + self.total(PENDING) + self.total(STALE)
        return open_ == 0 and (self.empty_allowed or self.total(EMPTY) == 0)


def states_of(plan: Plan, folder: Folder) -> list[tuple[Unit, State]]:
    """Every unit with where it stands."""
    return [(unit, folder.state(plan, unit)) for unit in plan.units()]


def status_of(plan: Plan, states: Sequence[tuple[Unit, State]]) -> Status:
    """The status of a campaign from the states of its units."""
    names = [epoch.name for epoch in plan.settings.epochs]
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    holes, size, notes = [], 0, set()
    products: dict[str, Counter[str]] = {name: Counter() for name in names}
    for unit, state in states:
        counts[names[unit.epoch]][state.name] += 1
        if state.name == DONE:
            size += sum(int(file["bytes"]) for file in state.record["files"])
            notes |= set(_overruled(state.record))
            if found := _product(state.record):
                products[names[unit.epoch]][found] += 1
        elif state.name in (FAILED, EMPTY):
            holes.append(Hole(unit.tile.name, names[unit.epoch], state.name, _reason(state.record)))
    allowed = plan.settings.source.empty_allowed
    notes |= {_differing(name, found) for name, found in products.items() if len(found) > 1}
    known = tuple(sorted(notes))
    return Status(plan.settings.name, plan.area_km2, len(plan.tiles), counts, tuple(holes), size, allowed, known)


def _product(record: Mapping[str, Any]) -> str:
    """The product that a tile of a DEM was read as, and how it was found; empty for tiles of images."""
    inputs = record.get("inputs", {})
    return f"{inputs['product']}, {inputs.get('product_how')}" if inputs.get("product") else ""


def _differing(epoch: str, found: Mapping[str, int]) -> str:
    listed = "; ".join(f"{text} in {count:,} tiles" for text, count in sorted(found.items()))
    return CONTROL.sub("?", f"{epoch}: tiles were read as different products ({listed}); state product in [source]")


def _overruled(record: Mapping[str, Any]) -> Iterator[str]:
    """The scenes of a tile whose offset was decided against, or in doubt about, what the catalogue states."""
    for item in record.get("inputs", {}).get("items", ()):
        offset = item.get("offset")
        if isinstance(offset, dict) and offset.get("warning"):
            yield CONTROL.sub("?", f"{item.get('id')}: minus {offset.get('subtract')}: {offset['warning']}"[:1000])


def _reason(record: Mapping[str, Any]) -> str:
    kind = record.get("error")
    return CONTROL.sub("?", f"{kind}: {record.get('message')}" if kind else str(record.get("message", "")))
