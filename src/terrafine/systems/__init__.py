"""The systems: one folder each, found by looking; a new system is a new folder and nothing else.

A system's folder exports `SYSTEM`, a `System`. Weights lie in its `weights/`, recipes in its `recipes/`.
"""
