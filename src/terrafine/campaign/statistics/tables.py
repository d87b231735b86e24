"""Tables of areas, change and growth from the true area of each sequence in each zone; CSV, JSON and GeoParquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.atomic import write_whole, written
from terrafine.campaign.settings import Epoch
from terrafine.campaign.statistics.sequences import IMPERVIOUS, NOT_KNOWN, Sequences
from terrafine.errors import MissingExtraError

__all__ = [
    "STATES",
    "TWO_EPOCHS",
    "area_rows",
    "change_rows",
    "growth_rows",
    "write_csv",
    "write_parquet",
    "write_record",
]

F64 = NDArray[np.float64]
Row = dict[str, Any]
STATES = ("other", "impervious", "unknown")
_KM2 = 1e6
_FEW_YEARS = 0.1
TWO_EPOCHS = (
    "with two epochs the temporal rule can only remove losses, true ones and errors alike, so growth after it is an "
    "upper value; use the growth that a reference sample estimates, or a third epoch"
)


def _rules(sequences: Sequences) -> Mapping[str, NDArray[np.uint8]]:
    return {"raw": sequences.states, "steady": sequences.steady}


def area_rows(sequences: Sequences, epochs: Sequence[Epoch], zones: Sequence[str], area_m2: F64) -> list[Row]:
    """Areas and shares by rule, zone and epoch, in square kilometres of ground.

    Parameters
    ----------
    sequences, epochs
        The sequences and the epochs that they are of.
    zones
        Names; the first is the region.
    area_m2
        Area of each sequence in each zone, (zone, sequence).

    Returns
    -------
    list of dict
        `known_km2` is impervious and other together; `common_` counts only cells that are known in every epoch.
    """
    rows = []
    for rule, states in _rules(sequences).items():
        for zone, total in zip(zones, area_m2, strict=True):
            by_state, common = sequences.areas(total, states), sequences.common(total, states)
            for number, epoch in enumerate(epochs):
                other, impervious, unknown = (float(v) / _KM2 for v in by_state[number])
                known = other + impervious
                rows.append(
                    {
                        "rule": rule,
                        "zone": zone,
                        "epoch": epoch.name,
                        "dates": epoch.dates,
                        "impervious_km2": impervious,
                        "other_km2": other,
                        "unknown_km2": unknown,
                        "known_km2": known,
                        "impervious_share": impervious / known if known else None,
                        "common_impervious_km2": float(common[number]) / _KM2,
                        "common_known_km2": float(common[-1]) / _KM2,
                    }
                )
    return rows


def change_rows(sequences: Sequences, epochs: Sequence[Epoch], zones: Sequence[str], area_m2: F64) -> list[Row]:
    """The change matrix of consecutive epochs, and of the first and the last, by rule and zone; square kilometres."""
    rows = []
    for rule, states in _rules(sequences).items():
        for zone, total in zip(zones, area_m2, strict=True):
            for first, last in _pairs(len(epochs)):
                matrix = sequences.change(total, states, first, last) / _KM2
                rows += [
                    {
                        "rule": rule,
                        "zone": zone,
                        "from_epoch": epochs[first].name,
                        "to_epoch": epochs[last].name,
                        "from_class": STATES[a],
                        "to_class": STATES[b],
                        "km2": float(matrix[a, b]),
                    }
                    for a in range(3)
                    for b in range(3)
                ]
    return rows


def growth_rows(sequences: Sequences, epochs: Sequence[Epoch], zones: Sequence[str], area_m2: F64) -> list[Row]:
    """Growth of impervious surface between consecutive epochs, and from the first to the last, by rule and zone.

    Cells that are not known in both epochs are left out of that pair, so that a gap does not count as change. Rates are
    compound: (later / earlier)^(years / span) - 1, for one year and for two. `bound` is `upper` where the temporal rule
    had two epochs alone: it then removes only losses.
    """
    rows = []
    for rule, states in _rules(sequences).items():
        for zone, total in zip(zones, area_m2, strict=True):
            for first, last in _pairs(len(epochs)):
                both = (states[:, first] != NOT_KNOWN) & (states[:, last] != NOT_KNOWN)
                before, after = (float(total[both & (states[:, e] == IMPERVIOUS)].sum()) / _KM2 for e in (first, last))
                span = epochs[last].middle - epochs[first].middle
                rate = None
                if before > 0 and after > 0 and span > _FEW_YEARS:
                    rate = (after / before) ** (1 / span) - 1
                rows.append(
                    {
                        "rule": rule,
                        "zone": zone,
                        "from_epoch": epochs[first].name,
                        "to_epoch": epochs[last].name,
                        "years": span,
                        "known_in_both_km2": float(total[both].sum()) / _KM2,
                        "from_km2": before,
                        "to_km2": after,
                        "growth_km2": after - before,
                        "growth_percent": 100 * (after / before - 1) if before > 0 else None,
                        "percent_per_year": None if rate is None else 100 * rate,
                        "percent_per_two_years": None if rate is None else 100 * ((1 + rate) ** 2 - 1),
                        "bound": "upper" if rule == "steady" and len(epochs) == 2 else None,
                    }
                )
    return rows


def _pairs(epochs: int) -> list[tuple[int, int]]:
    """Consecutive epochs, then the first and the last."""
    pairs = [(e, e + 1) for e in range(epochs - 1)]
    return [*pairs, (0, epochs - 1)] if epochs > 2 else pairs


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of one kind as CSV; an empty field is a value that cannot be given."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: "" if v is None else _plain(v) for k, v in row.items()} for row in rows)
    write_whole(path, text.getvalue().encode())


def _plain(value: Any) -> Any:
    return f"{value:.8g}" if isinstance(value, float) else value


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write the statistics as JSON."""
    write_whole(path, json.dumps(record, indent=1, allow_nan=False, default=float).encode())


def write_parquet(path: Path, names: Sequence[str], outlines: Sequence[Any], rows: Sequence[Row]) -> None:
    """Write one row for each zone as GeoParquet: its outline, and the areas of each epoch and rule as columns.

    Parameters
    ----------
    path
        The file.
    names, outlines
        Names of the zones, and their polygons in longitude and latitude.
    rows
        The rows of `area_rows`.

    Raises
    ------
    MissingExtraError
        Where geopandas or pyarrow is not installed.
    """
    try:
        import geopandas
        import pyarrow  # noqa: F401 - geopandas imports it when it writes
    except ImportError as error:
        raise MissingExtraError(f"{path}: GeoParquet needs an extra: pip install 'terrafine[campaign]'") from error
    columns: dict[str, list[Any]] = {"zone": list(names)}
    for row in rows:
        for what in ("impervious_km2", "known_km2", "impervious_share"):
            name = f"{row['rule']}_{row['epoch']}_{what}"
            columns.setdefault(name, [None] * len(names))[list(names).index(row["zone"])] = row[what]
    frame = geopandas.GeoDataFrame(columns, geometry=list(outlines), crs="OGC:CRS84")
    with written(path) as part:
        frame.to_parquet(part, schema_version="1.1.0", write_covering_bbox=False)
