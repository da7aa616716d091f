"""From keys and values as people write them to settings, and back: short names, checks, defaults, flat tables."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import ValidationError

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.knobs import Here, Knob, Link, Search
from gnomon.core.settings.groups import Settings
from gnomon.core.settings.types import SEVERAL, Group, OpenGroup, OwnSettings


@dataclass(frozen=True)
class SettingRow:
    """One setting as `gnomon settings` shows it."""

    key: str  # "optimiser.learning_rate"
    default: Any
    description: str
    knob: Knob

    @property
    def links(self) -> tuple[Link, ...]:
        return self.knob.links


def _group_class(key: str) -> type[Group] | None:
    default = Settings.model_fields[key].default
    return type(default) if isinstance(default, Group) else None


GROUPS = tuple(key for key in Settings.model_fields if _group_class(key) is not None)
OPEN_GROUPS = tuple(key for key in GROUPS if issubclass(_group_class(key) or Group, OpenGroup))  # task, model


@cache
def _known() -> frozenset[str]:
    """Full keys of every setting that is not specific to one task or family."""
    groups = {key: _group_class(key) for key in Settings.model_fields}
    leaves = [f"{key}.{leaf}" for key, group in groups.items() if group for leaf in group.model_fields]
    return frozenset([*leaves, *(key for key, group in groups.items() if group is None)])


@cache
def _common_rows() -> tuple[SettingRow, ...]:
    """Every setting that is not specific to one task or family, in the order of Settings."""
    found_rows = []
    for key, info in Settings.model_fields.items():
        group = _group_class(key)
        if group is None:
            found_rows.append(_row(key, info))
        else:
            found_rows += [_row(f"{key}.{leaf}", leaf_info) for leaf, leaf_info in group.model_fields.items()]
    return tuple(found_rows)


def _row(key: str, info: Any) -> SettingRow:
    description = info.description or ""
    knob = next(part for part in info.metadata if isinstance(part, Knob))
    return SettingRow(
        key, info.default, description, replace(knob, key=key, short=short_key(key), description=description)
    )


def _declared(group: str, name: str | None) -> type[OwnSettings]:
    """What the task or the family of that name declares as its own. Raises UsageError for an unknown name."""
    if name is None:
        return OwnSettings
    return found.family(name).settings if group == "model" else found.work(name).settings


def _own_rows(group: str, chosen: OpenGroup) -> list[SettingRow]:
    if chosen.name is not None:
        return [_row(f"{group}.{leaf}", info) for leaf, info in _declared(group, chosen.name).model_fields.items()]
    owners = {leaf: _owner(group, leaf) for leaf in chosen.own}
    return [_row(f"{group}.{leaf}", owner.model_fields[leaf]) for leaf, owner in owners.items() if owner is not None]


def rows(settings: Settings | None = None) -> Iterator[SettingRow]:
    """Every setting; with `settings`, also those that its task and its model family declare, in their places."""
    own = {group: _own_rows(group, getattr(settings, group)) for group in OPEN_GROUPS} if settings else {}
    for row in _common_rows():
        yield row
        yield from own.get(row.key.removesuffix(".name"), ())


def knobs(settings: Settings) -> tuple[Knob, ...]:
    """What every setting of this task and family declares."""
    return tuple(row.knob for row in rows(settings))


def declared_knob(key: str) -> Knob | None:
    """What the setting of a full key declares; if several families have it, what the one that searches it declares."""
    for row in _common_rows():
        if row.key == key:
            return row.knob
    group, _, leaf = key.rpartition(".")
    owner = _owner(group, leaf)
    return None if owner is None else _row(key, owner.model_fields[leaf]).knob


def parts() -> dict[str, tuple[str, Search]]:
    """Aspects of lists that are searched instead of the lists: {"units": (full key, how), ...}."""
    found_parts: dict[str, tuple[str, Search]] = {}
    for key in sorted(_own_keys()):
        for search in (declared_knob(key) or Knob()).search:
            if search.part:
                found_parts.setdefault(search.part, (key, search))
    return found_parts


def read_value(key: str, value: Any) -> Any:
    """A value parsed as the setting of a full key: "256,128" -> (256, 128). Raises UsageError as `from_flat` does."""
    if key in _known():
        return value_of(with_values(Settings(), {key: value}), key)
    group, _, leaf = key.rpartition(".")
    faults = []
    for owner in _owners(group, leaf):
        try:
            return _checked(group, owner, {leaf: value})[leaf]
        except UsageError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
    raise UsageError(f"unknown setting {key!r}.", fix=_nearest_key(key, _known() | _own_keys()))


def _owner(group: str, leaf: str) -> type[OwnSettings] | None:
    """The one of `_owners` for which it is a knob."""
    return next(iter(_owners(group, leaf)), None)


def _owners(group: str, leaf: str) -> list[type[OwnSettings]]:
    """What declares model.LEAF or task.LEAF, the one that searches it in the most ways first."""
    names = {"model": found.family_names, "task": found.work_names}.get(group, tuple)()
    declared = dict.fromkeys(_declared(group, name) for name in names)
    owners = [one for one in declared if leaf in one.model_fields]
    return sorted(owners, key=lambda one: -len(_row(f"{group}.{leaf}", one.model_fields[leaf]).knob.search))


FAMILIAR = {  # what other tools call a setting: named in the error, never taken silently
    "lr": "optimiser.learning_rate", "alpha": "optimiser.learning_rate", "bs": "optimiser.batch_size",
    "batch": "optimiser.batch_size", "optimizer": "optimiser.name", "wd": "regularise.weight_decay",
    "num_epochs": "stop.epochs", "n_epochs": "stop.epochs", "early_stopping": "stop.patience",
    "time_limit": "stop.max_time", "timeout": "stop.max_time", "arch": "model.name", "architecture": "model.name",
    "label": "data.target", "labels": "data.target", "y": "data.target", "sep": "data.delimiter",
    "separator": "data.delimiter", "img_size": "data.image_size", "size": "data.image_size", "val": "split.dev",
    "valid": "split.dev", "validation": "split.dev", "random_state": "seed", "gpu": "machine.device",
    "num_workers": "machine.threads", "workers": "machine.threads", "name": "run_name", "output": "runs_folder",
    "keep_prob": "regularise.dropout, which is 1 - keep_prob",
}  # fmt: skip


def full_key(key: str) -> str:
    """`learning_rate` -> `optimiser.learning_rate`; `model` -> `model.name`; `hidden` -> `model.hidden`.

    A key that only some tasks or families declare is accepted here, and checked once their name is known.
    Raises UsageError with the nearest key.
    """
    known = _known()
    key = key.replace("-", "_")
    group, _, leaf = key.partition(".")
    if key in known or (group in OPEN_GROUPS and leaf):  # checked once the name of the task or family is known
        return key
    if key in GROUPS and f"{key}.name" in known:
        return f"{key}.name"
    by_leaf = [name for name in known if name.rpartition(".")[2] == key and key != "name"]
    if not by_leaf or by_leaf == [f"own.{key}"]:  # names of a user's own parts are recorded, never written
        by_leaf = [name for name in _own_keys() if key in (name, name.rpartition(".")[2])] or by_leaf
    if len(by_leaf) == 1:
        return by_leaf[0]
    if by_leaf:
        raise UsageError(f"{key} could be {' or '.join(by_leaf)}.", fix="write one of these.")
    raise UsageError(f"unknown setting {key!r}.", fix=_nearest_key(key, known | _own_keys()))


def _own_keys() -> frozenset[str]:
    """Of every task and every family."""
    names = {"model": found.family_names(), "task": found.work_names()}
    return frozenset(
        f"{group}.{leaf}" for group in OPEN_GROUPS for name in names[group]
        for leaf in _declared(group, name).model_fields
    )  # fmt: skip


def _nearest_key(key: str, known: Collection[str]) -> str:
    leaf = key.rpartition(".")[2]
    if leaf in FAMILIAR:
        return f"did you mean {FAMILIAR[leaf]}?"
    names = {name.rpartition(".")[2]: name for name in known if not name.endswith(".name")}
    names |= {name.removesuffix(".name"): name for name in known} | {name: name for name in known}
    near = difflib.get_close_matches(key, names, n=1)
    return f"did you mean {names[near[0]]}?" if near else "`gnomon settings` lists every setting."


def short_key(key: str) -> str:
    """The shortest name the command line takes for a full key: `dropout`, `model`."""
    group, _, leaf = key.rpartition(".")
    if leaf == "name":
        return group
    shared = any(name.rpartition(".")[2] == leaf and name != key for name in _known())
    return key if shared else leaf


def from_flat(values: Mapping[str, Any], *, as_saved: bool = False) -> Settings:
    """Settings from {"epochs": "5", "optimiser.learning_rate": 0.01}. Raises UsageError naming key and value.

    `as_saved` leaves what a task or a family declares unchecked: listing runs reads many settings, and families
    import torch, which takes a second.
    """
    tree: dict[str, Any] = {}
    seen: dict[str, str] = {}  # full key -> as it was given
    for given, value in _leaves(values):
        key = full_key(given)
        if key in seen:
            raise UsageError(f"{key} is given twice: as {seen[key]} and as {given}.", fix="give it once.")
        seen[key] = given
        group, _, leaf = key.rpartition(".")
        (tree.setdefault(group, {}) if group else tree)[leaf] = value
    return _model_of(tree) if as_saved else _validated(tree)


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and key in GROUPS:
            yield from ((f"{key}.{leaf}", one) for leaf, one in value.items())
        else:
            yield key, value


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The same settings with other values for the given full keys. Raises UsageError as `from_flat` does.

    A different task or model drops what the previous one declared as its own, except what both declare.
    """
    tree = settings.model_dump()
    changes = {full_key(key): value for key, value in values.items()}
    for group in OPEN_GROUPS:
        name = changes.get(f"{group}.name", tree[group]["name"])
        if name != tree[group]["name"]:
            own = _declared(group, name).model_fields
            tree[group] = {leaf: value for leaf, value in tree[group].items() if leaf == "name" or leaf in own}
    for key, value in changes.items():
        group, _, leaf = key.rpartition(".")
        (tree[group] if group else tree)[leaf] = value
    return _validated(tree)


def value_of(settings: Settings, key: str) -> Any:
    """The value of a full key; None if neither its task nor its model family has it."""
    group, _, leaf = key.rpartition(".")
    return getattr(getattr(settings, group), leaf, None) if group else getattr(settings, leaf)


def fill(settings: Settings, defaults: Mapping[str, Any]) -> Settings:
    """Put `defaults` (full keys) where settings are unset; what the user set stays."""
    return with_values(
        settings, {key: value for key, value in defaults.items() if value_of(settings, full_key(key)) is None}
    )


def flat(settings: Settings) -> dict[str, Any]:
    """{"optimiser.learning_rate": 0.001, ...} as plain JSON values."""
    tree = settings.model_dump(mode="json")
    return {row.key: _in(tree, row.key) for row in rows(settings)}


def _in(tree: Mapping[str, Any], key: str) -> Any:
    group, _, leaf = key.rpartition(".")
    return tree[group].get(leaf) if group else tree[leaf]


def refuse_idle(given: Collection[str], here: Here, what: str) -> None:
    """Raises UsageError for a setting (full key) that the user gave and that has no effect here. `what`: the task."""
    table = {knob.key: knob for knob in here.knobs}
    for key in sorted(given):
        why = here.why_idle(table[key]) if key in table else ""
        if why:
            model = here.settings.get("model.name")
            raise UsageError(
                f"{table[key].short}={_shown(here.settings.get(key))} would have no effect here: {why}; this is {what}"
                f"{f' with model={model}' if model else ''}.",
                fix="leave it out.",
            )


def refuse_others(given: Collection[str], acting: tuple[str, ...], verb: str) -> None:
    """Raises UsageError for a setting (full key) that the user gave to a verb in which it does nothing.

    `acting`: the keys that do something there, or what they begin with: "data.", "seed".
    """
    for key in sorted(given):
        if not key.startswith(acting):
            raise UsageError(f"{short_key(key)} does nothing in gnomon {verb}.", fix="leave it out, or give it to fit.")


def _shown(value: Any) -> str:
    return ",".join(map(_shown, value)) if isinstance(value, list | tuple) else str(value)


def _validated(tree: dict[str, Any]) -> Settings:
    plain = {key: dict(value) if isinstance(value, Mapping) else value for key, value in tree.items()}
    for group in OPEN_GROUPS:
        inside = plain.get(group, {})
        if isinstance(inside, dict) and isinstance(inside.get("name"), str):
            plain[group] = {"name": inside["name"], **_own_values(group, inside)}
        elif isinstance(inside, dict):  # the name comes later; only what every owner would accept is checked now
            own = {leaf: read_value(f"{group}.{leaf}", value) for leaf, value in inside.items() if leaf != "name"}
            plain[group] = {**inside, **own}
    return _model_of(plain)


def _model_of(tree: Mapping[str, Any]) -> Settings:
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise _refused(error, _schema) from None


def _own_values(group: str, inside: Mapping[str, Any]) -> dict[str, Any]:
    """The values of what this task or family declares, typed and checked; unset ones None."""
    name = inside["name"]
    declared = _declared(group, name)
    values = {leaf: value for leaf, value in inside.items() if leaf != "name"}
    for leaf in values:
        if leaf not in declared.model_fields:
            raise UsageError(f"{group}={name} has no setting {leaf!r}.", fix=_own_instead(leaf, name, group, declared))
    return _checked(group, declared, values)


def _checked(group: str, declared: type[OwnSettings], values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return declared.model_validate(values).model_dump()
    except ValidationError as error:
        raise _refused(error, lambda key: _schema_in(declared, key.rpartition(".")[2]), f"{group}.") from None


def _own_instead(leaf: str, name: str, group: str, declared: type[OwnSettings]) -> str:
    own = list(declared.model_fields)
    near = difflib.get_close_matches(leaf, own, n=1)
    if near:
        return f"did you mean {group}.{near[0]}?"
    return f"{name} has {', '.join(own)}." if own else f"{name} has no settings of its own: leave {leaf} out."


def _refused(error: ValidationError, schema_of: Any, prefix: str = "") -> UsageError:
    first = error.errors()[0]
    key = prefix + ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    given = first.get("input")
    shown = given if isinstance(given, str | int | float | bool) else json.dumps(given, default=str)
    try:
        schema = schema_of(key)
    except KeyError:
        schema = {}
    takes = _takes(schema)
    why = f"expected {takes}" if takes else first["msg"][0].lower() + first["msg"][1:]
    about = f" ({schema['description']})" if schema.get("description") else ""
    return UsageError(f"{key}={shown} cannot be used: {why}{about}.", fix=_instead(key, shown, takes, schema))


def _schema(key: str) -> dict[str, Any]:
    """The JSON schema of one value of a setting."""
    group, _, leaf = key.rpartition(".")
    return _schema_in((_group_class(group) or Settings) if group else Settings, leaf)


def _schema_in(kind: type[Group], leaf: str) -> dict[str, Any]:
    schema: dict[str, Any] = kind.model_json_schema()["properties"][leaf]
    value = next((part for part in schema.get("anyOf", ()) if part.get("type") != "null"), schema)
    return {**value, "description": schema.get("description", "")}


def _limit(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) and value < 10**19 else f"{value:g}"


def _takes(schema: Mapping[str, Any]) -> str:
    """The values of a setting in words: "a whole number of at least 1"; "" if that takes more than a phrase."""
    one = schema.get("items", schema)
    if "takes" in schema or "takes" in one:
        return str(schema.get("takes") or one["takes"])
    if "enum" in one:
        return _listed(one["enum"])
    kind = {"integer": "a whole number", "number": "a number", "string": "text"}.get(one.get("type", ""))
    if kind is None:
        return ""
    if one.get("minLength"):
        kind = "non-empty text"
    words = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = " and ".join(f"{word} {_limit(one[limit])}" for limit, word in words.items() if limit in one)
    several = SEVERAL if "items" in schema else ""
    return f"{kind}{' ' if limits else ''}{limits}{several}"


def _listed(values: list[Any]) -> str:
    """`a, b or c`."""
    names = list(map(str, values))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _instead(key: str, given: Any, takes: str, schema: Mapping[str, Any]) -> str:
    if not takes:
        return f"`gnomon settings` describes {key}."
    choices = schema.get("items", schema).get("enum", ())
    near = difflib.get_close_matches(str(given), map(str, choices), n=1, cutoff=0.7)
    if near:
        return f"did you mean {key}={near[0]}?"
    return f"give {'one of these' if choices else takes.removesuffix(SEVERAL)}, or leave it out."
