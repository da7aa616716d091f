"""Sources of text as examples, without labels: one running text, a list of lines, a folder of documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.example import BadInput, Reading, index_frame
from gnomon.core.settings import DataSettings
from gnomon.data.source import Source, Tree, counted, listed
from gnomon.data.splits import own_splits
from gnomon.data.text.examples import Each, TextExamples
from gnomon.data.text.files import (
    LARGE,
    AnyText,
    Text,
    fault_of,
    is_list,
    lines_of,
    running_texts,
    text_files,
    windows_of,
)

WINDOW = {"character": 128, "word": 64, "subword": 128}  # of a running text, by default
LONGEST = {"character": 256, "word": 64, "subword": 128}  # of a line or document, by default: the rest is cut off
MOST_WINDOWS = 200_000  # examples of a running text: what is kept of each takes memory
LEAST_BYTES = {"character": 1, "word": 4, "subword": 2}  # of a piece, about
OWN_SPLITS = {"train": "train", "dev": "dev", "valid": "dev", "validation": "dev", "val": "dev", "test": "test"}
MANY_BAD = 0.05


def looks_like_text(source: Source) -> tuple[float, str]:
    """How certain it is (0 .. 1), from names alone, that a source is plain text without labels; and why."""
    if source.tree is None or not source.tree.files:
        return 0.0, "no files"
    files = text_files(source.tree)
    if not files:
        return 0.0, "no .txt files"
    share = len(files) / len(source.tree.files)
    return 0.8 * share, f"{counted(len(files), 'file')} of text"


def read_running_text(source: Source, settings: DataSettings) -> Reading:
    """Windows of one running text in their order, or each line of a list, or each of several documents.

    Raises DataError where there is no text, UsageError for settings that contradict the data.
    """
    tree = _tree(source)
    texts, bad = running_texts(tree, text_files(tree) or tree.files)
    refuse_many_bad(bad, len(texts) + len(bad), tree)
    notes = [*source.notes, *remarks_of(texts)]
    level = settings.level or "character"
    each, why = _each(texts, settings)
    window = settings.window or WINDOW[level]
    notes.append(f"read by {each}: {why}" + (" (each=... to choose)" if settings.each is None else ""))
    windows = _windows_each(texts, level, window) if each == "window" else 1
    if windows > 1:
        notes.append(
            f"a long text: each example is {windows} windows, of which an epoch draws one; the last one is judged"
        )
    parts = [_cut(text, each, level, window * windows) for text in texts]
    bad += [BadInput(text.name, "empty") for text, part in zip(texts, parts, strict=True) if not len(part[0])]
    if not any(len(part[0]) for part in parts):
        raise DataError("the text is empty.", where=tree.origin, fix="give a text to learn from.")
    whole = replace(_examples(texts, parts, each), windows=windows)
    named = _named_splits(texts, parts)
    return Reading(own_splits(whole, named), tuple(notes), tuple(bad))


def _windows_each(texts: list[AnyText], level: str, window: int) -> int:
    """How many windows an example is of: of a long text several, so that there are not too many examples."""
    return -(-sum(len(text.content) for text in texts) // (MOST_WINDOWS * window * LEAST_BYTES[level]))


def _each(texts: list[AnyText], settings: DataSettings) -> tuple[Each, str]:
    """What an example is: "window", "line" or "document"; and why."""
    if settings.each is not None:
        if settings.each == "document" and len(texts) == 1:
            raise UsageError("each=document, but there is one file.", fix="use each=line or each=window.")
        return settings.each, "as set"
    lists = [is_list(text.content) for text in texts]
    if all(found for found, _ in lists):
        size = sum(len(text.content) for text in texts)
        if size >= LARGE:  # what is kept of each line takes some 20 times the memory of the line
            return "window", f"too long a list to keep every line in memory ({size / 1e6:,.0f} MB)"
        return "line", lists[0][1]
    if len(texts) > 1 and not _are_splits(texts):
        return "document", f"{counted(len(texts), 'file')} of text"
    return "window", lists[0][1]


def _cut(text: AnyText, each: Each, level: str, window: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Where examples begin and end in one text, and their ids."""
    if each == "line":
        starts, ends, numbers = lines_of(text.content[:])
        return starts, ends, [f"{text.name} line {number}" for number in numbers.tolist()]
    if each == "document":
        some = 1 if text.content[:].strip() else 0
        return np.zeros(some, np.int64), np.full(some, len(text.content)), [text.name] * some
    edges = windows_of(text.content, level, window)
    ids = [f"{text.name} byte {start}" for start in edges[:-1].tolist()]
    return edges[:-1], edges[1:], ids


def _examples(texts: list[AnyText], parts: list[tuple[np.ndarray, np.ndarray, list[str]]], each: Each) -> TextExamples:
    counts = [len(part[0]) for part in parts]
    index = index_frame([name for part in parts for name in part[2]])
    if each == "window":  # neighbours belong together
        index = index.with_columns(time=pl.int_range(len(index), dtype=pl.Int64))
    return TextExamples(
        tuple(text.content for text in texts),
        np.repeat(np.arange(len(texts)), counts),
        np.concatenate([part[0] for part in parts]).astype(np.int64),
        np.concatenate([part[1] for part in parts]).astype(np.int64),
        index,
        each,
    )


def _split_of(name: str) -> str | None:
    stem = name.rpartition("/")[2].partition(".")[0].lower()
    return OWN_SPLITS.get(stem)


def _are_splits(texts: list[AnyText]) -> bool:
    found = [_split_of(text.name) for text in texts]
    return "train" in found and all(found)


def _named_splits(
    texts: list[AnyText], parts: list[tuple[np.ndarray, np.ndarray, list[str]]]
) -> tuple[tuple[str, int], ...]:
    if not _are_splits(texts):
        return ()
    return tuple((str(_split_of(text.name)), len(part[0])) for text, part in zip(texts, parts, strict=True))


def read_texts_to_predict(source: Source, each: Each, level: str, window: int) -> Reading:
    """Texts divided as those of the training were, of files or given as they are, under the key "all"."""
    bad, texts = list[BadInput](), list[AnyText]()
    if source.texts:
        texts = [Text(f"text {number}", text.encode()) for number, text in enumerate(source.texts, start=1)]
    elif source.tree is not None:
        texts, bad = running_texts(source.tree, source.tree.files)
    else:
        raise DataError("text is read from files.", where=source.origin, fix="give a .txt file, or a text in quotes.")
    parts = [_cut(text, each, level, window) for text in texts]
    bad += [BadInput(text.name, "empty") for text, part in zip(texts, parts, strict=True) if not len(part[0])]
    if not any(len(part[0]) for part in parts):
        raise DataError("the text is empty.", where=source.origin, fix="give a text.")
    return Reading({"all": _examples(texts, parts, each)}, tuple(source.notes), tuple(bad))


def of_strings(texts: list[str], each: Each = "line") -> TextExamples:
    """Texts given as they are, each an example."""
    contents = [text.encode() for text in texts]
    for number, content in enumerate(contents, start=1):
        fault = fault_of(content)
        if fault:
            raise DataError(fault, where=f"text {number}", fix="give text.")
    ends = np.cumsum([len(content) for content in contents])
    index = index_frame([f"text {number}" for number in range(1, len(texts) + 1)])
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    return TextExamples(
        (b"".join(contents),), np.zeros(len(texts), np.int64), starts, ends.astype(np.int64), index, each
    )


def remarks_of(texts: Sequence[AnyText]) -> list[str]:
    """What was changed in files as they were read, with counts."""
    counts = Counter(remark for text in texts for remark in text.remarks)
    return [listed(remark, [text.name for text in texts if remark in text.remarks]) for remark in sorted(counts)]


def refuse_many_bad(bad: list[BadInput], total: int, tree: Tree) -> None:
    """Raises DataError where more files are bad than a set may have by chance."""
    if len(bad) > MANY_BAD * total:
        raise DataError(
            f"{len(bad):,} of {counted(total, 'file')} cannot be read: {bad[0].where} ({bad[0].why}).",
            where=tree.origin, fix="remove or convert them.",
        )  # fmt: skip


def _tree(source: Source) -> Tree:
    if source.tree is None:
        raise DataError(
            "this is a table or an array, not text.", where=source.origin,
            fix="give a .txt file, or a folder of them.",
        )  # fmt: skip
    return source.tree
