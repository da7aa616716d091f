"""A table of pairs as pictures and people: what was compared with what, and how far apart they lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

PEOPLE = ("person", "other_person")  # columns of codes of both sides' identities ...
PICTURES = ("picture", "other_picture")  # ... and of the examples themselves
BESIDE = " + "  # between the two ids of a pair


def code_of(name: str) -> int:
    """A whole number from 0 to 2^63 for a name; two names share one about never."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1


@dataclass(frozen=True)
class IdentityTable:
    """N pairs of M pictures of K people."""

    names: tuple[str, ...]  # (M,) ids of the pictures
    person_of: np.ndarray  # (M,) int64 positions in `people`
    people: tuple[str, ...]  # (K,)
    pairs: np.ndarray  # (N, 2) int64 positions in `names`
    apart: np.ndarray  # (N,) the distance from the threshold: below 0 the answer is "same"
    is_same: np.ndarray  # (N,) bool: the truth

    @property
    def is_wrong(self) -> np.ndarray:
        """(N,) bool."""
        found: np.ndarray = (self.apart < 0) != self.is_same
        return found


def is_identities(table: pl.DataFrame) -> bool:
    """Whether this is a table of pairs whose identities are known."""
    return {*PEOPLE, *PICTURES, "distance", "threshold"} <= set(table.columns)


def read(table: pl.DataFrame) -> IdentityTable:
    """The table of an evaluation of pairs."""
    codes, pairs = np.unique(table.select(PICTURES).to_numpy(), return_inverse=True)
    pairs = pairs.reshape(-1, 2)
    person_codes, persons = np.unique(table.select(PEOPLE).to_numpy(), return_inverse=True)
    persons = persons.reshape(-1, 2)
    person_of = np.zeros(len(codes), np.int64)
    person_of[pairs.ravel()] = persons.ravel()
    names, people = [""] * len(codes), [""] * len(person_codes)
    for row, (text, group) in enumerate(table.select("id", "group").iter_rows()):
        first, second = pairs[row]
        if not names[first] or not names[second]:
            names[first], names[second] = _two(str(text), int(codes[first]))
        people[persons[row, 0]] = people[persons[row, 0]] or str(group)
    people = [name or f"the person of {names[int((person_of == k).argmax())]}" for k, name in enumerate(people)]
    apart = (table["distance"] - table["threshold"]).to_numpy()
    return IdentityTable(tuple(names), person_of, tuple(people), pairs, apart, persons[:, 0] == persons[:, 1])


def _two(text: str, code: int) -> tuple[str, str]:
    """The ids on both sides; an id may have " + " in it itself."""
    at = text.find(BESIDE)
    while at >= 0:
        if code_of(text[:at]) == code:
            return text[:at], text[at + len(BESIDE) :]
        at = text.find(BESIDE, at + 1)
    return text, text
