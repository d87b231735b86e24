"""What all tests share; after each test, nothing that it opened, started or wrote to the temporary folder is left."""

from __future__ import annotations

from hypothesis import settings

from tests.support.leaks import nothing_is_left, own_temporary_folder

__all__ = ["nothing_is_left", "own_temporary_folder"]

# A busy machine must not fail a test: no property is about time.
settings.register_profile("terrafine", deadline=None)
settings.load_profile("terrafine")
