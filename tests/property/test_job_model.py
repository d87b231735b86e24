"""A job lives through any order of runs, kills, damage and failures: see `tests.support.job_model`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.support.job_model import JobModel

from terrafine.inference import job

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def lives(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        JobModel,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=SLOW,
            derandomize=True,
            database=None,
        ),
    )


def test_a_job_lives_through_any_order_of_events() -> None:
    lives(6, 12)


@pytest.mark.long
def test_a_job_lives_through_many_orders_of_events() -> None:
    lives(60, 25)


def test_the_model_sees_a_damaged_shard_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(self: job.Job, progress: object = None) -> set[int]:
        return {int(path.stem[6:]) for path in self.folder.glob("shard-*.bin")}

    model = JobModel()
    try:
        model.run_and_die("a", "rows", 1)
        shard = sorted(job.job_folder(model.out).glob("shard-*.bin"))[0]
        content = bytearray(shard.read_bytes())
        content[100] ^= 1
        shard.write_bytes(content)
        monkeypatch.setattr(job.Job, "finished", taken)
        with pytest.raises(AssertionError):
            model.run("a", False)
    finally:
        model.teardown()
