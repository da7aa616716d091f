"""Whole architectures, one file a family; a plain function builds each."""
