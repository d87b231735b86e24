"""What tests of killed runs share."""

from __future__ import annotations

import pytest
from tests.support.kills import child, finish


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The bytes of a run that nothing interrupts."""
    out = tmp_path_factory.mktemp("undisturbed") / "out.npy"
    code, stdout, stderr = finish(child(out))
    assert code == 0, stderr
    assert stdout.split() == ["18", "0"]
    return out.read_bytes()
