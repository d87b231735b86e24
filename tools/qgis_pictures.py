"""Draw the dialog of `terrafine dem` in QGIS, without a screen: `python3 tools/qgis_pictures.py [OUT.png]`.

It needs the Python of QGIS, for example Debian's packages `qgis` and `python3-qgis`, and no Terrafine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIZE = (1000, 700)


def main() -> int:
    """Write the picture."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path[:0] = ["/usr/share/qgis/python", "/usr/share/qgis/python/plugins", str(ROOT / "integrations" / "qgis")]
    from qgis.core import QgsApplication

    app = QgsApplication([], True)
    app.initQgis()
    from processing.core.Processing import Processing
    from processing.gui.AlgorithmDialog import AlgorithmDialog
    from terrafine_qgis.provider import TerrafineProvider

    Processing.initialize()
    provider = TerrafineProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    dialog = AlgorithmDialog(provider.algorithm("dem").create())
    dialog.setParameters({"INPUT": [str(ROOT / "demo" / "data" / "sample_120m.tif")]})
    dialog.resize(*SIZE)
    dialog.show()
    app.processEvents()
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "img" / "qgis_dialog.png"
    if not dialog.grab().save(str(out)):
        sys.stderr.write(f"{out}: could not be written\n")
        return 1
    os._exit(0)  # QGIS without a main window does not end cleanly


if __name__ == "__main__":
    sys.exit(main())
