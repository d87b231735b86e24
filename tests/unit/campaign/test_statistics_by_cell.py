"""Statistics of a campaign against sums over single cells: equal-area corners, and histories one by one."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from tests.support.campaigns import AROUND, centres, opened, publish_classes, write_map_campaign

import terrafine
from terrafine.campaign.execute import run_units
from terrafine.campaign.folder import Folder

LOCAL = "+proj=laea +lon_0=12 +lat_0=45.01 +datum=WGS84"
YEARS = ("2015", "2017", "2019")
UNKNOWN = 2
Sums = dict[tuple[str, tuple[int, ...]], float]


def patches(plan: Any, folder: Path, unit: Any, threads: int | None = None) -> Any:
    """Blocks of the ground that are other, impervious, a building or unknown, each epoch for itself."""
    east, north, _ = centres(plan, unit)
    back = Transformer.from_crs(f"EPSG:{unit.tile.epsg}", LOCAL, always_xy=True)
    x, y = back.transform(east, north)
    block = np.floor(x / 37).astype(np.int64) * 7919 + np.floor(y / 53).astype(np.int64) * 104_729
    drawn = np.abs(np.sin((block + 1) * (unit.epoch + 1.37)) * 43_758.5453) % 1
    classes = np.select([drawn < 0.45, drawn < 0.75, drawn < 0.92], [0.0, 1.0, 2.0], np.nan)
    return publish_classes(plan, folder, unit, classes)


def steady(history: tuple[int, ...]) -> tuple[int, ...]:
    """The closest history that never reverts; of equally close ones as the guide states."""
    known = [i for i, state in enumerate(history) if state != UNKNOWN]
    found = []
    for begin in range(len(known) + 1):
        rising = [0] * begin + [1] * (len(known) - begin)
        wrong = sum(history[i] != new for i, new in zip(known, rising, strict=True))
        last = bool(known) and rising[-1] != history[known[-1]]
        found.append((wrong, last, -begin, rising))
    best = min(found)[3]
    out = list(history)
    for i, new in zip(known, best, strict=True):
        out[i] = new
    return tuple(out)


def summed(settings: Path) -> Sums:
    """Square kilometres by zone and history, from the corners of every cell."""
    plan, _ = opened(settings)
    folder = Folder(settings.with_suffix(""))
    units = defaultdict(list)
    for unit in plan.units():
        units[unit.tile].append(unit)
    west, south, east, north = AROUND
    zones = {
        "region": shapely.box(*AROUND),
        "west": shapely.box(west, south, 12.0, north),
        "east": shapely.box(12.0, south, east, north),
    }
    sums: Sums = defaultdict(float)
    for tile, listed in units.items():
        maps = []
        for unit in sorted(listed, key=lambda u: u.epoch):
            with rasterio.open(folder.tile(plan, unit)) as file:
                numbers, a = file.read(1), file.transform
            maps.append(np.where(numbers == 255, UNKNOWN, np.minimum(numbers, 1)))
        height, width = maps[0].shape
        x, y = np.meshgrid(a.c + a.a * np.arange(width + 1), a.f + a.e * np.arange(height + 1))
        x, y = Transformer.from_crs(f"EPSG:{tile.epsg}", LOCAL, always_xy=True).transform(x, y)
        d1x, d1y = x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]
        d2x, d2y = x[:-1, 1:] - x[1:, :-1], y[:-1, 1:] - y[1:, :-1]
        area = np.abs(d1x * d2y - d1y * d2x) / 2 / 1e6
        e, n, _ = centres(plan, listed[0])
        lon, lat = Transformer.from_crs(tile.epsg, 4326, always_xy=True).transform(e, n)
        own = np.floor((lon + 180) / 6) + 1 == tile.epsg % 100
        history = np.stack(maps).reshape(3, -1)
        for name, polygon in zones.items():
            inside = (own & shapely.contains_xy(polygon, lon, lat)).ravel()
            for states in itertools.product((0, 1, UNKNOWN), repeat=3):
                here = inside & (history == np.array(states)[:, None]).all(axis=0)
                sums[name, states] += float(area.ravel()[here].sum())
    return sums


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Sums]:
    settings = write_map_campaign(tmp_path_factory.mktemp("town"), zones=True)
    plan, folder = opened(settings)
    assert run_units(plan, folder, list(plan.units()), work=patches).failed == []
    return json.loads((terrafine.campaign_statistics(settings) / "statistics.json").read_text()), summed(settings)


def of(sums: Sums, rule: str, zone: str) -> dict[tuple[int, ...], float]:
    """History after a rule to its area."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for (name, states), area in sums.items():
        if name == zone:
            found[steady(states) if rule == "steady" else states] += area
    return found


@pytest.mark.parametrize("rule", ["raw", "steady"])
@pytest.mark.parametrize("zone", ["region", "west", "east"])
def test_areas_and_shares_are_sums_of_cells(both: tuple[dict[str, Any], Sums], rule: str, zone: str) -> None:
    record, sums = both
    histories = of(sums, rule, zone)
    for number, year in enumerate(YEARS):
        row = next(r for r in record["areas"] if (r["rule"], r["zone"], r["epoch"]) == (rule, zone, year))
        by = [sum(area for states, area in histories.items() if states[number] == state) for state in (0, 1, UNKNOWN)]
        assert row["other_km2"] == pytest.approx(by[0], rel=2e-3)
        assert row["impervious_km2"] == pytest.approx(by[1], rel=2e-3)
        assert row["unknown_km2"] == pytest.approx(by[2], rel=5e-3)
        assert row["impervious_share"] == pytest.approx(by[1] / (by[0] + by[1]), rel=1e-3)


@pytest.mark.parametrize("rule", ["raw", "steady"])
def test_change_and_growth_are_sums_of_cells(both: tuple[dict[str, Any], Sums], rule: str) -> None:
    record, sums = both
    histories = of(sums, rule, "east")
    names = ("other", "impervious", "unknown")
    for first, last in ((0, 1), (1, 2), (0, 2)):
        rows = [
            r
            for r in record["change"]
            if (r["rule"], r["zone"], r["from_epoch"], r["to_epoch"]) == (rule, "east", YEARS[first], YEARS[last])
        ]
        assert len(rows) == 9
        cells = {
            (before, after): sum(a for s, a in histories.items() if (s[first], s[last]) == (before, after))
            for before, after in itertools.product(range(3), repeat=2)
        }
        for row in rows:
            meant = cells[names.index(row["from_class"]), names.index(row["to_class"])]
            assert row["km2"] == pytest.approx(meant, rel=5e-3, abs=1e-4)
        growth = next(
            r
            for r in record["growth"]
            if (r["rule"], r["zone"], r["from_epoch"], r["to_epoch"]) == (rule, "east", YEARS[first], YEARS[last])
        )
        before, after = (sum(cells[k] for k in ((1, 0), (1, 1))), sum(cells[k] for k in ((0, 1), (1, 1))))
        assert growth["from_km2"] == pytest.approx(before, rel=3e-3)
        assert growth["growth_km2"] == pytest.approx(after - before, abs=3e-3 * before)
        span = int(YEARS[last]) - int(YEARS[first])
        biennial = 100 * ((after / before) ** (2 / span) - 1)
        assert growth["percent_per_two_years"] == pytest.approx(biennial, abs=0.5)
        assert rows
