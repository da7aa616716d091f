"""Metrics with intervals, in NumPy only."""
