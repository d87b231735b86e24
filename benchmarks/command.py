"""The command line that the benchmarks share: --data, --out, --quick, and where a result goes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, data_dir, test_files, write_json
from benchmarks.quick import TINY, quick_data

METRICS = ("rmse", "mae", "nmad", "slope_rmse")


def parser(doc: str | None, name: str) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark; `name` is that of its result file.

    --quick runs every part on tiny data that is made from the shipped sample, with models as they are and training of
    a few steps. It checks that the benchmark works; its numbers mean nothing and are only written where --out says.
    """
    made = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    made.add_argument("--data", help="folder of real data")
    made.add_argument("--out", type=Path, help=f"JSON; default: results/{name}.json, for a complete run only")
    made.add_argument("--quick", action="store_true", help="check that it runs, on tiny data, in about a minute")
    return made


@contextmanager
def data_of(args: argparse.Namespace) -> Iterator[Path]:
    """The folder of real data, or with --quick a temporary folder of tiny data with the same layout."""
    if args.quick:
        with quick_data() as folder:
            yield folder
    else:
        yield data_dir(args.data)


def tested(args: argparse.Namespace, data: Path) -> list[Path]:
    """The held-out DEMs, or those that --files names; with --quick a small one."""
    stems: Sequence[str] | None = args.files or ([TINY] if args.quick else None)
    files = [f for f in test_files(data) if not stems or f.stem in stems]
    if not files:
        raise SystemExit(f"none of {stems} is in {data / 'dem' / 'test'}; check --files and --data")
    return files


def destination(args: argparse.Namespace, name: str, *, complete: bool) -> Path | None:
    """Where the result goes: --out, or for a complete run the published result file."""
    return args.out or (RESULTS / f"{name}.json" if complete and not args.quick else None)


def publish(record: Mapping[str, Any], out: Path | None) -> None:
    """Write the result where it has a destination."""
    if out is not None:
        write_json(out, record)
        print(f"\nwritten to {out}")
