"""Files of a real Sentinel-1 product are compared with its manifest; what is damaged is downloaded once more."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.ground_range import unpack_safe

from terrafine.acquire.remote import AssetError
from terrafine.acquire.safe import SafeSource, bytes_missing, download_safe
from terrafine.acquire.transfer import Transfer

IMAGE = b"an image that the archive has converted"


class Archive:
    """Serves a product; the first answers for names in `damaged` have one other byte."""

    def __init__(self, safe: Path, damaged: dict[str, int]) -> None:
        (annotation,) = (safe / "annotation").glob("*.xml")
        self.files = {f"https://x/{p.relative_to(safe)}": p.read_bytes() for p in safe.rglob("*") if p.is_file()}
        self.image = f"https://x/measurement/{annotation.stem}.tiff"
        self.files[self.image] = IMAGE
        self.source = SafeSource("P.SAFE", "https://x/manifest.safe", {"vv": self.image})
        self.damaged, self.asked = damaged, list[str]()

    def size(self, href: str) -> int:
        return len(self.files[href])

    def fetch(self, href: str, target: Path) -> str:
        self.asked.append(href)
        data = bytearray(self.files[href])
        for name in self.damaged:
            if name in href and self.damaged[name] > 0:
                self.damaged[name] -= 1
                data[len(data) // 2] ^= 1
        target.write_bytes(data)
        return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_safe(tmp_path_factory.mktemp("safe"))


def downloaded(archive: Archive, folder: Path) -> dict[str, Any]:
    return dict(download_safe(archive.source, folder, cast(Transfer, archive)))


def test_a_damaged_file_is_downloaded_once_more_and_then_refused(safe: Path, tmp_path: Path) -> None:
    archive = Archive(safe, {"calibration-": 1})
    for name, digest in downloaded(archive, tmp_path).items():
        assert digest == hashlib.sha256(archive.files[f"https://x/{name}"]).hexdigest()
    assert len(archive.asked) == 5
    archive = Archive(safe, {"calibration-": 2})
    with pytest.raises(AssetError, match=r"P\.SAFE: annotation/calibration/.*is damaged"):
        downloaded(archive, tmp_path / "other")
    assert not list((tmp_path / "other").rglob("calibration-*"))


@pytest.mark.parametrize("part", ["calibration-*", "*.tiff"])
def test_a_file_that_was_damaged_on_disk_is_not_used_again(safe: Path, tmp_path: Path, part: str) -> None:
    archive = Archive(safe, {})
    before = downloaded(archive, tmp_path)
    assert bytes_missing(archive.source, tmp_path, cast(Transfer, archive)) == 0
    (file,) = tmp_path.rglob(part)
    file.write_bytes(file.read_bytes()[:-1])
    archive.asked.clear()
    assert downloaded(archive, tmp_path) == before and len(archive.asked) == 1
    file.unlink()
    assert bytes_missing(archive.source, tmp_path, cast(Transfer, archive)) == (len(IMAGE) if "tiff" in part else 0)


def test_an_image_of_the_stated_size_has_the_stated_digest(safe: Path, tmp_path: Path) -> None:
    archive = Archive(safe, {})
    manifest = archive.files["https://x/manifest.safe"]
    archive.files["https://x/manifest.safe"] = manifest.replace(b'size="872345960"', f'size="{len(IMAGE)}"'.encode())
    with pytest.raises(AssetError, match=r"measurement/.*is damaged"):
        downloaded(archive, tmp_path)
