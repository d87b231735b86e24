"""Benchmarks of impervious surface at 1 m from Sentinel-2."""
