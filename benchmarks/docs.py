"""Write the published numbers into README, model cards and benchmark pages, from the JSON that the benchmarks wrote.

    python -m benchmarks.docs [--check]

Replaces what stands between `<!-- numbers: NAME -->` and `<!-- /numbers -->`. --check changes nothing and exits with 1
where a page does not agree with the results.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from benchmarks import right_or_refused
from benchmarks.campaign import page as campaign
from benchmarks.common import ROOT
from benchmarks.dem import page as dem
from benchmarks.jointseg import page as jointseg
from benchmarks.markdown import wrapped
from benchmarks.pimsr import page as pimsr
from benchmarks.real import map_page as real_map
from benchmarks.real import page as real
from benchmarks.reliability import page as reliability
from benchmarks.sat2dem import page as sat2dem

MARK = re.compile(r"(<!-- numbers: (\w+) -->\n).*?(<!-- /numbers -->)", re.DOTALL)
SECTIONS = {
    **reliability.SECTIONS,
    **right_or_refused.SECTIONS,
    **dem.SECTIONS,
    **pimsr.SECTIONS,
    **jointseg.SECTIONS,
    **sat2dem.SECTIONS,
    **real.SECTIONS,
    **real_map.SECTIONS,
    **campaign.SECTIONS,
}


def rendered(text: str) -> str:
    """The text of a page with every marked section rendered again."""
    return MARK.sub(lambda m: m[1] + wrapped(SECTIONS[m[2]]()) + m[3], text)


def pages() -> list[Path]:
    """README, model cards and benchmark pages."""
    cards, benchmarks = (ROOT / "src/terrafine/systems").glob("*/README.md"), (ROOT / "docs/benchmarks").glob("*.md")
    attacked = [ROOT / "docs" / name for name in ("reliability.md", "right-or-refused.md")]
    return [ROOT / "README.md", *attacked, *sorted(cards), *sorted(benchmarks)]


def main() -> int:
    """Write, or with --check compare."""
    check, stale = "--check" in sys.argv[1:], []
    for path in pages():
        old = path.read_text(encoding="utf-8")
        new = rendered(old)
        if new != old:
            stale.append(path.relative_to(ROOT))
            if not check:
                path.write_text(new, encoding="utf-8")
    print("\n".join(f"{'stale' if check else 'written'}: {p}" for p in stale) or "all numbers agree")
    return int(bool(stale) and check)


if __name__ == "__main__":
    raise SystemExit(main())
