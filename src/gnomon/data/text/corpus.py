"""A text as word vectors learn from it: its words by how often they occur, line by line."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from gnomon.data.text import tokens
from gnomon.data.text.files import Text

PART = 1 << 22  # bytes of text that are divided into words at a time
LONGEST = 1_000  # words of a line: a longer one is read as several


@dataclass(frozen=True)
class Corpus:
    """All words of a text. Punctuation marks are left out; no window reaches over the end of a line."""

    words: tuple[str, ...]  # the most frequent first; of equally frequent ones the first in the order of code points
    counts: np.ndarray  # (V,) int64
    ids: np.ndarray  # (N,) int32: the places in `words`, in the order of the text
    lines: np.ndarray  # (S + 1,) int64: where lines begin in `ids`, and where the last ends
    fingerprint: str


def corpus_of(texts: Iterable[Text]) -> Corpus:
    """The words of all texts. Memory: the texts, 4 bytes for each word, the vocabulary."""
    places, ids, ends, digest = dict[str, int](), array("i"), array("q", [0]), hashlib.sha256()
    for text in texts:
        digest.update(f"{text.name} {len(text.content)}\n".encode())
        digest.update(text.content)
        for line in _lines(text.content):
            found = [word for word in tokens.split(line, "word") if word[0].isalnum()]
            ids.extend([places.setdefault(word, len(places)) for word in found])
            while len(ids) - ends[-1] > LONGEST:
                ends.append(ends[-1] + LONGEST)
            if len(ids) > ends[-1]:
                ends.append(len(ids))
    seen = np.frombuffer(ids, np.int32) if ids else np.zeros(0, np.int32)
    counts = np.bincount(seen, minlength=len(places))
    words, new = _ranked(list(places), counts)
    return Corpus(words, np.sort(counts)[::-1], new[seen], np.array(ends, np.int64), digest.hexdigest())


def _lines(content: bytes) -> Iterable[str]:
    start = 0
    while start < len(content):
        end = content.find(b"\n", start + PART)
        end = len(content) if end < 0 else end + 1
        yield from content[start:end].decode().split("\n")
        start = end


def frequent(corpus: Corpus, min_count: int) -> int:
    """How many words occur at least so often: they are the first ones."""
    return int(np.searchsorted(-corpus.counts, -min_count, side="right"))


def kept_shares(counts: np.ndarray, total: int, threshold: float) -> np.ndarray:
    """(V,) the share of each word that subsampling keeps, (sqrt(f/t) + 1) t/f, at most 1; a threshold of 0 keeps all.

    The paper's equation 5 is 1 - sqrt(t/f) for what is dropped; this is what its program does, and gensim.
    Source: Mikolov et al. 2013b, section 2.3; word2vec.c.
    """
    if not threshold:
        return np.ones(len(counts), np.float32)
    share = counts / (threshold * total)
    return np.minimum(1.0, (np.sqrt(share) + 1) / share).astype(np.float32)


def drawn_shares(counts: np.ndarray, power: float = 0.75) -> np.ndarray:
    """(V,) float64: the running total of f^0.75 up to each word, of 1: words drawn by it are the negatives.

    Source: Mikolov et al. 2013b, section 2.2.
    """
    weights = np.cumsum(counts.astype(np.float64) ** power)
    return weights / weights[-1]


@dataclass(frozen=True)
class Tree:
    """A Huffman tree over V words: the way from the root to each, at most L turns."""

    nodes: np.ndarray  # (V, L) int32: inner nodes that are passed, 0 .. V - 2; the root is V - 2; padding is 0
    turns: np.ndarray  # (V, L) int8: +1 for the heavier child, -1 for the lighter, 0 beyond the word


def huffman(counts: np.ndarray) -> Tree:
    """The tree of the shortest ways: frequent words are near the root. `counts` falls; there are two words or more.

    Two queues, of words and of joined nodes, each of rising weight: the two lightest of all are at their fronts
    (van Leeuwen 1976). Source: Mikolov et al. 2013b, section 2.1.
    """
    num_words = len(counts)
    weights = np.concatenate([counts, np.zeros(num_words - 1, np.int64)]).tolist()
    parents, is_lighter = [0] * (2 * num_words - 1), [False] * (2 * num_words - 1)
    word, node = num_words - 1, num_words  # the lightest that are not joined yet
    for new in range(num_words, 2 * num_words - 1):
        pair = []
        for _ in range(2):
            if word >= 0 and (node >= new or weights[word] <= weights[node]):
                pair.append(word)
                word -= 1
            else:
                pair.append(node)
                node += 1
        weights[new] = weights[pair[0]] + weights[pair[1]]
        for child, lighter in zip(pair, (True, False), strict=True):
            parents[child], is_lighter[child] = new, lighter
    ways: list[list[tuple[int, int]]] = [[]] * (2 * num_words - 1)
    for place in range(2 * num_words - 3, -1, -1):
        parent = parents[place]
        ways[place] = [*ways[parent], (parent - num_words, -1 if is_lighter[place] else 1)]
    longest = max(len(ways[place]) for place in range(num_words))
    nodes, turns = np.zeros((num_words, longest), np.int32), np.zeros((num_words, longest), np.int8)
    for place in range(num_words):
        for step, (passed, turn) in enumerate(ways[place]):
            nodes[place, step], turns[place, step] = passed, turn
    return Tree(nodes, turns)


def lowered(corpus: Corpus) -> Corpus:
    """The same text in lower case."""
    places = dict[str, int]()
    into = np.array([places.setdefault(word.lower(), len(places)) for word in corpus.words], np.int64)
    counts = np.bincount(into, weights=corpus.counts).astype(np.int64)
    words, new = _ranked(list(places), counts)
    return replace(corpus, words=words, counts=np.sort(counts)[::-1], ids=new[into][corpus.ids])


def _ranked(words: list[str], counts: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Words by how often they occur, and (V,) int32 the new place of each."""
    order = sorted(range(len(words)), key=lambda place: (-counts[place], words[place]))
    new = np.empty(len(words), np.int32)
    new[order] = np.arange(len(words), dtype=np.int32)
    return tuple(words[place] for place in order), new
