"""Benchmarks of relief that is estimated from one image."""
