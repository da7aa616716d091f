"""Taking a bias out of word vectors: its direction, words made neutral, pairs made equal; measured before and after.

Source: Bolukbasi et al. 2016, sections 5 and 6 (hard debiasing), in the order in which WEFE carries it out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import spearmanr

from gnomon.core.errors import DataError
from gnomon.data.source import counted, display_name, reason_of
from gnomon.data.text.vectors import Vectors
from gnomon.data.text.word_space import Space

Direction = Literal["svd", "mean"]
Pairs = tuple[tuple[str, str], ...]
LEARNED_FROM = 50_000  # words, the most frequent: what their classifier sees as neutral, as in the paper
SHAPE = (
    "definitional_pairs.json, and if there are any equalize_pairs.json, gender_specific_full.json or _seed.json, "
    "professions.json"
)


@dataclass(frozen=True)
class Lists:
    """The word lists of a folder."""

    definitional: Pairs  # ("woman", "man"): their differences are the bias
    equalised: Pairs  # made equally far from every neutral word; by default the definitional ones
    specific: tuple[str, ...]  # words that the difference belongs to ("mother"): not neutralised
    seed: tuple[str, ...]  # some of these, from which a classifier picks the others
    judged: tuple[tuple[str, float | None], ...]  # words that should be neutral, and how people see them


@dataclass(frozen=True)
class Bias:
    """How strong it is."""

    direct: float  # mean |cos| of words that should be neutral with the direction: their equation for DirectBias, c = 1
    unequal: float  # mean |cos(w, a) - cos(w, b)| over these words w and the equalised pairs (a, b)
    as_people_see: float | None  # Spearman's correlation of their places along the direction with what people said


@dataclass(frozen=True)
class Debiased:
    """Vectors of length 1 without the bias, and what was found and done."""

    vectors: Vectors
    direction: np.ndarray  # (D,) of length 1
    share: float | None  # of the variance of definitional pairs around their middles that lies along it (svd)
    before: Bias
    after: Bias
    judged: int  # words that the measures look at
    kept: tuple[str, ...]  # not neutralised
    equalised: int  # pairs
    notes: tuple[str, ...]


def read_lists(folder: Path) -> Lists:
    """Raises DataError where a list is missing or of another form."""
    if not folder.is_dir():
        raise DataError("this is not a folder of word lists.", where=display_name(str(folder)), fix=f"give {SHAPE}.")
    files = {path.name.lower(): path for path in sorted(folder.glob("*.json"))}

    def read(*parts: str) -> tuple[list[Any], str]:
        found = next((path for name, path in files.items() if all(part in name for part in parts)), None)
        if found is None:
            return [], ""
        where = display_name(str(found))
        try:
            value = json.loads(found.read_text())
        except OSError as error:
            raise DataError(f"it cannot be read ({reason_of(error)}).", where=where, fix="check the file.") from error
        except ValueError as error:
            raise DataError(f"this is not JSON ({error}).", where=where, fix="write a list.") from error
        if not isinstance(value, list):
            raise DataError("this is not a list.", where=where, fix="write a list.")
        return value, where

    definitional = _pairs(*read("definit"))
    if not definitional:
        raise DataError(
            "there is no list of definitional pairs.", where=display_name(str(folder)), fix=f"give {SHAPE}."
        )
    judged, where = read("profession")
    return Lists(
        definitional,
        _pairs(*read("equal")) or definitional,
        _strings(*read("specific", "full")),
        _strings(*read("specific", "seed")),
        tuple(_judged(one, where) for one in judged),
    )


def _pairs(value: list[Any], where: str) -> Pairs:
    for number, one in enumerate(value, start=1):
        if not (isinstance(one, list) and len(one) == 2 and all(isinstance(word, str) for word in one)):
            raise DataError(f"entry {number} is not a pair of words.", where=where, fix='write ["woman", "man"].')
    return tuple((one[0], one[1]) for one in value)


def _strings(value: list[Any], where: str) -> tuple[str, ...]:
    for number, one in enumerate(value, start=1):
        if not isinstance(one, str):
            raise DataError(f"entry {number} is not a word.", where=where, fix="write words in quotes.")
    return tuple(value)


def _judged(one: Any, where: str) -> tuple[str, float | None]:
    """A word, or as the paper's authors publish it ["nurse", definition, stereotype]: the last is what people said."""
    if isinstance(one, str):
        return one, None
    if isinstance(one, list) and one and isinstance(one[0], str) and isinstance(one[-1], int | float):
        return one[0], float(one[-1])
    raise DataError(f"{one!r} is neither a word nor a word with numbers.", where=where, fix='write ["nurse", 0, -0.9].')


def debias(vectors: Vectors, lists: Lists, *, by: Direction = "svd", learn: bool = False) -> Debiased:
    """Neutralise all words but specific ones, equalise pairs. `learn`: a classifier picks the specific words.

    All vectors are scaled to length 1 first, and again after either step. Raises DataError where too few pairs or
    specific words have vectors.
    """
    space, notes = Space(vectors), list[str]()
    pairs = [pair for pair in lists.definitional if all(word in space.places for word in pair)]
    if len(pairs) < len(lists.definitional):
        notes.append(f"{counted(len(lists.definitional) - len(pairs), 'definitional pair')} without vectors left out")
    if not pairs:
        raise DataError("no definitional pair has vectors.", where="word lists", fix="give pairs of known words.")
    direction, share = _direction(_units(space, pairs), by)
    specific = picked(space, lists.seed) if learn else lists.specific or lists.seed
    kept = {space.places[word] for word in specific if word in space.places}
    equal = _candidates(space, lists.equalised)
    changed = kept.union(*equal)  # their places along the direction are theirs
    judged = [(space.places[word], said) for word, said in lists.judged if word in space.places]
    judged = [(place, said) for place, said in judged if place not in changed]
    if not judged:
        judged = [(place, None) for place in range(min(len(space.words), LEARNED_FROM)) if place not in changed]
    done = space.units.copy()
    neutral = np.ones(len(done), bool)
    neutral[list(kept)] = False
    done[neutral] = _without(done[neutral], direction)
    done = _scaled(done)
    for a, b in equal:
        middle = _without((space.units[a] + space.units[b]) / 2, direction)
        half = np.sqrt(max(0.0, 1 - float(middle @ middle)))
        if (space.units[a] - space.units[b]) @ direction < 0:
            half = -half
        done[a], done[b] = half * direction + middle, -half * direction + middle
    done = _scaled(done)
    return Debiased(
        Vectors(vectors.words, done, vectors.remarks), direction, share,
        _bias(space.units, direction, judged, equal), _bias(done, direction, judged, equal),
        len(judged), tuple(word for word in specific if word in space.places), len(equal), tuple(notes),
    )  # fmt: skip


def picked(space: Space, seed: Sequence[str]) -> tuple[str, ...]:
    """Words that a linear classifier of vectors takes for specific ones, having seen `seed` among frequent words.

    The seed itself is kept. Source: Bolukbasi et al. 2016, section 7: a linear SVM with C = 1.
    """
    from sklearn.svm import LinearSVC

    known = [space.places[word] for word in dict.fromkeys(seed) if word in space.places]
    if len(known) < 2:
        raise DataError(
            "fewer than two words of the seed have vectors.", where="word lists", fix="give gender_specific_seed.json."
        )
    rows = np.union1d(np.arange(min(LEARNED_FROM, len(space.words))), known)
    classifier = LinearSVC(C=1.0, random_state=0).fit(space.units[rows], np.isin(rows, known))
    chosen = np.flatnonzero(classifier.decision_function(space.units) > 0)
    return tuple(space.words[place] for place in np.union1d(chosen, known).astype(int))


def _direction(pairs: np.ndarray, by: Direction) -> tuple[np.ndarray, float | None]:
    """(D,) of length 1, from a to b on the whole, of unit vectors (P, 2, D)."""
    middles = pairs - pairs.mean(axis=1, keepdims=True)
    mean = (middles[:, 1] - middles[:, 0]).sum(axis=0)
    if by == "mean":
        return mean / np.linalg.norm(mean), None
    _, sizes, axes = np.linalg.svd(middles.reshape(-1, pairs.shape[2]).astype(np.float64), full_matrices=False)
    first = axes[0] * (1 if axes[0] @ mean >= 0 else -1)
    return first.astype(np.float32), float(sizes[0] ** 2 / (sizes**2).sum())


def _units(space: Space, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    return space.units[[[space.places[word] for word in pair] for pair in pairs]]


def _candidates(space: Space, pairs: Pairs) -> list[tuple[int, int]]:
    """Places of pairs in lower, title and upper case, where both words have vectors; each once."""
    found = dict[tuple[int, int], None]()
    for pair in pairs:
        for form in (str.lower, str.title, str.upper):
            places = [space.places.get(form(word), -1) for word in pair]
            if min(places) >= 0 and places[0] != places[1]:
                found[places[0], places[1]] = None
    return list(found)


def _without(values: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Their parts across the direction."""
    found: np.ndarray = values - np.multiply.outer(values @ direction / (direction @ direction), direction)
    return found


def _scaled(values: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    found: np.ndarray = values / np.where(norms > 0, norms, 1)
    return found


def _bias(
    units: np.ndarray, direction: np.ndarray, judged: list[tuple[int, float | None]], equal: list[tuple[int, int]]
) -> Bias:
    rows = units[[place for place, _ in judged]]
    along = rows @ direction
    unequal = [float(np.abs(rows @ (units[a] - units[b])).mean()) for a, b in equal]
    said = [(float(value), float(place)) for value, (_, place) in zip(along, judged, strict=True) if place is not None]
    seen = None
    if len(said) >= 3 and np.ptp([value for value, _ in said]) > 1e-5:  # below, only rounding is left along it
        seen = float(spearmanr(*zip(*said, strict=True)).statistic)
    return Bias(float(np.abs(along).mean()), float(np.mean(unequal)) if unequal else 0.0, seen)
