"""What was found and decided about scenes, once for all who read them: other tiles, other workers, later runs.

In a folder there is one file for each scene, `ab12....json`, with the look at it and the decision about its offset, and
`ab12....problem.json` where it could not be looked at. What is written first stays, so two workers that look at a scene
at the same time use one result. A scene that the catalogue has changed since is looked at again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from terrafine.acquire.catalogue import Scene
from terrafine.acquire.look import Look
from terrafine.acquire.offset import Decision
from terrafine.acquire.remote import AssetError
from terrafine.acquire.service import Collection
from terrafine.acquire.signing import bare
from terrafine.atomic import write_whole
from terrafine.errors import JobError, TerrafineError
from terrafine.host import lock_exclusively
from terrafine.private import make_private_folder, open_own_file
from terrafine.schema.check import build
from terrafine.schema.files import read_json

__all__ = ["SceneRecords", "forget_problems"]

_PROBLEM = ".problem.json"
_WAIT_S, _LONGEST_S = 0.02, 60.0


class SceneRecords:
    """Records of scenes; safe to use from several threads, and, in a folder, from several processes.

    Parameters
    ----------
    service
        Address of the service that the scenes are of.
    collection
        The collection that they are of.
    folder
        Where records are kept; made if it does not exist. None keeps them in memory.
    """

    def __init__(self, service: str, collection: Collection, folder: Path | None = None) -> None:
        self._of = f"{service}|{collection.id}"
        self._assets = tuple(filter(None, (*collection.assets.values(), collection.mask, *collection.look.values())))
        self._folder = folder
        self._memory: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        if folder is not None:
            make_private_folder(folder)

    def look(self, scene: Scene, make: Callable[[], Look]) -> Look:
        """Return the look at a scene, made by `make` where there is none yet.

        Raises
        ------
        AssetError
            If the scene cannot be looked at; until `forget_problems`, without a further attempt.
        NetworkError
            If a server does not answer.
        """
        known = self._known(scene, "look", Look)
        if known is None and (problem := self._load(self._name(scene) + _PROBLEM, self._digest(scene)).get("problem")):
            raise AssetError(str(problem))
        if known is None:
            try:
                known = self._keep(scene, "look", make())
            except AssetError as error:
                with self._locked():
                    known = self._known(scene, "look", Look)  # another may have read it meanwhile
                    if known is None:
                        self._write(self._name(scene) + _PROBLEM, scene, {"problem": str(error)})
                        raise
        look: Look = known
        return look

    def decision(self, scene: Scene, make: Callable[[], Decision]) -> Decision:
        """Return the decision about a scene, made by `make` where there is none yet."""
        known = self._known(scene, "decision", Decision)
        decision: Decision = self._keep(scene, "decision", make()) if known is None else known
        return decision

    def _known(self, scene: Scene, what: str, kind: Any) -> Any:
        """What is kept, as a dataclass; None where there is none, or one that is none."""
        found = self._load(self._name(scene) + ".json", self._digest(scene)).get(what)
        if not isinstance(found, dict):
            return None
        try:
            return build(kind, found, f"the {what} of {scene.id}", JobError)
        except JobError:
            return None

    def _keep(self, scene: Scene, what: str, made: Any) -> Any:
        """Keep what was made, unless another has kept something since; what is kept is returned."""
        with self._locked():
            known = self._known(scene, what, type(made))
            if known is not None:
                return known
            self._write(self._name(scene) + ".json", scene, {what: dataclasses.asdict(made)})
            return made

    def _write(self, name: str, scene: Scene, values: dict[str, Any]) -> None:
        digest = self._digest(scene)
        record = {**self._load(name, digest), "id": scene.id, "item": digest, **values}
        if self._folder is None:
            self._memory[name] = record
        else:
            write_whole(self._folder / name, json.dumps(record, indent=1).encode())

    def _load(self, name: str, digest: str) -> dict[str, Any]:
        if self._folder is None:
            found = self._memory.get(name, {})
        else:
            try:
                found = read_json(self._folder / name, JobError, "the record of a scene")
            except TerrafineError:
                return {}
        return dict(found) if isinstance(found, dict) and found.get("item") == digest else {}

    def _name(self, scene: Scene) -> str:
        return hashlib.sha256(f"{self._of}|{scene.id}".encode()).hexdigest()[:32]

    def _digest(self, scene: Scene) -> str:
        """Digest of all of an item that a record depends on; signatures of addresses are no part of it."""
        assets: dict[str, Any] = {}
        for name in self._assets:
            asset = dict(scene.asset(name) or {})
            assets[name] = {**asset, "href": bare(str(asset.get("href", "")))}
        record = {"properties": scene.properties, "assets": assets, "bbox": scene.item.get("bbox")}
        return hashlib.sha256(json.dumps(record, sort_keys=True, default=str).encode()).hexdigest()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            if self._folder is None:
                yield
                return
            handle = open_own_file(self._folder / "lock")
            try:
                until = time.monotonic() + _LONGEST_S
                while not lock_exclusively(handle):
                    if time.monotonic() > until:
                        raise JobError(f"{self._folder / 'lock'}: held by another process for {_LONGEST_S:g} s")
                    time.sleep(_WAIT_S)
                yield
            finally:
                os.close(handle)


def forget_problems(folder: Path) -> None:
    """Remove the records of scenes that could not be looked at, so that they are tried again.

    Parameters
    ----------
    folder
        The folder of records; nothing happens where there is none.
    """
    if folder.is_symlink():
        return
    for path in folder.glob(f"*{_PROBLEM}"):
        path.unlink(missing_ok=True)
