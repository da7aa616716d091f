"""The crafts there are: a folder here, or under a folder named in GNOMON_CRAFTS, is a craft."""

from gnomon.core.found import craft as load
from gnomon.core.found import craft_names as names

__all__ = ["load", "names"]
