"""Building blocks and losses that torch lacks: no whole models, nothing specific to a task."""
