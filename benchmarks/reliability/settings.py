"""Hostile recipes, gates, regions, splits, indices, job plans and weights: each is read, or refused by our error."""

from __future__ import annotations

import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.reliability import Record

__all__ = ["FAMILIES"]

SECONDS = 20.0  # of processor time, above which an attack counts as a hang
SEED = 2026

Attack = tuple[bytes, Path, Callable[[], object]]


def outcome(read: Callable[[], object]) -> str:
    """What came of one attack: `read`, the kind of our error, `unexpected KIND`, or `hang`."""
    from terrafine.errors import TerrafineError

    start = time.process_time()
    try:
        read()
        found = "read"
    except TerrafineError as error:
        found = type(error).__name__
    except Exception as error:  # noqa: BLE001
        found = f"unexpected {type(error).__name__}"
    return found if time.process_time() - start <= SECONDS else "hang"


def _counted(attacks: Callable[[Path], Iterator[tuple[str, Attack]]]) -> Record:
    from terrafine.atomic import temporary_folder

    counts: dict[str, Counter[str]] = {}
    with temporary_folder() as folder:
        for kind, (data, path, read) in attacks(folder):
            path.write_bytes(data)
            counts.setdefault(kind, Counter())[outcome(read)] += 1
    failures = [
        f"{kind}: {found} ({n} times)"
        for kind, outcomes in counts.items()
        for found, n in outcomes.items()
        if found == "hang" or found.startswith("unexpected")
    ]
    return {
        "tried": sum(sum(c.values()) for c in counts.values()),
        "failures": failures,
        "seed": SEED,
        "kinds": {kind: dict(sorted(found.items())) for kind, found in counts.items()},
    }


def _recipes(folder: Path) -> Iterator[tuple[str, Attack]]:
    from tests.reliability.test_hostile_settings import RECIPES, as_toml, hostile

    from terrafine.training.start import read_task

    path = folder / "r.toml"
    for recipe in RECIPES:
        record = tomllib.loads(recipe.read_text(encoding="utf-8"))
        for _, data in hostile(record, as_toml, 40, SEED):
            yield "recipe", (data, path, lambda: read_task(path))


def _files(folder: Path) -> Iterator[tuple[str, Attack]]:
    from tests.reliability.test_hostile_settings import PLAN, READERS, as_json, hostile

    from terrafine.inference.job import job_folder, stored_request

    for name, (record, write, file, read) in READERS.items():
        for _, data in hostile(record, write, 120, SEED):
            yield name, (data, folder / file, lambda read=read, file=file: read(folder / file))  # type: ignore[misc]
    output = folder / "fine.tif"
    job_folder(output).mkdir(mode=0o700)
    for _, data in hostile(PLAN, as_json, 120, SEED):
        yield "plan of a job", (data, job_folder(output) / "plan.json", lambda: stored_request(output))


def _weights(folder: Path) -> Iterator[tuple[str, Attack]]:
    from tests.reliability.test_hostile_settings import MODELS
    from tests.support.hostile_weights import forged

    from terrafine.systems import load_network, named_models

    path = folder / "w.safetensors"
    for ref in MODELS:
        for _, data in forged(ref.path, 60, SEED):  # type: ignore[arg-type]
            yield "weights", (data, path, lambda: load_network(named_models(str(path))[0]))


FAMILIES: dict[str, Callable[[], Record]] = {
    "recipes": lambda: _counted(_recipes),
    "settings": lambda: _counted(_files),
    "weights": lambda: _counted(_weights),
}
