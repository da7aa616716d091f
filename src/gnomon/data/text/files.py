"""Files of text: found, unpacked, checked to be text. What is kept is bytes in UTF-8, as they came."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.example import BadInput
from gnomon.data.source import File, Tree, display_name
from gnomon.data.text.on_disk import Content, OnDisk
from gnomon.data.trees import FilesTree, FolderTree

SUFFIXES = (".txt", ".text", ".md", ".txt.gz")
MOST_UNPACKED = 8 << 30  # bytes of one compressed file
PART = 1 << 22  # bytes of a text that are looked at together
LARGE = 1 << 26  # bytes of a file from which on it stays on disk
LOOK_INTO = 1 << 16  # bytes that are looked at to tell whether a file is text
_BREAKS = re.compile(rb"\r\n?")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Text:
    """The content of one file: UTF-8 with newlines alone at the ends of lines."""

    name: str
    content: bytes
    remarks: tuple[str, ...] = ()  # what was changed


@dataclass(frozen=True)
class LargeText:
    """The same of a large file, which stays where it is: nothing of it was changed."""

    name: str
    content: OnDisk
    remarks: tuple[str, ...] = ()


AnyText = Text | LargeText


def text_files(tree: Tree) -> list[File]:
    """Files that are text by their name."""
    return [file for file in tree.files if file.name.lower().endswith(SUFFIXES)]


def read_text(tree: Tree, file: File) -> Text | BadInput:
    """A file that may be compressed by gzip; or why it is no text."""
    where = display_name(file.name)
    content = tree.read(file.name)
    if content[:2] == b"\x1f\x8b":
        found = _unpacked(content)
        if isinstance(found, str):
            return BadInput(where, found)
        content = found
    remarks = []
    if content.startswith(_BOM):
        content = content[len(_BOM) :]
        remarks.append("a byte order mark left out")
    fault = fault_of(content)
    if fault:
        return BadInput(where, fault)
    if b"\r" in content:
        content = _BREAKS.sub(b"\n", content)
        remarks.append("line ends of other systems read as newlines")
    return Text(where, content, tuple(remarks))


def _large_text(tree: Tree, file: File) -> LargeText | BadInput | None:
    """A large file that is text as it is, left on disk; or why it is no text. None for one that must be rewritten."""
    if file.size < LARGE or not isinstance(tree, FolderTree | FilesTree):
        return None
    content = OnDisk(tree.path(file.name), file.size)
    if content[:2] == b"\x1f\x8b" or content[: len(_BOM)] == _BOM:
        return None
    fault = fault_of(content)
    if fault:
        return BadInput(display_name(file.name), fault)
    if any(b"\r" in content[start : start + PART] for start in range(0, len(content), PART)):
        return None
    return LargeText(display_name(file.name), content)


def _unpacked(content: bytes) -> bytes | str:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(content, MOST_UNPACKED)
        if unpacker.unused_data:  # several members, one after the other
            found = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        return f"a damaged gzip file ({error})"
    if unpacker.unconsumed_tail:
        return f"unpacks to more than {MOST_UNPACKED:,} bytes"
    return found if unpacker.eof or unpacker.unused_data else "a gzip file that is cut off"


def fault_of(content: Content) -> str:
    """Why bytes are no text in UTF-8; "" if they are."""
    if b"\0" in content[:LOOK_INTO]:
        utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        return "text in UTF-16, which is not read: save it as UTF-8" if utf16 else "not text: it has zero bytes"
    for start in range(0, len(content), LOOK_INTO):  # whole characters, a part at a time
        piece = content[whole_from(content, start) : whole_from(content, start + LOOK_INTO)]
        try:
            piece.decode()
        except UnicodeDecodeError as error:
            at = whole_from(content, start) + error.start
            line = 1 + sum(content[part : min(part + PART, at)].count(b"\n") for part in range(0, at, PART))
            return f"not UTF-8: byte {content[at]:#04x} in line {line:,}"
    return ""


def whole_from(content: Content, at: int) -> int:
    """The start of the character that byte `at` belongs to."""
    at = min(at, len(content))
    while 0 < at < len(content) and content[at] & 0xC0 == 0x80:
        at -= 1
    return at


def lines_of(content: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where lines that are not blank begin and end, in bytes, and their numbers from 1."""
    values = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(values == ord("\n"))
    if not len(ends) or ends[-1] != len(values) - 1:
        ends = np.append(ends, len(values))
    starts = np.concatenate([[0], ends[:-1] + 1])
    is_space = (values == ord(" ")) | (values == ord("\t"))
    solid = np.concatenate([[0], np.cumsum(~is_space)])
    kept = solid[np.minimum(ends, len(values))] - solid[starts] > 0
    return starts[kept], ends[kept], np.flatnonzero(kept) + 1


def windows_of(content: Content, level: str, size: int) -> np.ndarray:
    """(K + 1,) where windows of a text begin, and where the last ends: `size` characters or words each.

    Of subwords, which are learned later, half as many words: one word is two subwords or so.
    Read in parts, so that little more than the result is in memory.
    """
    size = max(1, size // 2) if level == "subword" else size
    found, passed, was_space = list[np.ndarray](), 0, True
    for start in range(0, len(content), PART):
        part = np.frombuffer(content[start : start + PART], np.uint8)
        if level == "character":
            begins = np.flatnonzero((part & 0xC0) != 0x80)  # of characters
        else:
            is_space = (part == ord(" ")) | (part == ord("\n")) | (part == ord("\t"))
            begins = np.flatnonzero(~is_space & np.concatenate([[was_space], is_space[:-1]]))
            was_space = bool(is_space[-1])
        found.append(begins[-passed % size :: size] + start)
        passed += len(begins)
    chosen = np.concatenate([*found, [len(content)]])
    if len(chosen) > 1:
        chosen[0] = 0
    return chosen


def is_list(content: Content) -> tuple[bool, str]:
    """Whether each line of a file stands for itself, and why: names, sentences, titles; or one running text."""
    head = content[: 1 << 20]
    lines = head.split(b"\n")[: -1 if len(content) > len(head) else None]
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) < LEAST_LINES:
        return False, f"{len(lines):,} lines"
    if any(not line.strip() for line in lines):
        return False, "blank lines divide it into paragraphs"
    lengths = np.array([len(line) for line in lines])
    if lengths.mean() > SHORT and lengths.max() < WRAPPED * np.median(lengths):
        return False, "lines of nearly equal length, as in wrapped text"
    return True, "no blank lines, and lines of different lengths"


LEAST_LINES = 20  # of a list
SHORT = 40  # bytes per line on average: running text has longer ones
WRAPPED = 2.0  # times the median: wrapped text has no longer lines


T = TypeVar("T", bound=AnyText)


def _named(texts: list[T], tree: Tree) -> list[T]:
    """Files that were given by their paths under their own names, where these differ: moved, they are the same."""
    names = [text.name.rpartition("/")[2] for text in texts]
    if not isinstance(tree, FilesTree) or len(set(names)) < len(names):
        return texts
    return [replace(text, name=name) for text, name in zip(texts, names, strict=True)]


def all_texts(tree: Tree, files: Sequence[File]) -> tuple[list[Text], list[BadInput]]:
    """Every file that is text, and why the others are not. Raises DataError if none is."""
    found = [read_text(tree, file) for file in files]
    return _some_text([one for one in found if isinstance(one, Text)], found, tree)


def running_texts(tree: Tree, files: Sequence[File]) -> tuple[list[AnyText], list[BadInput]]:
    """As `all_texts`; large files stay on disk."""
    found = [_large_text(tree, file) or read_text(tree, file) for file in files]
    return _some_text([one for one in found if not isinstance(one, BadInput)], found, tree)


def _some_text(texts: list[T], found: Sequence[AnyText | BadInput], tree: Tree) -> tuple[list[T], list[BadInput]]:
    bad = [one for one in found if isinstance(one, BadInput)]
    if not texts:
        shown = f" ({bad[0].where}: {bad[0].why})" if bad else ""
        raise DataError(
            f"there is no text in it{shown}.", where=tree.origin, fix="give plain text in UTF-8, .txt or .txt.gz."
        )
    return _named(texts, tree), bad
