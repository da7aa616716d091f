"""Plain values, as in JSON, read as the records they should be: keys, types, sizes and depth are checked here.

Whoever reads an artefact states what it should contain as a type: a dataclass or a TypedDict, whose entries are these
again, `bool`, `int`, `float`, `str`, `None`, `Literal`, `tuple[X, ...]`, `tuple[X, Y]`, `list[X]`, `dict[str, X]`,
`X | Y`, `Any` (any plain value), or `Annotated` with a `Between`, an `Entries` or NAN_TOO. A file can contain anything,
whoever wrote it: its checksums only say that it is as its last writer left it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import reprlib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, NoReturn, TypeVar, cast

from gnomon.core.errors import ArtefactError

T = TypeVar("T")
Read = Callable[[Any], Any]

DEEPEST = 32  # levels of lists and objects; what gnomon writes has fewer than ten
LARGEST_INT = 2**64 - 1  # the largest that a table column can hold
LARGEST_FLOAT = 1e150  # the square of a larger one is not finite
LONGEST_SHOWN = 80  # characters of a value in a message

NOT_FINITE = {"inf": math.inf, "-inf": -math.inf}  # JSON has no numbers for them
NAN = "nan"
NAN_TOO = "may be NaN"
"""Annotation of a float: a loss that diverged is kept as it is."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Annotation of a list or an object: how many entries there may be."""

    least: int
    most: float = math.inf


NOT_EMPTY = Entries(1)


@dataclass(frozen=True, slots=True)
class Between:
    """Annotation of a number: both ends are allowed."""

    low: float
    high: float


Count = Annotated[int, Between(0, 2**53)]
Share = Annotated[float, Between(0.0, 1.0)]
Finite = Annotated[float, Between(-LARGEST_FLOAT, LARGEST_FLOAT)]
Seconds = Annotated[float, Between(0.0, 1e12)]


class _Odd(Exception):  # noqa: N818  never seen outside of this file
    """A value that is not what it should be; the place is completed on the way out."""

    def __init__(self, why: str, *place: str | int) -> None:
        super().__init__(why)
        self.why, self.place = why, list(place)


def parse_json(data: bytes | str) -> Any:
    """The value in `data`. Raises ValueError, saying why, for anything but JSON of sane depth."""
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not valid JSON ({error})") from None
    check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Raises ValueError for more than DEEPEST levels, which would break code that walks the value."""
    level = [value]
    for _ in range(DEEPEST):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise ValueError("is nested too deeply")


def _children(value: Any) -> Iterator[Any]:
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (entry for entry in entries if isinstance(entry, dict | list))


def read_as(kind: type[T], value: Any, *, where: str, root: str, fix: str) -> T:
    """`value` as a `kind`. Raises ArtefactError for the file `where`, naming the place in it from `root` on."""
    try:
        found: T = _reader(cast("Any", kind))(value)
    except _Odd as odd:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in odd.place)
        raise ArtefactError(f"{root}{place}: {odd.why}.", where=where, fix=fix) from None
    return found


@cache
def _reader(kind: Any) -> Read:
    """A function that returns its argument as a `kind`, or raises _Odd."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if origin is Annotated:
        return _annotated(*arguments)
    if origin is typing.Literal:
        return _literal(arguments)
    if origin in (types.UnionType, typing.Union):
        return _either(arguments)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return _fixed([_reader(each) for each in arguments])
    if origin in (tuple, list):
        return _many(origin, _reader(arguments[0]))
    if origin in (dict, Mapping):
        return _named(_reader(arguments[1]))
    if typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        # `kind.__required_keys__` does not see a NotRequired in annotations that are texts, as they are in this project
        may_lack = {name for name, hint in hints.items() if typing.get_origin(hint) is typing.NotRequired}
        readers = {
            name: _reader(typing.get_args(hint)[0] if name in may_lack else hint) for name, hint in hints.items()
        }
        return _record(dict, readers, frozenset(readers.keys() - may_lack if kind.__total__ else ()))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        readers = {entry.name: _reader(hints[entry.name]) for entry in dataclasses.fields(kind)}
        return _record(cast("type", kind), readers, frozenset(readers))
    raise TypeError(f"{kind} cannot be stored in a file")


def _refuse(value: Any, wanted: str) -> NoReturn:
    shown = _short.repr(value)
    shown = shown if len(shown) <= LONGEST_SHOWN + 20 else f"{shown[:LONGEST_SHOWN]} ..."
    raise _Odd(f"{shown} is not allowed here, expected {wanted}")


_short = reprlib.Repr()
_short.maxstring = _short.maxlong = _short.maxother = LONGEST_SHOWN
_short.maxlevel = 2


def _exactly(kind: type, name: str) -> Read:
    def read(value: Any) -> Any:
        return value if type(value) is kind else _refuse(value, name)

    return read


def _int(value: Any) -> int:
    return value if type(value) is int and abs(value) <= LARGEST_INT else _refuse(value, "a whole number")


def _float(value: Any) -> float:
    if type(value) is str and value in NOT_FINITE:
        return NOT_FINITE[value]
    if type(value) not in (int, float):
        _refuse(value, "a number")
    if abs(value) <= LARGEST_FLOAT or math.isinf(value):
        return float(value)
    _refuse(value, f"a number up to {LARGEST_FLOAT:g}")


def _text(value: Any) -> str:
    """Half a character (a lone surrogate) can be a byte of a file's name that is not UTF-8, and nothing else."""
    if type(value) is not str or _HALF.search(value):
        _refuse(value, "text")
    return value


_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_HALF_OR_BYTE = re.compile("[\ud800-\udfff]")


_SCALARS: Mapping[Any, Read] = {
    bool: _exactly(bool, "true or false"),
    int: _int,
    float: _float,
    str: _text,
    type(None): _exactly(type(None), "nothing"),
    dict: _exactly(dict, "an object"),
    Any: lambda value: _anything(value),
}


def _anything(value: Any) -> Any:
    """Any plain value, with numbers that can be shown and compared."""
    if type(value) is dict:
        return _named(_anything)(value)
    if type(value) in (list, tuple):
        return _many(list, _anything)(value)
    if type(value) is int:
        return _int(value)
    if type(value) is str and _HALF_OR_BYTE.search(value):
        _refuse(value, "text")
    return value if value is None or type(value) in (bool, float, str) else _refuse(value, "a plain value")


def _annotated(kind: Any, *notes: Any) -> Read:
    inner = _reader(kind)
    if NAN_TOO in notes:
        return lambda value: math.nan if value == NAN or value != value else inner(value)
    bounds = [note for note in notes if isinstance(note, Between)]
    sizes = [note for note in notes if isinstance(note, Entries)]

    def read(value: Any) -> Any:
        found = inner(value)
        for size in sizes:
            if not size.least <= len(found) <= size.most:
                _refuse(value, f"at least {size.least}" if size.most > size.least else f"{size.least} of them")
        for bound in bounds:
            if not bound.low <= found <= bound.high:
                _refuse(value, f"a number from {bound.low:g} to {bound.high:g}")
        return found

    return read


def _literal(allowed: tuple[Any, ...]) -> Read:
    def read(value: Any) -> Any:
        is_known = isinstance(value, str | int) and type(value) is not bool and value in allowed
        return value if is_known else _refuse(value, f"one of {', '.join(map(str, allowed))}")

    return read


def _either(kinds: tuple[Any, ...]) -> Read:
    """The first that fits. For `X | None` a fault in X is reported as such, with its place."""
    others = [_reader(kind) for kind in kinds if kind is not type(None)]
    with_none = len(others) < len(kinds)

    def read(value: Any) -> Any:
        if value is None and with_none:
            return None
        for other in others[:-1]:
            try:
                return other(value)
            except _Odd:
                continue
        return others[-1](value)

    return read


def _many(kind: type, entry: Read) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            _refuse(value, "a list")
        return kind(_each(entry, enumerate(value)))

    return read


def _fixed(entries: list[Read]) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(entries):
            _refuse(value, f"a list of {len(entries)}")
        return tuple(found for place, entry in enumerate(entries) for found in _each(entry, [(place, value[place])]))

    return read


def _named(entry: Read) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            _refuse(value, "an object")
        return dict(zip(value, _each(entry, value.items()), strict=True))

    return read


def _record(make: Callable[..., Any], readers: Mapping[str, Read], required: frozenset[str]) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            _refuse(value, "an object")
        for name in sorted(map(str, value.keys() - readers.keys())):
            raise _Odd("unknown key", name[:LONGEST_SHOWN])
        for name in sorted(required - value.keys()):
            raise _Odd("the key is missing", name)
        found = {}
        for name, entry in value.items():
            try:
                found[name] = readers[name](entry)
            except _Odd as odd:
                odd.place.insert(0, name)
                raise
        return make(**found)

    return read


def _each(entry: Read, placed: Any) -> Iterator[Any]:
    for place, value in placed:
        try:
            yield entry(value)
        except _Odd as odd:
            odd.place.insert(0, place)
            raise
