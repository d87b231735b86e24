"""The offset of 2022: every way in which archives state it, and what the darkest numbers prove."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from terrafine.acquire.catalogue import Scene
from terrafine.acquire.look import Look
from terrafine.acquire.offset import OFFSET, Decision, baseline, decide, from_metadata

NAMES = ("red", "nir")


def scene(when: str = "2023-06-01T10:00:00Z", offset: float | None = None, name: str = "x", **properties: Any) -> Scene:
    properties = {key.replace("__", ":"): value for key, value in properties.items()}
    asset = {} if offset is None else {"raster:bands": [{"offset": offset}]}
    return Scene(
        {
            "id": name,
            "bbox": [0, 0, 1, 1],
            "properties": {"datetime": when, **properties},
            "assets": {band: dict(asset) for band in NAMES},
        }
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"s2__processing_baseline": "05.09"}, 5.09),
        ({"s2__processing_baseline": "04.00"}, 4.0),
        ({"processing__version": "0509"}, 5.09),
        ({"name": "S2A_MSIL2A_20230601T100031_N0509_R122_T32TPP"}, 5.09),
        ({"name": "S2A_32TPP_20230601_0_L2A"}, None),
    ],
)
def test_the_baseline_is_found_in_properties_or_name(given: dict[str, Any], expected: float | None) -> None:
    assert baseline(scene(**given)) == expected


@pytest.mark.parametrize(
    ("given", "subtract", "by", "contradicted"),
    [
        # Planetary Computer: ESA's numbers, baseline only
        ({"s2__processing_baseline": "05.09"}, 1000, "baseline", False),
        ({"s2__processing_baseline": "03.01"}, 0, "baseline", False),
        # Earth Search: the archive removed the offset, and says so; its assets may still declare it
        ({"s2__processing_baseline": "05.09", "earthsearch__boa_offset_applied": True}, 0, "flag", False),
        (
            {"s2__processing_baseline": "05.09", "earthsearch__boa_offset_applied": True, "offset": -0.1},
            0,
            "flag",
            True,
        ),
        (
            {"s2__processing_baseline": "05.09", "earthsearch__boa_offset_applied": False, "offset": -0.1},
            1000,
            "flag",
            False,
        ),
        ({"s2__processing_baseline": "02.14", "earthsearch__boa_offset_applied": False, "offset": 0}, 0, "flag", False),
        ({"s2__processing_baseline": "02.14", "earthsearch__boa_offset_applied": True}, 0, "flag", True),
        # CDSE: declared with the band
        ({"processing__version": "05.11", "offset": -0.1}, 1000, "declared", False),
        ({"processing__version": "02.14", "offset": 0.0}, 0, "declared", False),
        ({"processing__version": "02.14", "offset": -0.1}, 0, "baseline", True),
        # a reprocessed scene of 2018 has the offset, whatever its date
        ({"when": "2018-06-01T10:00:00Z", "s2__processing_baseline": "05.00"}, 1000, "baseline", False),
        # nothing is stated but the date
        ({"when": "2022-01-24T10:00:00Z"}, 0, "date", False),
        ({"when": "2022-01-26T10:00:00Z"}, 1000, "date", False),
    ],
)
def test_metadata_decide(given: dict[str, Any], subtract: float, by: str, contradicted: bool) -> None:
    found = from_metadata(scene(**given), NAMES)
    assert (found.subtract, found.by, bool(found.warning)) == (subtract, by, contradicted)


HOLDS = Decision(
    OFFSET, "flag", "baseline 05.09: the product holds the offset; the flag states that it was not removed"
)
REMOVED = Decision(0.0, "flag", "baseline 05.09: the product holds the offset; the flag states that it was removed")
OLD = Decision(0.0, "baseline", "baseline 02.04: the product does not hold the offset")


DECLARED = Decision(
    0.0,
    "baseline",
    "baseline 02.14: the product does not hold the offset; the assets declare an offset of -0.1",
    "the offset that the assets declare contradicts the baseline",
)
DATED = Decision(0.0, "date", "no baseline stated, acquired 2021-01-01: the product does not hold the offset")


def checked(decisions: list[Decision], darkest: list[float]) -> list[Decision]:
    """Each item against the darkest numbers of its own and of the others."""
    looks = [Look(0.0) if np.isnan(d) else Look(0.9, 9000, darkest=d) for d in darkest]
    pairs = list(zip(decisions, looks, strict=True))
    return [
        decide(d, look, [(o.subtract, seen) for j, (o, seen) in enumerate(pairs) if j != i])
        for i, (d, look) in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    ("decisions", "darkest", "expected"),
    [
        ([HOLDS, HOLDS], [1150, 1200], [1000, 1000]),
        ([HOLDS, HOLDS], [1150, 200], [1000, 0]),  # flagged as not removed, and removed: Earth Search, issue 71
        ([REMOVED, OLD, OLD], [1250, 200, 260], [1000, 0, 0]),  # flagged as removed, and not removed
        ([REMOVED, REMOVED], [1250, 1300], [0, 0]),  # bright ground: every scene is, and the metadata stand
        ([REMOVED], [1250], [0]),
        ([HOLDS, HOLDS], [np.nan, 1200], [1000, 1000]),
    ],
)
def test_dark_ground_has_the_last_word(decisions: list[Decision], darkest: list[float], expected: list[float]) -> None:
    found = checked(decisions, darkest)
    assert [d.subtract for d in found] == expected
    for before, after in zip(decisions, found, strict=True):
        assert bool(after.warning) == (before.subtract != after.subtract)
        assert after.by == ("values" if after.warning else before.by)


def test_what_neither_metadata_nor_values_explain_is_refused() -> None:
    found = checked([OLD, OLD, OLD], [1230, 200, 260])
    assert [d.refused for d in found] == [True, False, False]


def test_a_stated_offset_is_not_changed() -> None:
    stated = Decision(OFFSET, "stated", 'offset="subtract"')
    assert checked([stated], [100]) == [stated]


@pytest.mark.parametrize(
    ("metadata", "look", "subtract", "checked"),
    [
        # vegetation decides alone, in both directions
        (HOLDS, Look(0.9, 9000, darkest=1100, plants=1250), 1000, True),
        (HOLDS, Look(0.9, 9000, darkest=150, plants=300), 0, True),
        (REMOVED, Look(0.9, 9000, darkest=1100, plants=1250), 1000, True),
        (REMOVED, Look(0.9, 9000, darkest=150, plants=300), 0, True),
        # all water: deep water without the offset is dark; bright or glinting water proves nothing
        (HOLDS, Look(0.9, 9000, darkest=180, water=200), 0, True),
        (HOLDS, Look(0.9, 9000, darkest=1150, water=1180), 1000, False),
        (REMOVED, Look(0.9, 9000, darkest=1150, water=1180), 0, False),
        # all bright desert, snow, or all cloud
        (REMOVED, Look(0.9, 9000, darkest=1700, bare=2600), 0, False),
        (HOLDS, Look(0.9, 9000, darkest=2700, bare=3600), 1000, False),
        (HOLDS, Look(0.0), 1000, False),
        # what the classes call vegetation, and is none
        (HOLDS, Look(0.9, 9000, darkest=2400, plants=2650), 1000, False),
        # what contradicts itself decides nothing
        (REMOVED, Look(0.9, 9000, darkest=900, plants=1100, water=600), 0, False),
    ],
)
def test_the_ground_of_the_scene_decides_where_it_is_surely_dark(
    metadata: Decision, look: Look, subtract: float, checked: bool
) -> None:
    found = decide(metadata, look)
    assert (found.subtract, found.checked, found.refused) == (subtract, checked, False)
    assert bool(found.warning) == (subtract != metadata.subtract)
    assert checked or "not checked" in found.reason


@pytest.mark.parametrize(("subtract", "bare", "others"), [(0.0, 3600, 2600), (1000.0, 2600, 2600)])
def test_a_desert_is_compared_with_itself_at_other_dates(subtract: float, bare: float, others: float) -> None:
    metadata = REMOVED if not subtract else HOLDS
    look = Look(0.9, 9000, darkest=bare - 900, bare=bare)
    same = [(0.0, Look(0.9, 9000, darkest=others - 900 + d, bare=others + d)) for d in (-60, 0, 80)]
    found = decide(metadata, look, same)
    assert (found.subtract, found.by, found.checked) == (1000.0 - subtract, "values", True)
    assert decide(metadata, look, same[:1]).subtract == subtract  # one other scene proves nothing
    uneven = [(0.0, Look(0.9, 9000, bare=others + d)) for d in (-900, 0, 1200)]
    assert decide(metadata, look, uneven).subtract == subtract  # nor does ground that changes


def test_metadata_that_contradict_each_other_need_ground_that_decides() -> None:
    desert = Look(0.9, 9000, darkest=1700, bare=2600)
    assert decide(DECLARED, desert).refused
    assert "the assets declare contradicts the baseline" in decide(DECLARED, desert).warning
    proven = decide(DECLARED, Look(0.9, 9000, plants=300))
    assert (proven.subtract, proven.checked, proven.refused, proven.warning) == (0, True, False, "")
    assert decide(DECLARED, Look(0.9, 9000, plants=1300)).refused  # its product cannot hold the offset
    assert "its date decided" in decide(DATED, desert).warning
    assert decide(DATED, Look(0.9, 9000, plants=300)).warning == ""
