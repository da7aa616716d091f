"""The tasks there are, found by folder name: a folder here, or under a folder named in GNOMON_TASKS, is a task."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from gnomon.core.errors import UsageError
from gnomon.core.task import Task

HERE = Path(__file__).parent


def _folders() -> dict[str, Path]:
    """Task names and where they live. GNOMON_TASKS holds folders separated as PATH is; a built-in name wins."""
    outside = [Path(part) for part in os.environ.get("GNOMON_TASKS", "").split(os.pathsep) if part]
    found: dict[str, Path] = {}
    for place in [*outside, HERE]:
        if not place.is_dir():
            raise UsageError(
                f"GNOMON_TASKS names {place}, which is not a folder.", fix="correct or unset GNOMON_TASKS."
            )
        found.update({folder.name: folder for folder in sorted(place.iterdir()) if (folder / "__init__.py").is_file()})
    return found


def names() -> tuple[str, ...]:
    """Every task there is, in alphabetical order."""
    return tuple(sorted(_folders()))


def load(name: str) -> type[Task]:
    """The task class of that name. Raises UsageError naming the tasks there are."""
    folders = _folders()
    if name not in folders:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), folders, n=1)
        known = f"tasks are {', '.join(sorted(folders))}."
        fix = f"did you mean {near[0]}? The {known}" if near else f"the {known}"
        raise UsageError(f"there is no task named {name!r}.", fix=fix)
    module = (
        importlib.import_module(f"gnomon.tasks.{name}") if folders[name].parent == HERE else _outside(folders[name])
    )
    task: type[Task] = module.TASK
    return task


def _outside(folder: Path) -> ModuleType:
    """Import a task folder from outside the package, once."""
    name = f"gnomon_tasks_outside.{folder.name}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise UsageError(f"the task in {folder} cannot be imported.", fix="see docs/add-a-task.md.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
