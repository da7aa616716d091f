"""Building blocks and losses that torch lacks: no whole models, no task words."""
