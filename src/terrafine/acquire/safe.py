"""Sentinel-1 products in SAFE format from a STAC item: the manifest, and what geocoding needs of each polarisation.

Archives keep the folders of a product but not always its names: ESA's are long, those on Azure and AWS are `iw-vv`. The
name of the image shows which; the files get the names that the manifest states, because readers go by it.

Each file is compared with the MD5 that the manifest states. Some archives convert images to cloud-optimized GeoTIFF and
leave the manifest as it was: an image of another size than it states is compared with the size on the server instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from terrafine.acquire.catalogue import Scene
from terrafine.acquire.remote import AssetError
from terrafine.acquire.signing import bare
from terrafine.acquire.transfer import Transfer

__all__ = ["SafeSource", "bytes_missing", "download_safe", "safe_source"]

_PARTS = {  # schema of the manifest -> path beside the manifest, by the stem of the image's name
    "s1Level1ProductSchema": "annotation/{}.xml",
    "s1Level1CalibrationSchema": "annotation/calibration/calibration-{}.xml",
    "s1Level1MeasurementSchema": "measurement/{}.tiff",
}
_IMAGE = "s1Level1MeasurementSchema"


@dataclass(frozen=True, slots=True)
class _Stated:
    """A file as the manifest states it."""

    path: str
    size: str
    md5: str

    def is_in(self, file: Path, served: Callable[[], int]) -> bool:
        """Whether a file holds it; `served` is the size on the server, or 0."""
        size = file.stat().st_size
        if self.path.startswith("measurement/") and str(size) != self.size:
            return served() in (0, size)
        with open(file, "rb") as opened:
            return not self.md5 or hashlib.file_digest(opened, _md5).hexdigest() == self.md5


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class SafeSource:
    """Where the files of a product lie.

    Attributes
    ----------
    name
        Name of the folder, with `.SAFE`.
    manifest
        Address of the manifest.
    images
        Polarisation to the address of its image.
    """

    name: str
    manifest: str
    images: Mapping[str, str]

    def beside(self, polarisation: str, part: str) -> str:
        """Address of a part of a polarisation: a key of the manifest's schemas."""
        if part == _IMAGE:
            return self.images[polarisation]
        stem = posixpath.splitext(posixpath.basename(urlsplit(self.images[polarisation]).path))[0]
        return bare(self.manifest).removesuffix("manifest.safe") + _PARTS[part].format(stem)


def safe_source(scene: Scene, assets: Mapping[str, str]) -> SafeSource:
    """Find the files of a product in its item.

    Parameters
    ----------
    scene
        The scene.
    assets
        Polarisation to the asset that holds its image.

    Returns
    -------
    SafeSource
        With all polarisations of `assets`.

    Raises
    ------
    AssetError
        If the item names no manifest, or lacks an image.
    """
    found = scene.item.get("assets", {})
    addresses = {key: str(a.get("href", "")) for key, a in found.items() if isinstance(a, dict)}
    manifest = next((h for h in addresses.values() if urlsplit(h).path.endswith("/manifest.safe")), None)
    images = {band: addresses[name] for band, name in assets.items() if addresses.get(name)}
    if manifest is None:
        raise AssetError(f"{scene.id}: its item names no manifest.safe; expected that of a Sentinel-1 GRD product")
    if lacking := [band for band in assets if band not in images]:
        without = ", ".join(lacking)
        held = f"it has {', '.join(images)}. Leave {without} out of the bands to use it" if images else "it has none"
        raise AssetError(f"{scene.id}: its item names no image of {without}; {held}")
    name = PurePosixPath(scene.id).name.removesuffix(".SAFE")
    return SafeSource(f"{name}.SAFE", manifest, images)


def download_safe(source: SafeSource, folder: Path, transfer: Transfer) -> dict[str, str]:
    """Download a product, or what is missing of it.

    Parameters
    ----------
    source
        Where its files lie.
    folder
        The folder that gets the SAFE folder.
    transfer
        What downloads.

    Returns
    -------
    dict of str
        File in the SAFE folder to the SHA-256 of its bytes.

    Raises
    ------
    AssetError
        If a file is missing or is not the one that the manifest states, or the manifest is none.
    NetworkError
        If the server does not answer; the same call again resumes.
    """
    safe = folder / source.name
    safe.mkdir(parents=True, exist_ok=True)
    wanted: list[tuple[_Stated, str]] = []
    digests = {"manifest.safe": _fetched(transfer, source.manifest, safe / "manifest.safe")}
    for polarisation in source.images:
        for part, stated in _files(safe / "manifest.safe", polarisation).items():
            wanted.append((stated, source.beside(polarisation, part)))
    for stated, href in wanted:
        digests[stated.path] = _verified(transfer, href, safe, stated)
    return digests


def bytes_missing(source: SafeSource, folder: Path, transfer: Transfer) -> int:
    """Count the bytes of the images that `download_safe` would download.

    Parameters
    ----------
    source, folder, transfer
        As in `download_safe`.

    Returns
    -------
    int
        0 of a file whose size the server does not state, or that it lacks.

    Raises
    ------
    NetworkError
        If the server does not answer.
    """
    total = 0
    manifest = folder / source.name / "manifest.safe"
    for polarisation, href in source.images.items():
        with contextlib.suppress(AssetError):
            if manifest.is_file() and (manifest.parent / _files(manifest, polarisation)[_IMAGE].path).is_file():
                continue
        with contextlib.suppress(AssetError):
            total += transfer.size(href)
    return total


def _verified(transfer: Transfer, href: str, safe: Path, stated: _Stated) -> str:
    """The digest of a file that is the one of the manifest; one that is not is downloaded once more."""
    target = safe / stated.path
    for _ in range(2):
        digest = _fetched(transfer, href, target)
        if stated.is_in(target, lambda: transfer.size(href)):
            return digest
        target.unlink()
    raise AssetError(
        f"{safe.name}: {stated.path} was downloaded again and is damaged: its MD5 is not the one of the manifest, "
        f"{stated.md5}; expected that file"
    )


def _fetched(transfer: Transfer, href: str, target: Path) -> str:
    """The digest of a file that is there already, or is downloaded."""
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        return transfer.fetch(href, target)
    with open(target, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(manifest: Path, polarisation: str) -> dict[str, _Stated]:
    """Schema to the file that the manifest states, of one polarisation."""
    try:
        root = ElementTree.parse(manifest).getroot()
        listed = [(o, o.find(".//fileLocation")) for o in root.iter("dataObject")]
        stated = [(o, str(place.get("href"))) for o, place in listed if place is not None]
    except (ElementTree.ParseError, ValueError) as error:
        manifest.unlink(missing_ok=True)
        raise AssetError(f"{manifest.parent.name}: its manifest is no XML ({error})") from None
    found: dict[str, _Stated] = {}
    for entry, href in stated:
        part, path = str(entry.get("repID")), PurePosixPath(href)
        if part in _PARTS and f"-{polarisation}-" in path.name:
            if path.is_absolute() or ".." in path.parts:
                raise AssetError(f"{manifest.parent.name}: its manifest names {href[:80]!r}; expected a path inside it")
            size = next((str(s.get("size")) for s in entry.iter("byteStream")), "")
            md5 = next((str(c.text).strip().lower() for c in entry.iter("checksum") if _of_md5(c)), "")
            found[part] = _Stated(str(path), size, md5)
    if missing := _missing(found):
        raise AssetError(f"{manifest.parent.name}: its manifest names no {', '.join(missing)} of {polarisation}")
    return found


def _of_md5(checksum: ElementTree.Element) -> bool:
    return checksum.get("checksumName") == "MD5" and bool(checksum.text)


def _missing(found: Mapping[str, _Stated]) -> Sequence[str]:
    return sorted(set(_PARTS) - set(found))
