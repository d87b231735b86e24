"""Attack Terrafine and record what was lost: `python -m benchmarks.reliability FAMILY...`; without one, all.

Each family writes `benchmarks/results/reliability/FAMILY.json`, from which `python -m benchmarks.docs` renders
docs/reliability.md. All of them together take an hour of one core; `large` takes most of it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from benchmarks.reliability import RESULTS, Record, files, kills, memory, settings, sources

FAMILIES: dict[str, Callable[[], Record]] = {
    "sources": sources.sources,
    "disks": sources.disks,
    "files": files.files,
    **settings.FAMILIES,
    **kills.FAMILIES,
    "memory": memory.wide,
    "large": memory.large,
}


def main() -> int:
    """Run the families named, and write their records."""
    unknown = [name for name in sys.argv[1:] if name not in FAMILIES]
    if unknown:
        raise SystemExit(f"{', '.join(unknown)}: expected {', '.join(FAMILIES)}")
    failed = 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or FAMILIES:
        start = time.process_time()
        record = FAMILIES[name]()
        record["processor_seconds"] = round(time.process_time() - start, 1)
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {record['tried']} tried, {len(record['failures'])} failed", flush=True)
        failed += len(record["failures"])
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
