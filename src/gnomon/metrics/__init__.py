"""Scores with intervals, in NumPy only."""
