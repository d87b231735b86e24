"""Every awkward input."""

from __future__ import annotations

from tests.support.attacks import arrays, crs, datums, images, links, numbers, special, units, verbs
from tests.support.attacks.model import Attack

__all__ = ["ATTACKS"]

MODULES = (units, datums, crs, numbers, arrays, links, images, verbs, special)
ATTACKS: tuple[Attack, ...] = tuple(attack for module in MODULES for attack in module.attacks())
