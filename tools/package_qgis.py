"""Zip the QGIS plugin as its repository and `qgis-plugin-ci` lay it out: `python tools/package_qgis.py [OUT.zip]`.

The folder `terrafine_qgis` with the sources and the licence; entries in order and with one date, so that the same
sources give the same bytes.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "integrations" / "qgis" / "terrafine_qgis"
SUFFIXES = {".py", ".txt", ".svg"}
DATE = (2020, 1, 1, 0, 0, 0)


def package(out: Path) -> list[str]:
    """Write the archive; the names in it."""
    files = {p.name: p for p in PLUGIN.iterdir() if p.suffix in SUFFIXES} | {"LICENSE": ROOT / "LICENSE"}
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{PLUGIN.name}/{name}", DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name].read_bytes())
        return archive.namelist()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / "terrafine_qgis.zip"
    sys.stdout.write(f"{target}: {len(package(target))} files\n")
