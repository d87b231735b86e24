"""The version of Terrafine, stated once; `pyproject.toml` and every record of a run read it."""

__all__ = ["__version__"]

__version__ = "0.2.0"
