"""Files of tokens in columns (CoNLL): one token in each line, blank lines between sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gnomon.core.example import BadInput
from gnomon.data.text.files import Text
from gnomon.data.text.tagged import Sentence
from gnomon.metrics.spans import OUTSIDE

SUFFIXES = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".bioes")
DOCUMENT = "-DOCSTART-"  # of CoNLL 2003: the first word of a line before each document
SPACES = re.compile("[ \t]+")  # and no others: a no-break space may be part of a token
UNIVERSAL = 10  # columns of Universal Dependencies: number, word, lemma, part of speech ...
NUMBER = re.compile(r"\d+(?:[-.]\d+)?")
LOOKED_AT = 2_000  # lines from which the form of a file is told
BLANKS = " \t"


@dataclass(frozen=True)
class Form:
    """How the lines of a file are divided, and which columns count, from 0."""

    has_tabs: bool
    width: int  # columns
    word: int
    tag: int  # negative: from the end; where there is one column, there are no tags
    is_universal: bool


@dataclass(frozen=True)
class Columns:
    """What a file holds."""

    sentences: tuple[Sentence, ...]
    documents: tuple[int, ...]  # of each sentence, from 0: how many lines began a document before it
    bad: tuple[BadInput, ...]  # sentences that cannot be read
    repaired: int  # lines that are divided otherwise than the rest


def form_of(lines: list[str], tag_column: int | None) -> Form | None:
    """How a file is divided, by its first lines; None for one without any tokens. `tag_column` counts from 1."""
    solid = [line for line in lines[:LOOKED_AT] if line.strip(BLANKS) and not line.startswith(DOCUMENT)]
    plain = [line for line in solid if not line.startswith("#")] or solid
    if not plain:
        return None
    has_tabs = 2 * sum("\t" in line for line in plain) > len(plain)
    rows = [fields_of(line, has_tabs=has_tabs) for line in plain]
    width = Counter(map(len, rows)).most_common(1)[0][0]
    is_universal = width == UNIVERSAL and all(NUMBER.fullmatch(row[0]) for row in rows)
    chosen = 3 if is_universal else -1
    if tag_column is not None:
        chosen = tag_column - 1 if tag_column > 0 else tag_column
    return Form(has_tabs, width, 1 if is_universal else 0, chosen, is_universal)


def fields_of(line: str, *, has_tabs: bool) -> list[str]:
    """The columns of a line: divided by tabs, or else by any number of spaces and tabs."""
    if has_tabs and "\t" in line:
        return [field.strip(" ") for field in line.rstrip(BLANKS).split("\t")]
    return SPACES.split(line.strip(BLANKS))


def read_columns(file: Text, form: Form, *, needs_tags: bool) -> Columns:
    """Every sentence of a file; one with a line of too few or too many columns is listed, not read."""
    lines = file.content.decode().split("\n")
    known = _tags_of_plain_lines(lines, form)
    sentences, documents, bad, repaired = list[Sentence](), list[int](), list[BadInput](), 0
    number_of_documents = 0
    for start, block in _blocks(lines):
        rows, fault = list[list[str]](), ""
        for number, line in enumerate(block, start=start):
            if line.startswith(DOCUMENT):
                number_of_documents += 1
                continue
            fields = fields_of(line, has_tabs=form.has_tabs)
            if line.startswith("#") and _is_comment(fields, form, known):
                continue
            if form.is_universal and not fields[0].isdigit():
                continue  # a word that stands for several, or one that is not written
            fault = fault or _fault_of(fields, form, number, needs_tags=needs_tags)
            repaired += form.has_tabs and "\t" not in line and form.width > 1 and not fault
            rows.append(fields)
        if fault:
            bad.append(BadInput(file.name, fault))
        elif rows:
            sentences.append(_sentence(file.name, start, rows, form))
            documents.append(number_of_documents)
    return Columns(tuple(sentences), tuple(documents), tuple(bad), repaired)


def _blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines without a blank one between them, with the number of the first, from 1."""
    start = 0
    for number, line in enumerate((*lines, "")):
        if not line.strip(BLANKS):
            if number > start:
                yield start + 1, lines[start:number]
            start = number + 1
        elif line.startswith(DOCUMENT) and number > start:
            yield start + 1, lines[start:number]
            start = number


def _tags_of_plain_lines(lines: list[str], form: Form) -> set[str]:
    """The tags of lines that do not begin with #, which may be comments."""
    rows = (fields_of(line, has_tabs=form.has_tabs) for line in lines if line[:1] not in ("#", "") and line.strip())
    return {OUTSIDE, *(row[form.tag] for row in rows if len(row) == form.width)}


def _is_comment(fields: list[str], form: Form, known: set[str]) -> bool:
    """A token may begin with #, too: it has all columns, and a tag that others have."""
    if form.is_universal:
        return not NUMBER.fullmatch(fields[0])
    return len(fields) != form.width or (form.width > 1 and fields[form.tag] not in known)


def _fault_of(fields: list[str], form: Form, number: int, *, needs_tags: bool) -> str:
    """What is wrong with a line; "" if nothing is."""
    least = form.width if needs_tags else form.word + 1
    is_wrong = len(fields) != form.width if needs_tags else len(fields) < least
    if is_wrong:
        others = "tabs" if form.has_tabs else "spaces"
        return f"line {number:,} has {len(fields)} of {form.width} columns ({others} divide them)"
    if not fields[form.word]:
        return f"line {number:,} has a tag without a token"
    if needs_tags and not fields[form.tag]:
        return f"line {number:,} has a token without a tag"
    return ""


def _sentence(name: str, start: int, rows: list[list[str]], form: Form) -> Sentence:
    """Tokens with a space between them, or none where a file of Universal Dependencies says so."""
    text, starts, ends = "", list[int](), list[int]()
    parts, place = list[str](), 0
    for row in rows:
        word = row[form.word]
        starts.append(place)
        ends.append(place + len(word))
        is_glued = form.is_universal and "SpaceAfter=No" in row[-1]
        parts.append(word if is_glued else word + " ")
        place += len(parts[-1])
    text = "".join(parts).rstrip(" ") if parts else ""
    has_tags = form.width > 1 and all(len(row) == form.width for row in rows)
    return Sentence(
        f"{name} line {start}", text, starts, ends, [row[form.tag] for row in rows] if has_tags else [], start
    )
