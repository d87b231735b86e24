"""Areas are of the ground, each point counts once, histories follow the rule, and a sample adjusts a map."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from tests.support import campaigns
from tests.support.campaigns import MIDDLE, RADII, disc, opened, write_map_campaign
from tests.support.cli import terrafine as run_cli

import terrafine
from terrafine.campaign.execute import run_units
from terrafine.campaign.sampling.adjusted import adjusted_statistics
from terrafine.campaign.sampling.design import Design, Point, Stratum, allocate, suggested_points
from terrafine.campaign.sampling.form import read_answers, read_design
from terrafine.campaign.settings import Epoch
from terrafine.campaign.statistics.sequences import Sequences
from terrafine.campaign.statistics.tables import growth_rows
from terrafine.errors import DataError, IncompleteError, UsageError

TRUE = {name: math.pi * radius**2 / 1e6 for name, radius in RADII.items()}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = write_map_campaign(tmp_path_factory.mktemp("town"), zones=True)
    plan, folder = opened(settings)
    assert run_units(plan, folder, list(plan.units()), work=disc).failed == []
    return settings


@pytest.fixture(scope="module")
def record(town: Path) -> dict[str, Any]:
    folder = terrafine.campaign_statistics(town)
    for name in ("areas.csv", "change.csv", "growth.csv", "zones.parquet", "growth.png", "change.png"):
        assert (folder / name).stat().st_size > 100
    return dict(json.loads((folder / "statistics.json").read_text()))


def test_areas_across_two_zones_are_those_of_the_ground(record: dict[str, Any]) -> None:
    region = [r for r in record["areas"] if r["rule"] == "raw" and r["zone"] == "region"]
    for row in region:
        assert row["impervious_km2"] == pytest.approx(TRUE[row["epoch"]], rel=2e-3)
        assert row["unknown_km2"] == 0
    assert record["counted_km2"] == pytest.approx(record["region_km2"], rel=1e-4)


def test_zones_add_up_to_the_region(record: dict[str, Any]) -> None:
    for epoch in RADII:
        rows = {r["zone"]: r for r in record["areas"] if r["rule"] == "raw" and r["epoch"] == epoch}
        parts = rows["west"]["impervious_km2"] + rows["east"]["impervious_km2"]
        assert parts == pytest.approx(rows["region"]["impervious_km2"], rel=1e-3)
        assert rows["west"]["impervious_km2"] == pytest.approx(TRUE[epoch] / 2, rel=0.01)


def test_the_change_matrix_and_growth_are_of_the_same_ground(record: dict[str, Any]) -> None:
    chosen = [
        r
        for r in record["change"]
        if (r["rule"], r["zone"], r["from_epoch"], r["to_epoch"]) == ("raw", "region", "2015", "2019")
    ]
    cell = {(r["from_class"], r["to_class"]): r["km2"] for r in chosen}
    assert cell["other", "impervious"] == pytest.approx(TRUE["2019"] - TRUE["2015"], rel=5e-3)
    assert cell["impervious", "other"] == 0
    assert sum(cell.values()) == pytest.approx(record["counted_km2"])
    growth = next(r for r in record["growth"] if r["rule"] == "raw" and r["zone"] == "region" and r["years"] > 3)
    assert growth["growth_percent"] == pytest.approx(100 * (TRUE["2019"] / TRUE["2015"] - 1), rel=0.01)
    yearly = (TRUE["2019"] / TRUE["2015"]) ** 0.25 - 1
    assert growth["percent_per_two_years"] == pytest.approx(100 * ((1 + yearly) ** 2 - 1), rel=0.01)


def test_tables_hold_what_the_record_holds(town: Path, record: dict[str, Any]) -> None:
    geopandas = pytest.importorskip("geopandas")
    folder = town.with_suffix("") / "statistics"
    with open(folder / "areas.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(record["areas"]) == 2 * 3 * 3
    frame = geopandas.read_parquet(folder / "zones.parquet")
    assert list(frame["zone"]) == ["region", "west", "east"] and frame.crs.to_epsg() in (4326, None)
    assert frame["raw_2019_impervious_km2"][0] == pytest.approx(TRUE["2019"], rel=2e-3)


@pytest.mark.parametrize(
    ("history", "steady"),
    [
        ((0, 1, 1), (0, 1, 1)),
        ((1, 0), (0, 0)),
        ((0, 1, 0), (0, 0, 0)),
        ((1, 0, 1, 1), (0, 0, 1, 1)),
        ((1, 1, 0, 1), (1, 1, 1, 1)),
        ((0, 0, 1, 0, 0), (0, 0, 0, 0, 0)),
        ((0, 2, 1), (0, 2, 1)),
        ((1, 2, 0), (0, 2, 0)),
        ((2, 2), (2, 2)),
        ((2, 1, 0, 0), (2, 0, 0, 0)),
    ],
)
def test_the_rule_takes_the_closest_history_that_never_reverts(history: Any, steady: Any) -> None:
    sequences = Sequences(len(history))
    place = int(np.flatnonzero((sequences.states == history).all(axis=1))[0])
    assert tuple(sequences.steady[place]) == steady


def test_no_history_reverts_after_the_rule_and_those_that_do_not_stay() -> None:
    sequences = Sequences(5)
    for before, after in zip(sequences.states, sequences.steady, strict=True):
        known = [int(v) for v in after if v != 2]
        assert known == sorted(known)
        was = [int(v) for v in before if v != 2]
        if was == sorted(was):
            assert (before == after).all()


def test_codes_are_numbers_of_states() -> None:
    sequences = Sequences(2)
    classes = np.array([[[0, 1, 255]], [[1, 255, 0]]], np.uint8)
    assert [tuple(sequences.states[c]) for c in sequences.code(classes)[0]] == [(0, 1), (1, 2), (2, 0)]
    with pytest.raises(UsageError, match="13 epochs"):
        Sequences(13)


def test_a_gap_is_no_growth() -> None:
    sequences = Sequences(2)
    area = np.zeros((1, 9))
    area[0, 3 * 0 + 1], area[0, 3 * 1 + 1], area[0, 3 * 2 + 1] = 1e6, 2e6, 50e6  # grown, stayed, unknown before
    row = growth_rows(sequences, [Epoch("a", "2015"), Epoch("b", "2017")], ["region"], area)[0]
    assert (row["from_km2"], row["to_km2"], row["growth_percent"]) == (2.0, 3.0, 50.0)


def test_growth_after_the_rule_is_marked_as_a_bound_where_there_are_two_epochs() -> None:
    for years, bound in ((("2015", "2017"), "upper"), (("2015", "2017", "2019"), None)):
        sequences, epochs = Sequences(len(years)), [Epoch(year, year) for year in years]
        rows = growth_rows(sequences, epochs, ["region"], np.ones((1, len(sequences.states))))
        assert {row["rule"]: row["bound"] for row in rows} == {"raw": None, "steady": bound}


def test_statistics_of_holes_are_refused_unless_partial(town: Path, tmp_path: Path) -> None:
    settings = write_map_campaign(tmp_path)
    plan, folder = opened(settings)
    with pytest.raises(IncompleteError, match="no tile is done"):
        terrafine.campaign_statistics(settings)
    first = next(plan.units())
    run_units(plan, folder, [first], work=disc)
    with pytest.raises(IncompleteError, match="pending of"):
        terrafine.campaign_statistics(settings)
    out = terrafine.campaign_statistics(settings, partial=True)
    rows = json.loads((out / "statistics.json").read_text())["areas"]
    assert rows[0]["known_km2"] + rows[0]["unknown_km2"] == pytest.approx(plan.area_km2, rel=2e-3)
    assert rows[0]["unknown_km2"] > 0.5 * plan.area_km2


def test_statistics_are_of_class_maps(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="terrafine change"):
        terrafine.campaign_statistics(campaigns.write_campaign(tmp_path))


def test_the_published_collection_is_valid_and_complete(town: Path) -> None:
    pystac = pytest.importorskip("pystac")
    made = terrafine.publish_campaign(town)
    plan, _ = opened(town)
    collection = pystac.Collection.from_file(str(made.collection))
    items = list(collection.get_items())
    assert len(items) == made.items == len(plan) and made.holes == 0
    item = items[0]
    path = Path(item.assets["class"].get_absolute_href())
    with rasterio.open(path) as file:
        assert item.properties["proj:code"] == f"EPSG:{file.crs.to_epsg()}"
        assert item.assets["class"].extra_fields["proj:shape"] == list(file.shape)
        assert item.assets["class"].extra_fields["file:size"] == path.stat().st_size
    assert {c["name"] for c in item.assets["class"].extra_fields["bands"][0]["classification:classes"]} == {
        "other",
        "impervious",
    }


def test_a_mosaic_shows_each_tile_in_its_place(town: Path) -> None:
    made = terrafine.publish_campaign(town)
    vrt = next(p for p in made.mosaics if p.name == "town_2019_32N.vrt")
    assert vrt.with_suffix(".qml").is_file()
    tile = sorted((town.with_suffix("") / "tiles" / "2019" / "32N").glob("*.tif"))[-1]
    with rasterio.open(vrt) as whole, rasterio.open(tile) as part:
        assert (whole.crs, whole.res, whole.nodata) == (part.crs, part.res, part.nodata)
        window = rasterio.windows.from_bounds(*part.bounds, whole.transform).round_offsets()
        assert (whole.read(1, window=window) == part.read(1)).all()
        assert whole.overviews(1)


def test_publishing_holes_is_refused_unless_partial_and_then_lists_them(tmp_path: Path) -> None:
    settings = write_map_campaign(tmp_path)
    plan, folder = opened(settings)
    run_units(plan, folder, [next(plan.units())], work=disc)
    with pytest.raises(IncompleteError, match="have no result"):
        terrafine.publish_campaign(settings)
    made = terrafine.publish_campaign(settings, partial=True)
    assert made.items == 1 and made.holes == len(plan) - 1
    assert len((folder.path / "holes.csv").read_text().splitlines()) == len(plan)
    assert (
        f"{len(plan) - 1} of {len(plan)} tiles have no result" in json.loads(made.collection.read_text())["description"]
    )


def test_a_sample_is_drawn_by_strata_and_its_answers_adjust_the_area(town: Path) -> None:
    form = terrafine.sample_campaign(town, points=300, minimum=60, seed=3)
    design = read_design(form.with_name("design.json"))
    sizes = {s.name: s.points for s in design.strata}
    assert sum(sizes.values()) == len(design.points) == 300
    assert sizes["became impervious"] >= 60 and sizes["no longer impervious"] == 0
    assert len({(p.tile, p.row, p.col) for p in design.points}) == 300
    _answer(form, design, wider=25.0)
    answers = read_answers(form, design)
    found = adjusted_statistics(design, answers)
    for row in found["epochs"]:
        truth = math.pi * (RADII[row["epoch"]] + 25) ** 2 / 1e6
        low, high = row["impervious_km2"]["interval"]
        assert low - 0.03 < truth < high + 0.03
        assert row["mapped_km2"] == pytest.approx(TRUE[row["epoch"]], rel=2e-3)
    folder = terrafine.campaign_statistics(town, reference=form)
    assert json.loads((folder / "statistics.json").read_text())["adjusted"]["points"] == 300
    with pytest.raises(UsageError, match="may hold answers"):
        terrafine.sample_campaign(town)


def _answer(form: Path, design: Design, wider: float) -> None:
    """Answer the form as an interpreter who sees a disc that is wider than the map's."""
    import sqlite3
    from contextlib import closing

    from pyproj import Geod

    geod = Geod(ellps="WGS84")
    with closing(sqlite3.connect(form)) as base, base:
        names = [row[1] for row in base.execute("PRAGMA table_info(responses)")]
        assert "stratum" not in names and not [n for n in names if "map" in n]
        for trigger in [r[0] for r in base.execute("SELECT name FROM sqlite_master WHERE type='trigger'")]:
            base.execute(f'DROP TRIGGER "{trigger}"')
        for p in design.points:
            far = geod.inv(*MIDDLE, p.longitude, p.latitude)[2]
            for name, radius in RADII.items():
                base.execute(
                    f'UPDATE responses SET "reference_{name}" = ? WHERE number = ?',
                    (int(far <= radius + wider), p.number),
                )


def _population(
    rng: np.random.Generator, strata: list[Stratum], rates: dict[str, float]
) -> tuple[Design, dict[str, dict[int, int]]]:
    """A sample of a made-up population in which a share of each stratum is impervious."""
    points, answers, number = [], {}, 0
    for s in strata:
        for _ in range(s.points):
            number += 1
            points.append(Point(number, s.name, "t", 0, 0, 0.0, 0.0, (), (int(s.name == "stays impervious"),)))
            answers[number] = int(rng.random() < rates[s.name])
    return Design(0, ("a",), tuple(strata), tuple(points), "", (1e7,)), {"a": answers}


def test_intervals_of_adjusted_areas_hold_the_truth_nineteen_times_of_twenty() -> None:
    rng = np.random.default_rng(5)
    strata = allocate([Stratum("stays other", 900_000, 9e7), Stratum("stays impervious", 100_000, 1e7)], 400, 80)
    rates = {"stays other": 0.03, "stays impervious": 0.85}
    truth = (0.03 * 9e7 + 0.85 * 1e7) / 1e6
    held, values = 0, []
    for _ in range(300):
        area = adjusted_statistics(*_population(rng, strata, rates))["epochs"][0]["impervious_km2"]
        held += area["interval"][0] <= truth <= area["interval"][1]
        values.append(area["value"])
    assert 0.90 <= held / 300 <= 0.99
    assert np.mean(values) == pytest.approx(truth, rel=0.03)
    assert abs(np.mean(values) - 10.0) > 0.5  # the map's own area is another


def test_allocation_keeps_the_minimum_and_the_sum() -> None:
    strata = [
        Stratum("stays other", 10**9, 1e9),
        Stratum("became impervious", 10**6, 1e6),
        Stratum("stays impervious", 30, 30.0),
    ]
    given = {s.name: s.points for s in allocate(strata, 500, 50)}
    assert given == {"stays other": 420, "became impervious": 50, "stays impervious": 30}
    assert suggested_points(strata, 0.01) == pytest.approx((0.2179 / 0.01) ** 2, rel=0.01)
    with pytest.raises(UsageError, match="130"):
        allocate(strata, 100, 50)
    with pytest.raises(DataError):
        allocate([Stratum("stays other", 0, 0.0)], 10, 2)


def test_the_command_line_prints_areas(town: Path, record: dict[str, Any]) -> None:
    done = run_cli("campaign", "stats", town)
    assert done.exit_code == 0 and "2019 raw: 0.50" in done.output
    assert run_cli("campaign", "publish", town).exit_code == 0
