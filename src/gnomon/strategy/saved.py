"""A diagnosis as plain JSON values and back, strictly."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from gnomon.core.errors import ArtefactError
from gnomon.strategy.diagnosis import Diagnosis

NOT_FINITE = {"inf": math.inf, "-inf": -math.inf}  # JSON has no infinity


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Dicts, lists, strings, numbers, booleans and None; an infinite value is "inf" or "-inf"."""
    plain: dict[str, Any] = _plain(asdict(diagnosis))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def from_json(values: Any) -> Diagnosis:
    """Raises ArtefactError for an extra or a missing key, or a value of the wrong type, saying where."""
    diagnosis: Diagnosis = _record(Diagnosis, values, "diagnosis")
    return diagnosis


def _record(kind: type, values: Any, place: str) -> Any:
    if not isinstance(values, dict):
        raise _refused(place, f"expected an object, found {values!r}")
    types_of = typing.get_type_hints(kind)
    unknown = sorted(map(str, values.keys() - types_of.keys()))
    if unknown:
        raise _refused(f"{place}.{unknown[0]}", "unknown key")
    missing = sorted(types_of.keys() - values.keys())
    if missing:
        raise _refused(f"{place}.{missing[0]}", "the key is missing")
    return kind(
        **{
            entry.name: _value(types_of[entry.name], values[entry.name], f"{place}.{entry.name}")
            for entry in fields(kind)
        }
    )


def _value(kind: Any, value: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        if value in arguments and isinstance(value, str):
            return value
    elif origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _value(next(argument for argument in arguments if argument is not type(None)), value, place)
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_value(arguments[0], entry, f"{place}[{index}]") for index, entry in enumerate(value))
    elif is_dataclass(kind):
        return _record(typing.cast("type", kind), value, place)
    elif kind is float:
        if isinstance(value, str) and value in NOT_FINITE:
            return NOT_FINITE[value]
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    elif type(value) is kind:
        return value
    raise _refused(place, f"{value!r} is not allowed here")


def _refused(place: str, why: str) -> ArtefactError:
    return ArtefactError(
        f"the saved diagnosis cannot be read: {why}.", where=place, fix="run `gnomon diagnose` again to rewrite it."
    )
