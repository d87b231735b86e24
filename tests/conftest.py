"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# A busy machine must not fail a test: no property is about time.
settings.register_profile("terrafine", deadline=None)
settings.load_profile("terrafine")
