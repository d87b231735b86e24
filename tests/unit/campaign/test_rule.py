"""With two epochs the temporal rule can only remove losses, and the statistics say so wherever they state it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.campaigns import disc, opened, write_map_campaign
from tests.support.cli import terrafine as run_cli

from terrafine.campaign.execute import run_units
from terrafine.campaign.statistics.sequences import IMPERVIOUS, OTHER, Sequences


def test_two_epochs_lose_their_losses_and_keep_every_gain() -> None:
    sequences = Sequences(2)
    changed = (sequences.states != sequences.steady).any(axis=1)
    np.testing.assert_array_equal(sequences.states[changed], [[IMPERVIOUS, OTHER]])
    np.testing.assert_array_equal(sequences.steady[changed], [[OTHER, OTHER]])


def test_three_epochs_can_remove_a_gain() -> None:
    sequences = Sequences(3)
    (place,) = np.flatnonzero((sequences.states == (OTHER, IMPERVIOUS, OTHER)).all(axis=1))
    assert not sequences.steady[place].any()


@pytest.mark.parametrize("epochs", [2, 3])
def test_tables_record_and_console_state_what_two_epochs_cannot_do(epochs: int, tmp_path: Path) -> None:
    settings = write_map_campaign(tmp_path, zones=False)
    text = settings.read_text().split("[[epochs]]")
    settings.write_text("[[epochs]]".join(text[: epochs + 1]))
    plan, folder = opened(settings)
    assert run_units(plan, folder, list(plan.units()), work=disc).failed == []
    done = run_cli("campaign", "stats", settings)
    assert done.exit_code == 0
    said = "can only remove losses"
    assert (said in done.output) is (epochs == 2)
    statistics = settings.with_suffix("") / "statistics"
    record = json.loads((statistics / "statistics.json").read_text())
    assert [said in note for note in record["notes"]] == [True] * (epochs == 2)
    with open(statistics / "growth.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        assert (row["bound"] == "upper") is (epochs == 2 and row["rule"] == "steady")
