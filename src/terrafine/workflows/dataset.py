"""`build_dataset`: training samples from images and labels. `terrafine dataset impervious` calls it."""

from terrafine.datasets.impervious.build import build_dataset

__all__ = ["build_dataset"]
