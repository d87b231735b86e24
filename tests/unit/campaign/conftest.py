"""After each test here, nothing that it opened, started or wrote to the temporary folder is left."""

from __future__ import annotations

from tests.support.leaks import nothing_is_left, own_temporary_folder

__all__ = ["nothing_is_left", "own_temporary_folder"]
