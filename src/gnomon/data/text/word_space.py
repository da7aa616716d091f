"""What word vectors know: nearest words, analogies, similarities as people judge them, and a map of two dimensions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import pearsonr, spearmanr

from gnomon.core.errors import DataError, UsageError
from gnomon.data.source import counted
from gnomon.data.text.vectors import Vectors

MOST_WORDS = 300_000  # that are looked at in analogies and similarities: the first, as gensim and the C program do
TOGETHER = 256  # questions
FEW_WORDS = 10  # of a map: below, t-SNE has no neighbours to keep


@dataclass(frozen=True)
class Near:
    """A word, and the cosine of the angle between its vector and the one asked for."""

    word: str
    cosine: float


@dataclass(frozen=True)
class Section:
    """Part of a file of analogies; the last of a list is all of them together."""

    name: str
    right: int
    asked: int  # those of which all four words have vectors

    @property
    def share(self) -> float:
        return self.right / self.asked if self.asked else math.nan


@dataclass(frozen=True)
class Analogies:
    """How many of the questions "a is to b as c is to?" are answered by b - a + c."""

    sections: tuple[Section, ...]
    questions: int  # in the file
    notes: tuple[str, ...]

    @property
    def all(self) -> Section:
        return self.sections[-1]


@dataclass(frozen=True)
class Similarities:
    """How cosines go with what people said."""

    spearman: float
    pearson: float
    used: int
    pairs: int  # in the file
    notes: tuple[str, ...]


class Space:
    """Vectors of length 1, and where each word is."""

    def __init__(self, vectors: Vectors) -> None:
        self.words = vectors.words
        norms = np.linalg.norm(vectors.values, axis=1, keepdims=True)
        self.units = vectors.values / np.where(norms > 0, norms, 1)  # (V, D) float32
        self.places = {word: place for place, word in enumerate(vectors.words)}

    def place(self, word: str) -> int:
        """Of a word, or of its only form in other case. Raises UsageError where there is none."""
        if word in self.places:
            return self.places[word]
        others = [one for one in (word.lower(), word.capitalize(), word.upper()) if one in self.places]
        if not others:
            raise UsageError(f"there is no vector of {word!r}.", fix="ask for a word of the vocabulary.")
        return self.places[others[0]]

    def nearest(self, word: str, count: int = 10) -> list[Near]:
        """The words of the smallest angles to this one's."""
        place = self.place(word)
        return self._best(self.units[place], {place}, count)

    def analogy(self, a: str, b: str, c: str, count: int = 10) -> list[Near]:
        """Words that are to `c` as `b` is to `a`: nearest to b - a + c of unit vectors, these three left out."""
        given = [self.place(word) for word in (a, b, c)]
        target = self.units[given[1]] - self.units[given[0]] + self.units[given[2]]
        return self._best(target / max(float(np.linalg.norm(target)), 1e-12), set(given), count)

    def _best(self, target: np.ndarray, without: set[int], count: int) -> list[Near]:
        cosines = self.units @ target
        cosines[list(without)] = -np.inf
        count = min(count, len(cosines) - len(without))
        best = np.argsort(-cosines, kind="stable")[:count]
        return [Near(self.words[place], float(cosines[place])) for place in best]

    def map(self, places: Sequence[int]) -> np.ndarray:
        """(N, 2) points of words, near where their vectors are: t-SNE of cosines; of few words principal axes."""
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE

        chosen = self.units[list(places)]
        if len(chosen) < FEW_WORDS:
            count = min(2, *chosen.shape)
            found: np.ndarray = PCA(count, random_state=0).fit_transform(chosen)
            return np.pad(found, ((0, 0), (0, 2 - count)))
        perplexity = min(15, len(chosen) / 4)
        done: np.ndarray = TSNE(2, perplexity=perplexity, metric="cosine", init="random", random_state=0).fit_transform(
            chosen
        )
        return done


# --- files of questions -----------------------------------------------------------------------------------------------
def evaluate(space: Space, content: str, where: str) -> Analogies | Similarities:
    """Score a file of analogies (four words a line, sections after a colon) or of similarities (two words, a number).

    As gensim does: case does not matter, the first form of a word counts, questions with unknown words are left out.
    Raises DataError where the file is neither, or nothing in it can be used.
    """
    lines = [(number, line) for number, line in enumerate(content.splitlines(), start=1) if line.strip()]
    plain = [line for _, line in lines if not line.startswith((":", "#"))]
    if any(line.startswith(":") for _, line in lines) or (
        plain and len(plain[0].split()) == 4 and "\t" not in plain[0]
    ):
        return _analogies(space, lines, where)
    return _similarities(space, lines, where)


def _forms(space: Space) -> dict[str, list[int]]:
    """Places of all forms of a word in upper case, the first form first."""
    found = defaultdict[str, list[int]](list)
    for place, word in enumerate(space.words[:MOST_WORDS]):
        found[word.upper()].append(place)
    return found


def _analogies(space: Space, lines: list[tuple[int, str]], where: str) -> Analogies:
    forms, names, section = _forms(space), list[str](), "questions"
    asked, sections, questions, odd = list[tuple[str, ...]](), list[int](), 0, 0
    seen, repeated = set[tuple[str, ...]](), 0
    for _, line in lines:
        if line.startswith(":"):
            section = line.lstrip(": ").strip()
            continue
        words = tuple(line.upper().split())
        if len(words) != 4:
            odd += 1
            continue
        questions += 1
        repeated += words in seen
        seen.add(words)
        if section not in names:
            names.append(section)
        if all(word in forms for word in words):
            asked.append(words)
            sections.append(names.index(section))
    if not asked:
        raise DataError(
            f"none of its {counted(questions, 'question')} has vectors for all four words.", where=where,
            fix="give analogies of words that the vectors have.",
        )  # fmt: skip
    right = np.concatenate([
        _answered(space, asked[start : start + TOGETHER], forms) for start in range(0, len(asked), TOGETHER)
    ])  # fmt: skip
    of = np.array(sections)
    found = [Section(name, int(right[of == i].sum()), int((of == i).sum())) for i, name in enumerate(names)]
    notes = []
    if repeated:
        notes.append(f"{counted(repeated, 'question')} given twice: counted twice, as other programs do")
    if odd:
        notes.append(f"{counted(odd, 'line')} without four words left out")
    return Analogies((*found, Section("all", int(right.sum()), len(right))), questions, tuple(notes))


def _answered(space: Space, asked: list[tuple[str, ...]], forms: dict[str, list[int]]) -> np.ndarray:
    """(Q,) whether the nearest word that is none of a, b, c in any case is the fourth."""
    a, b, c = (np.array([forms[words[i]][0] for words in asked]) for i in range(3))
    units = space.units[:MOST_WORDS]
    cosines = (units[b] - units[a] + units[c]) @ units.T  # (Q, V); their lengths change no order
    for row, words in enumerate(asked):
        cosines[row, [place for word in words[:3] for place in forms[word]]] = -np.inf
    best = cosines.argmax(axis=1)
    return np.array([space.words[place].upper() == words[3] for place, words in zip(best, asked, strict=True)])


def _similarities(space: Space, lines: list[tuple[int, str]], where: str) -> Similarities:
    forms, said, cosines = _forms(space), list[float](), list[float]()
    pairs, odd, seen, repeated = 0, 0, set[frozenset[str]](), 0
    for _, line in lines:
        fields = line.split("\t" if "\t" in line else ",")
        value = _number(fields[2]) if len(fields) == 3 else None
        if line.startswith("#"):
            continue
        if value is None:
            odd += 1
            continue
        pairs += 1
        one, other = (field.strip().upper() for field in fields[:2])
        repeated += frozenset((one, other)) in seen
        seen.add(frozenset((one, other)))
        if one in forms and other in forms:
            said.append(value)
            cosines.append(float(space.units[forms[one][0]] @ space.units[forms[other][0]]))
    if len(said) < 3:
        raise DataError(
            f"{counted(len(said), 'pair')} of {pairs:,} with vectors for both words: too few.", where=where,
            fix="give lines of two words and a number with tabs between them, or analogies of four words.",
        )  # fmt: skip
    notes = []
    if repeated:
        notes.append(f"{counted(repeated, 'pair')} given twice: counted twice, as other programs do")
    if odd:
        notes.append(f"{counted(odd, 'line')} without two words and a number left out")
    return Similarities(
        float(spearmanr(said, cosines).statistic),
        float(pearsonr(said, cosines).statistic),
        len(said),
        pairs,
        tuple(notes),
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
