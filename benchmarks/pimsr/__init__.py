"""Benchmarks of DEM super-resolution that is guided by radar or an image."""
