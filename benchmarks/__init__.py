"""What the published numbers were measured with: run each as `python -m benchmarks.dem.accuracy`."""
