"""Checks of a model before it is trusted: gradients, shapes and cost, sanity."""
