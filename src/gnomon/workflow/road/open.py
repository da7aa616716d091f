"""Open what the user passed: a path, a set's name, arrays. Nothing is read yet."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.core.errors import UsageError
from gnomon.core.settings import Settings, from_flat, full_key, refuse_others, with_values
from gnomon.data.opening import open_source
from gnomon.data.source import Source


@dataclass(frozen=True)
class Opened:
    """The source, and the one with the target distribution, if there is one."""

    settings: Settings  # as the user set them: unset ones are None
    source: Source
    target: Source | None  # settings.data.target_data
    reopen: str | None  # what to pass to open the source again; None for data in memory


def open_data(thing: Any, settings: Settings) -> Opened:
    """`thing`, and the target data of `settings`, opened. Raises UsageError, DataError or ArtefactError."""
    runs, target = settings.runs_folder, settings.data.target_data
    source = open_source(thing, runs)
    return Opened(settings, source, None if target is None else _open_target(target, runs), reopening(thing))


def settings_for(
    values: Mapping[str, Any], *, verb: str = "fit", acting: tuple[str, ...] = ("",)
) -> tuple[Settings, frozenset[str]]:
    """The settings as the user left them, and the full keys given. Raises UsageError for what does nothing there."""
    settings, given = from_flat(values), given_keys(values)
    refuse_others(given, acting, verb)
    return settings, given


def with_target(source: Any, target: Any, settings: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """`fit(X, y)` as source (X, y); `fit(table, "price")` as the setting target="price". Raises UsageError.

    A text is the name of a column. Several texts are names where the source is a path, or a frame with such columns;
    elsewhere they are the classes themselves.
    """
    settings = dict(settings)
    if target is None:
        key = next((key for key in ("target", "data.target") if key in settings), "")
        return (source, settings) if not key else with_target(source, settings.pop(key), settings)
    if given_keys(settings) & {"data.target"}:
        raise UsageError("the target is given twice.", fix="give it once.")
    if isinstance(target, str) or (isinstance(target, list | tuple) and _are_columns(source, target)):
        return source, {**settings, "target": target}
    if source is None or isinstance(source, str | os.PathLike):
        where = "there are no inputs" if source is None else f"the inputs are at {os.fsdecode(source)!r}"
        raise UsageError(
            f"the targets are in memory ({type(target).__name__}), and {where}.",
            fix="pass inputs and targets, gnomon.fit(X, y), or the name of a column: target=NAME.",
        )
    return (source, target), settings


def _are_columns(source: Any, target: Sequence[Any]) -> bool:
    if not target or not all(isinstance(name, str) for name in target):
        return False
    columns = source if isinstance(source, Mapping) else getattr(source, "columns", ())
    return isinstance(source, str | os.PathLike) or set(target) <= set(columns)


def given_keys(values: Mapping[str, Any]) -> frozenset[str]:
    """The full keys of what was given: `optimiser={"name": ...}` gives optimiser.name."""
    leaves = [(key, value if isinstance(value, Mapping) else ("",)) for key, value in values.items()]
    return frozenset(full_key(f"{key}.{leaf}" if leaf else key) for key, inner in leaves for leaf in inner)


def findable(settings: Settings) -> Settings:
    """The settings with absolute paths of further files, because a run can be resumed from any folder."""
    keys = ("target_data", "labels", "embeddings")
    places = {f"data.{key}": getattr(settings.data, key) for key in keys}
    found = {
        key: str(Path(place).expanduser().absolute())
        for key, place in places.items()
        if place is not None and Path(place).expanduser().exists()
    }
    return with_values(settings, found)


def _open_target(path: str, runs_folder: str) -> Source:
    try:
        return open_source(path, runs_folder)
    except UsageError as error:
        raise UsageError(f"data.target_data: {error.what}", where=error.where, fix=error.fix) from None


def reopening(thing: Any) -> str | None:
    if not isinstance(thing, str | os.PathLike):
        return None
    text = os.fsdecode(thing)
    expanded = os.path.expanduser(text)  # noqa: PTH111  as data.source opens it
    return os.path.abspath(expanded) if os.path.lexists(expanded) else text  # noqa: PTH100
