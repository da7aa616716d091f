"""Tasks, crafts and model families are found by name: nothing registers itself, nothing is imported before its turn.

A task is a folder of gnomon/tasks, or of a folder named in GNOMON_TASKS; its module's `TASK` is the kind of task. A
craft is a folder of gnomon/crafts, or of one named in GNOMON_CRAFTS; its module's `CRAFT` is the craft. A family is a
file of gnomon/models, or of a folder named in GNOMON_MODELS; its module's `FAMILY` says which names it
answers to.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gnomon.core.errors import UsageError

if TYPE_CHECKING:
    from gnomon.core.craft import Craft
    from gnomon.core.family import Family
    from gnomon.core.task import TaskKind

PACKAGE = Path(__file__).parent.parent
SEVERAL: Mapping[str, tuple[str, ...]] = {  # names that stand for several tasks: the data decides which it is
    "sequence": ("sequence_classification", "sequence_regression", "step_classification", "step_regression"),
}
CUSTOM = "custom"  # the name of a model that the user hands over


def task_names() -> tuple[str, ...]:
    """Every task there is, in alphabetical order."""
    return tuple(sorted(_places("GNOMON_TASKS", "tasks")))


def task(name: str) -> TaskKind:
    """The task of that name. Raises UsageError naming the tasks there are."""
    places = _places("GNOMON_TASKS", "tasks")
    if name not in places:
        raise UsageError(f"there is no task named {name!r}.", fix=_instead(name, sorted(places), "tasks"))
    kind: TaskKind = _declared("tasks", name, places[name], "TASK")
    return kind


def craft_names() -> tuple[str, ...]:
    """Every craft there is, in alphabetical order."""
    return tuple(sorted(_places("GNOMON_CRAFTS", "crafts")))


def craft(name: str) -> Craft:
    """The craft of that name. Raises UsageError naming the crafts there are."""
    places = _places("GNOMON_CRAFTS", "crafts")
    if name not in places:
        raise UsageError(f"there is no craft named {name!r}.", fix=_instead(name, sorted(places), "crafts"))
    found: Craft = _declared("crafts", name, places[name], "CRAFT")
    return found


def work_names() -> tuple[str, ...]:
    """Every task and every craft."""
    return tuple(sorted({*task_names(), *craft_names()}))


def work(name: str) -> TaskKind | Craft:
    """What `task=NAME` names: a task, the first of several, or a craft. Raises UsageError naming what there is."""
    name = SEVERAL.get(name, (name,))[0]
    if name in craft_names() and name not in task_names():
        return craft(name)
    if name not in task_names() and craft_names():
        raise UsageError(f"there is no task or craft named {name!r}.", fix=_instead(name, work_names(), "names"))
    return task(name)


def family_names() -> tuple[str, ...]:
    """Every name of a model that a user may give, in alphabetical order."""
    return tuple(sorted(name for name in _families(os.environ.get("GNOMON_MODELS", "")) if name != CUSTOM))


def every_family_name() -> frozenset[str]:
    """Also those that no user gives."""
    return frozenset(_families(os.environ.get("GNOMON_MODELS", "")))


def family(name: str) -> Family:
    """The family that answers to that name. Raises UsageError naming the models there are."""
    families = _families(os.environ.get("GNOMON_MODELS", ""))
    if name not in families:
        raise UsageError(f"there is no model named {name!r}.", fix=_instead(name, family_names(), "models"))
    return families[name]


def installed_weights() -> tuple[str, ...]:
    """The models with public weights for photographs of any kind, whose package is installed."""
    families = _families(os.environ.get("GNOMON_MODELS", ""))
    every = [one for name, each in families.items() for one in each.weights if one.name == name]
    return tuple(one.name for one in every if one.is_general and one.is_installed)


@cache
def _families(_where: str) -> dict[str, Family]:
    """By each of their names; looked for again when GNOMON_MODELS changes."""
    places = _places("GNOMON_MODELS", "models")
    families = [_module("models", name, place).FAMILY for name, place in places.items()]
    return {name: one for one in families for name in one.names}


def _places(variable: str, room: str) -> Mapping[str, Path]:
    """Names and where they live. The variable holds folders separated as PATH is; what gnomon brings wins."""
    return _listed(variable, room, os.environ.get(variable, ""))


@cache
def _listed(variable: str, room: str, where: str) -> Mapping[str, Path]:
    """Looked for again when the variable changes: one call of `fit` asks thousands of times."""
    outside = [Path(part) for part in where.split(os.pathsep) if part]
    found: dict[str, Path] = {}
    for place in [*outside, PACKAGE / room]:
        if not place.is_dir():
            raise UsageError(f"{variable} names {place}, which is not a folder.", fix=f"correct or unset {variable}.")
        for entry in sorted(place.iterdir()):
            is_file = room == "models" and entry.suffix == ".py"
            if not entry.name.startswith("_") and (is_file or (entry / "__init__.py").is_file()):
                found[entry.stem] = entry
    return found


def _module(room: str, name: str, place: Path) -> ModuleType:
    if place.parent == PACKAGE / room:
        return importlib.import_module(f"gnomon.{room}.{name}")
    return _outside(f"gnomon_{room}_outside.{name}", place)


def _declared(room: str, name: str, place: Path, what: str) -> Any:
    """The TASK or CRAFT of a folder. Raises UsageError if there is none, or if it has another name than its folder."""
    found = getattr(_module(room, name, place), what, None)
    if found is None:
        raise UsageError(f"{place} defines no {what}.", fix="see docs/add-a-task.md and docs/add-a-craft.md.")
    if found.name != name:
        raise UsageError(
            f"{place} defines {what} with the name {found.name!r}, but it is found by its folder's name, {name!r}.",
            fix=f"rename one of them: name={name!r}, for example.",
        )
    return found


def _outside(name: str, place: Path) -> ModuleType:
    """Import a task or a family from outside the package, once."""
    if name not in sys.modules:
        file = place / "__init__.py" if place.is_dir() else place
        inner = [str(place)] if place.is_dir() else None
        spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inner)
        if spec is None or spec.loader is None:
            raise UsageError(f"{place} cannot be imported.", fix="see docs/add-a-task.md.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def _instead(name: str, known: list[str] | tuple[str, ...], what: str) -> str:
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
    there = f"{what} are {', '.join(known)}."
    return f"did you mean {near[0]}? The {there}" if near else f"the {there}"
