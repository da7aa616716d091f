"""Word vectors from elsewhere beside the vocabulary of a training split: which words they know, and which they add."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gnomon.core.errors import DataError
from gnomon.data.source import display_name
from gnomon.data.text.vectors import find_vectors, read_vectors

MOST_WORDS = 50_000  # of train and of the vectors together: of dev's words that train lacks, GloVe's first 50,000 have
# two thirds on films (sst), its 400,000 nearly all, at eight times the size of the model
MOST_BYTES = 2 << 30  # of vectors that are read whole; of larger files, only the words of train


@dataclass(frozen=True)
class Known:
    """A vocabulary with vectors."""

    vocabulary: tuple[str, ...]  # the words of train, then those that the vectors add, in the order of their file
    num_own: int  # of train
    values: np.ndarray  # (V, D) float32; NaN for words of train without a vector
    num_found: int  # words of train with one
    remarks: tuple[str, ...] = ()


@functools.lru_cache(maxsize=2)  # a search or a probe builds many models on the same words
def known_vectors(path: str, own: tuple[str, ...]) -> Known:
    """What the vectors at `path` know of the words of train, `own`. A word counts in lower case if it has no other.

    Raises DataError for vectors that cannot be read, or that have none of these words.
    """
    wanted = {form for word in own for form in (word, word.lower())}
    is_small = _size(find_vectors(path)) <= MOST_BYTES
    vectors = read_vectors(path, None if is_small else wanted)
    places = {word: place for place, word in enumerate(vectors.words)}
    rows = np.array([places.get(word, places.get(word.lower(), -1)) for word in own], np.int64)
    if not (rows >= 0).any():
        shown = ", ".join(map(repr, vectors.words[:3]))
        raise DataError(
            f"none of the {len(own):,} words of train has a vector; the vectors are of words such as {shown}.",
            where=display_name(path), fix="give vectors of words in the language of the texts.",
        )  # fmt: skip
    told = set(own)
    further = [word for word in vectors.words if word not in told][: max(0, MOST_WORDS - len(own))] if is_small else []
    values = np.full((len(own) + len(further), vectors.values.shape[1]), np.nan, np.float32)
    values[: len(own)][rows >= 0] = vectors.values[rows[rows >= 0]]
    if further:
        values[len(own) :] = vectors.values[[places[word] for word in further]]
    remarks = list(vectors.remarks)
    with_capitals = sum(word != word.lower() for word in own)
    if with_capitals > len(own) / 20 and not any(word != word.lower() for word in vectors.words[:100_000]):
        remarks.append("the vectors are of words in lower case (normalise=lower reads texts so, too)")
    return Known((*own, *further), len(own), values, int((rows >= 0).sum()), tuple(remarks))


def _size(place: Path) -> int:
    """Bytes of a file, or of those in a folder."""
    files = [one for one in place.iterdir() if one.is_file()] if place.is_dir() else [place]
    return sum(one.stat().st_size for one in files)
