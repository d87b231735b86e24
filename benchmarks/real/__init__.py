"""Benchmarks on real sensors: coarse from one sensor, reference from another."""
