"""`qgis_process` with the plugin of this repository, in a profile of its own; absent where QGIS is not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

PLUGINS = ROOT / "integrations" / "qgis"


def qgis_process() -> str | None:
    """The program; Debian's wrapper adds an option that it does not know, so the binary behind it is taken."""
    return shutil.which("qgis_process.bin") or shutil.which("qgis_process")


class Qgis:
    """Runs algorithms as a user of `qgis_process` does.

    Parameters
    ----------
    home
        Folder for the profile and for the program `terrafine`.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)
        (home / "run").mkdir(mode=0o700)
        program = home / "bin" / "terrafine"
        program.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT / 'src')!r})\n"
            "from terrafine.cli import main\nmain()\n"
        )
        program.chmod(0o755)
        self("plugins", "enable", "terrafine_qgis")

    def __call__(self, *arguments: object, path: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it; `path` replaces the folder of the program on the search path."""
        program = qgis_process()
        assert program is not None
        env = {
            "HOME": str(self.home),
            "PATH": f"/usr/bin:/bin:{self.home / 'bin' if path is None else path}",
            "QT_QPA_PLATFORM": "offscreen",
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "QGIS_CUSTOM_CONFIG_PATH": str(self.home / "conf"),
            "QGIS_PLUGINPATH": str(PLUGINS),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
            "LANG": "C.UTF-8",
        }
        words = [program, *(str(a) for a in arguments)]
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=900)

    def run(self, algorithm: str, path: str | None = None, **values: object) -> subprocess.CompletedProcess[str]:
        """Run an algorithm; lists become several values."""
        pairs = [
            f"{name}={v}" for name, given in values.items() for v in (given if isinstance(given, list) else [given])
        ]
        return self("run", f"terrafine:{algorithm}", "--", *pairs, path=path)
