"""Experiments behind the conclusions in docs/: accuracy, not speed (speed is in `benchmarks/`)."""
