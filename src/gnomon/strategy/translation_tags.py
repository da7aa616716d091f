"""What is plainly wrong with answers that are texts: copied, untranslated, repeated, too short, too long, numbers.

Words are what is between spaces, without their punctuation, in any case. What the references have as well is never
wrong: a name that stays as it is, a refrain.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gnomon.strategy.error_analysis import Tag
from gnomon.strategy.search_fault import fault_of, tags_of

if TYPE_CHECKING:
    from gnomon.metrics.pair_table import PairTable

SHORTER, LONGER = 2 / 3, 3 / 2  # times the characters of the reference that is nearest in length
SPARE = 5  # characters by which an answer may always differ
WORD = re.compile(r"\w+(?:['’.,-]\w+)*")  # "don't", "3.5" and "saftig-grün" are words
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
COPIED = 0.8  # of the words of an answer, which are words of the source
FEWEST_WORDS = 3  # of an answer, to be called a copy: one word is often the same in both
UNTRANSLATED = "untranslated word"
MOST_REPEATED = 3  # words of what is repeated


def words_of(text: str) -> list[str]:
    """Without punctuation, in lower case."""
    return [one.lower() for one in WORD.findall(text)]


def numbers_of(text: str) -> Counter[str]:
    """The numbers in a text by how often they are there, without separators: "1,000" is "1.000"."""
    return Counter(re.sub(r"[.,]", "", one) for one in NUMBER.findall(text))


def from_pairs(table: PairTable) -> list[Tag]:
    """The tags of answers, and whether search or model is at fault."""
    rows = list(zip(table.sources, table.references, table.answers, strict=True))
    found = {name: (meaning, [has(*row) for row in rows]) for name, (meaning, has) in TAGS.items()}
    of_targets = {word for some in table.references for one in some for word in words_of(one)}
    left = [has_untranslated(source, answer, of_targets) for source, _, answer in rows]
    found[UNTRANSLATED] = "A word of the source that none of this split's references has.", left
    tags = [_tag(name, meaning, has, table) for name, (meaning, has) in found.items()]
    fault = fault_of(table)
    return [tag for tag in (*tags, *(tags_of(fault) if fault is not None else [])) if tag.tagged.any()]


def _tag(name: str, meaning: str, has: Sequence[bool], table: PairTable) -> Tag:
    marked = np.array(has, bool) & (table.errors > 0)
    return Tag(name, "answers", marked, np.ones(len(marked), bool), meaning)


def is_empty(_source: str, references: Sequence[str], answer: str) -> bool:
    """Whether there is no answer although no reference is empty."""
    return not answer.strip() and all(one.strip() for one in references)


def is_copied(source: str, references: Sequence[str], answer: str) -> bool:
    """Whether nearly all its words are those of the source, and clearly more than of any reference."""
    own, given = words_of(answer), Counter(words_of(source))
    if len(own) < FEWEST_WORDS:
        return False
    return _shared(own, given) >= COPIED > max((_shared(words_of(one), given) for one in references), default=0.0)


def has_untranslated(source: str, answer: str, of_targets: Collection[str]) -> bool:
    """Whether a word of letters is in source and answer, and in no reference at all: it was left as it was."""
    left = (set(words_of(answer)) & set(words_of(source))) - set(of_targets)
    return any(len(word) > 1 and word.isalpha() for word in left)


def is_repeated(_source: str, references: Sequence[str], answer: str) -> bool:
    """Whether one to three words follow themselves more often than in any reference."""
    return _repeats(words_of(answer)) > max((_repeats(words_of(one)) for one in references), default=0)


def is_too_short(_source: str, references: Sequence[str], answer: str) -> bool:
    """Whether it has fewer than two thirds of the characters of even the shortest reference."""
    least = min(map(len, references), default=0)
    return bool(answer.strip()) and len(answer) < SHORTER * least and least - len(answer) > SPARE


def is_too_long(_source: str, references: Sequence[str], answer: str) -> bool:
    """Whether it has more than one and a half times the characters of even the longest reference."""
    most = max(map(len, references), default=0)
    return len(answer) > LONGER * most and len(answer) - most > SPARE


def has_wrong_numbers(_source: str, references: Sequence[str], answer: str) -> bool:
    """Whether its numbers in digits are not those of any reference."""
    return all(numbers_of(one) != numbers_of(answer) for one in references)


def _shared(words: Sequence[str], given: Counter[str]) -> float:
    """The share of words that are among the given ones, each as often as it is there."""
    return (Counter(words) & given).total() / max(len(words), 1)


def _repeats(words: Sequence[str]) -> int:
    """How often a word, or some up to MOST_REPEATED, are followed by themselves."""
    return sum(
        words[at : at + size] == words[at + size : at + 2 * size]
        for size in range(1, MOST_REPEATED + 1)
        for at in range(len(words) - 2 * size + 1)
    )


TAGS: dict[str, tuple[str, Callable[[str, Sequence[str], str], bool]]] = {
    "empty answer": ("There is no text.", is_empty),
    "too short": ("It has less than two thirds of the characters of the shortest reference.", is_too_short),
    "too long": ("It has more than one and a half times the characters of the longest reference.", is_too_long),
    "copied": (f"At least {100 * COPIED:.0f} % of its words are the source's.", is_copied),
    "repeated words": ("Words follow themselves that do not in a reference.", is_repeated),
    "wrong numbers": ("Its numbers in digits are not those of a reference.", has_wrong_numbers),
}
