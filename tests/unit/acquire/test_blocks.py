"""What an unfinished fetch has kept is used as it was written, fetched again, or refused with advice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.mutants import mutants

from terrafine.acquire.blocks import Block, BlockStore, divide
from terrafine.errors import JobError, OutputError, TerrafineError

BLOCK = Block(0, slice(0, 4), slice(0, 5))
PLAN = {"key": "k", "items": [{"id": "a"}], "clear": {"a": 0.5}, "decisions": {}, "failed": {}, "notes": ["n"]}
RECORD = {"digests": {"a": "0"}, "failed": {}}


def kept(out: Path) -> Path:
    with BlockStore.open(out, "k", False) as store:
        store.keep_plan(PLAN)
        store.keep(BLOCK, np.arange(40, dtype=np.float32).reshape(2, 4, 5), RECORD)
        return store.folder


def test_a_block_that_was_kept_is_finished_and_comes_back(tmp_path: Path) -> None:
    kept(tmp_path / "o.tif")
    with BlockStore.open(tmp_path / "o.tif", "k", False) as store:
        assert store.plan() == PLAN and store.finished(BLOCK)
        np.testing.assert_array_equal(store.values(BLOCK), np.arange(40, dtype=np.float32).reshape(2, 4, 5))
        assert not store.finished(Block(1, slice(0, 4), slice(5, 9)))
        store.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", [0, 10, 130, -1])
def test_a_damaged_block_is_fetched_again(at: int, tmp_path: Path) -> None:
    folder = kept(tmp_path / "o.tif")
    data = bytearray((folder / "block000000.npy").read_bytes())
    data[at] ^= 1
    (folder / "block000000.npy").write_bytes(data)
    with BlockStore.open(tmp_path / "o.tif", "k", False) as store:
        assert not store.finished(BLOCK)


def test_a_changed_plan_or_record_is_read_as_what_it_is_or_refused(tmp_path: Path) -> None:
    folder = kept(tmp_path / "o.tif")
    whole = json.loads((folder / "block000000.json").read_text())
    for mutant in mutants(whole, 60, seed=6):
        (folder / "block000000.json").write_text(json.dumps(mutant.record))
        with BlockStore.open(tmp_path / "o.tif", "k", False) as store:
            finished = store.finished(BLOCK)
            assert finished <= (mutant.record.get("crc32") == whole["crc32"]), mutant.label
    refused = 0
    for mutant in mutants(PLAN, 60, seed=7):
        (folder / "plan.json").write_text(json.dumps(mutant.record))
        try:
            with BlockStore.open(tmp_path / "o.tif", "k", False) as store:
                assert set(PLAN) <= set(store.plan() or ())
        except TerrafineError as error:
            assert "plan.json" in str(error) or "restart=True" in str(error), mutant.label
            refused += 1
    assert refused > 10


def test_a_link_or_a_folder_of_the_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "letter").write_text("dear")
    (tmp_path / ".o.tif.fetch").symlink_to(tmp_path / "own", target_is_directory=True)
    with pytest.raises(OutputError, match="symbolic link"), BlockStore.open(tmp_path / "o.tif", "k", True):
        pass
    (tmp_path / ".o.tif.fetch").unlink()
    (tmp_path / "own").rename(tmp_path / ".o.tif.fetch")
    with pytest.raises(OutputError, match="letter"), BlockStore.open(tmp_path / "o.tif", "k", True):
        pass
    assert (tmp_path / ".o.tif.fetch" / "letter").read_text() == "dear"


def test_another_request_of_that_name_is_not_continued(tmp_path: Path) -> None:
    kept(tmp_path / "o.tif")
    with pytest.raises(JobError, match="another request"), BlockStore.open(tmp_path / "o.tif", "other", False):
        pass


def test_blocks_cover_a_raster_once() -> None:
    seen = np.zeros((700, 1300), int)
    for block in divide((700, 1300), 100, 60_000_000):
        seen[block.rows, block.cols] += 1
    assert (seen == 1).all()
