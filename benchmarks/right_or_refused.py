"""Count what comes of every awkward input: `python -m benchmarks.right_or_refused [--as VERSION]`.

Each input of `tests.support.attacks` is run in a folder of its own. Writes the counts of this version, or those of the
package that PYTHONPATH leads to under the name VERSION, into `benchmarks/results/attacks/right_or_refused.json`, from
which `python -m benchmarks.docs` renders docs/right-or-refused.md.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from benchmarks.common import ROOT

RESULTS = ROOT / "benchmarks/results/attacks/right_or_refused.json"
NOW = "now"
COLUMNS = ("as expected", "wrong", "refused in vain", "failed")

Counts = dict[str, dict[str, int]]


def records() -> dict[str, Counts]:
    """Version -> kind of input -> outcome -> number of inputs; empty until they are recorded."""
    found: dict[str, Counts] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return found


def counted() -> Counts:
    """Run every input and count the outcomes by kind."""
    from tests.support.attacks.all import ATTACKS
    from tests.support.attacks.model import as_expected, outcome

    counts: Counts = {}
    for attack in ATTACKS:
        of_kind = counts.setdefault(attack.kind, dict.fromkeys(COLUMNS, 0))
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, words = outcome(attack, Path(folder))
        as_wanted = as_expected(attack, found)
        column = "as expected" if as_wanted else "refused in vain" if found == "refused" else found
        of_kind[column] += 1
        if not as_wanted:
            print(f"{attack.kind}: {attack.name}: {found}: {words[:160]}", flush=True)
    return counts


def _table() -> str:
    """A row for each kind: the number of inputs, and the outcomes of each version that is recorded."""
    from tests.support.attacks.all import ATTACKS

    tried, found = Counter(attack.kind for attack in ATTACKS), records()
    versions = sorted(found, key=lambda version: version == NOW)
    heads = [f"{version}: {column}" for version in versions for column in COLUMNS]
    rows = [[n, *(found[v].get(kind, {}).get(c, 0) for v in versions for c in COLUMNS)] for kind, n in tried.items()]
    total = [sum(column) for column in zip(*rows, strict=True)]
    lines = [f"| {' | '.join(['kind', 'inputs', *heads])} |", "|---|---|" + "---|" * len(heads)]
    lines += [
        f"| {kind} | {' | '.join(map(str, row))} |" for kind, row in zip((*tried, "all"), (*rows, total), strict=True)
    ]
    return "\n".join([*lines, ""])


SECTIONS = {"right_or_refused": _table}


def main() -> int:
    """Run the inputs and record the counts beside those of other versions."""
    name = sys.argv[2] if sys.argv[1:2] == ["--as"] and len(sys.argv) == 3 else NOW
    found = records()
    found[name] = counted()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
