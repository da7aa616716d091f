"""settings.toml: every setting of a run with its value, meaning and source."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterator
from typing import Any

from gnomon.core import found
from gnomon.core import settings as core
from gnomon.core.errors import ArtefactError, UsageError

LIMIT = 1 << 20  # bytes of a settings.toml; one with every setting has 5,000
GIVEN = "given"  # the key that lists the settings the user chose


def to_toml(settings: core.Settings, given: Collection[str]) -> str:
    """`settings` as TOML; `given` are the full keys set by the user. Unset settings (None) are left out."""
    return "\n".join(_lines(settings, given)) + "\n"


def _lines(settings: core.Settings, given: Collection[str]) -> Iterator[str]:
    values = core.flat(settings)
    known = [key for key in values if key in given]
    yield "# The settings you chose; the others are defaults, or were chosen by gnomon for this task and data size."
    yield f"{GIVEN} = {_toml(known)}"
    table = ""
    for row in sorted(core.rows(settings), key=lambda row: "." in row.key):  # keys outside tables come first
        value = values[row.key]
        if value is None:
            continue
        group, _, leaf = row.key.rpartition(".")
        if group != table:
            yield f"\n[{group}]"
            table = group
        who = "set by you" if row.key in given else "default" if _is_default(value, row) else "chosen by gnomon"
        yield f"# {row.description} ({who})"
        yield f"{leaf} = {_toml(value)}"


def _is_default(value: Any, row: core.SettingRow) -> bool:
    return bool(value == (list(row.default) if isinstance(row.default, tuple) else row.default))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        # JSON's escapes are TOML's, except that TOML wants DEL escaped and has no lone surrogates.
        return json.dumps(_without_surrogates(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


# Bytes of a path that are not UTF-8 reach us as U+DC80..U+DCFF, which TOML cannot hold: they travel as
# U+10FF80..U+10FFFF.
_SHIFT = 0x10FF80 - 0xDC80


def _without_surrogates(text: str) -> str:
    return text.translate({code: code + _SHIFT for code in range(0xDC80, 0xDD00)})


def _with_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate({code + _SHIFT: code for code in range(0xDC80, 0xDD00)})
    if isinstance(value, list):
        return [_with_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_surrogates(item) for key, item in value.items()}
    return value


def from_toml(data: bytes, where: str, *, as_saved: bool = False) -> tuple[core.Settings, frozenset[str]]:
    """The settings in a file that `to_toml` wrote, and the full keys set by the user.

    Known keys, types and ranges only: raises ArtefactError naming the first that is not. `as_saved`: as in
    `core.settings.from_flat`.
    """
    try:
        values = tomllib.loads(data.decode())
        given = values.pop(GIVEN, [])
        values = _with_surrogates(values)
        if isinstance(values.get("task"), str):
            values, given = _of_first_format(values, given)
        settings = core.from_flat(values, as_saved=as_saved)
    except RecursionError:
        raise ArtefactError("is nested too deeply.", where=where, fix=_FIX) from None
    except UsageError as error:
        raise ArtefactError(error.what, where=where, fix=error.fix) from None
    except ValueError as error:  # bad TOML or UTF-8
        raise ArtefactError(f"is not valid TOML ({error}).", where=where, fix=_FIX) from None
    own = {f"{group}.{leaf}" for group in ("task", "model") for leaf in values.get(group, {})}
    known = {row.key for row in core.rows()} | own
    unknown = (
        [key for key in given if not isinstance(key, str) or key not in known] if isinstance(given, list) else [given]
    )
    if unknown:
        raise ArtefactError(f"{GIVEN} names {unknown[0]!r}, which is not a setting.", where=where, fix=_FIX)
    return settings, frozenset(given)


def _of_first_format(values: dict[str, Any], given: Any) -> tuple[dict[str, Any], Any]:
    """Convert what gnomon 0.1 wrote: the task as a text, and every model with the settings of all models.

    Settings that its family does not have had no effect, and are left out.
    """
    model = dict(values.get("model", {}))
    if isinstance(model.get("name"), str) and model["name"] in found.every_family_name():
        declared = found.family(model["name"]).settings.model_fields
        model = {leaf: value for leaf, value in model.items() if leaf == "name" or leaf in declared}
    kept = [
        "task.name" if key == "task" else key
        for key in (given if isinstance(given, list) else [])
        if not str(key).startswith("model.") or str(key).removeprefix("model.") in model
    ]
    return {**values, "task": {"name": values["task"]}, "model": model}, kept if isinstance(given, list) else given


_FIX = "restore the file from a copy, or repeat the run."
