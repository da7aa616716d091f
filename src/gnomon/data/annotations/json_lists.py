"""The lists of one JSON file that is too large to be parsed whole: found once, their elements parsed one at a time."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, final

from gnomon.core.errors import DataError
from gnomon.data.source import display_name

LISTS = ("images", "annotations", "categories")
TWICE = "\0twice"  # the key under which an object keeps the name that it has twice
_SPACE = re.compile(r"[ \t\r\n]*")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        found[TWICE] = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    return found


decoder = json.JSONDecoder(object_pairs_hook=_pairs)


@final
@dataclass
class JsonLists:
    """One JSON file: its lists, found once, and their elements, parsed one at a time."""

    name: str
    text: str
    starts: dict[str, int] = field(default_factory=dict)  # list -> where its "[" is

    @staticmethod
    def of(name: str, content: bytes) -> JsonLists:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _not_json(name, f"it is not UTF-8 (byte {error.start:,})") from None
        found = JsonLists(name, text)
        found._find_lists()
        return found

    def elements(self, which: str) -> Iterator[tuple[Any, int, int]]:
        """Each element of a list, where it starts and ends; nothing if the file has no such list."""
        if which in self.starts:
            yield from self._inside(self.starts[which])

    def _find_lists(self) -> None:
        at = self._skip(0)
        if self._at(at) != "{":
            raise _not_json(self.name, "it does not start with {")
        at = self._skip(at + 1)
        while self._at(at) != "}":
            key, at = self._parse(at)
            at = self._skip(at)
            if not isinstance(key, str) or self._at(at) != ":":
                raise self._broken(at, "a name and a colon")
            at = self._skip(at + 1)
            if key in LISTS:
                at = self._find_list(key, at)
            else:
                _, at = self._parse(at)
            at = self._skip(at)
            if self._at(at) == ",":
                at = self._skip(at + 1)
            elif self._at(at) != "}":
                raise self._broken(at, "a comma or }")

    def _find_list(self, key: str, at: int) -> int:
        """Where the list ends."""
        if key in self.starts:
            raise DataError(f"it has {key} twice.", where=display_name(self.name), fix="join the two lists.")
        if self._at(at) != "[":
            raise self._broken(at, f"[, as {key} is a list")
        self.starts[key] = at
        end = at + 1
        for _, _, after in self._inside(at):
            end = after
        return self._skip(end) + 1

    def _inside(self, at: int) -> Iterator[tuple[Any, int, int]]:
        at = self._skip(at + 1)
        while self._at(at) != "]":
            value, end = self._parse(at)
            yield value, at, end
            at = self._skip(end)
            if self._at(at) == ",":
                at = self._skip(at + 1)
            elif self._at(at) != "]":
                raise self._broken(at, "a comma or ]")

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def _at(self, at: int) -> str:
        return self.text[at : at + 1]

    def _parse(self, at: int) -> tuple[Any, int]:
        try:
            return decoder.raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            raise self._broken(error.pos, "a value", error.msg) from None
        except RecursionError:
            raise _not_json(self.name, "it is nested too deep") from None
        except ValueError as error:  # a number of thousands of digits
            raise _not_json(self.name, str(error).partition(";")[0]) from None

    def _broken(self, at: int, expected: str, why: str = "") -> DataError:
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        ended = "ends" if at >= len(self.text) else f"is wrong ({why})" if why else "is wrong"
        return _not_json(self.name, f"it {ended} at line {line:,}, column {column:,}: {expected} is expected")


def _not_json(name: str, why: str) -> DataError:
    return DataError(
        f"this is no JSON file of COCO: {why}.", where=display_name(name), fix="export or download it again."
    )
