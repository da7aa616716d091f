"""The tasks: a folder here, or under a folder named in GNOMON_TASKS, is a task."""

from gnomon.core.found import task as load
from gnomon.core.found import task_names as names

__all__ = ["load", "names"]
