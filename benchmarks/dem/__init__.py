"""Benchmarks of DEM super-resolution: accuracy, speed, a public network, a published table, ablations."""
