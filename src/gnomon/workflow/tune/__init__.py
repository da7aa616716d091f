"""Searching for settings: the search, its rounds and workers, what it found, and whether that still holds."""
