"""JSON lines of tagged text: a text with spans in characters, or tokens with their tags."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gnomon.core.example import BadInput
from gnomon.data.text.files import Text
from gnomon.data.text.tagged import Sentence
from gnomon.data.text.words import places_of
from gnomon.metrics.spans import Span, as_tags

SUFFIXES = (".jsonl", ".ndjson", ".json")
TEXTS = ("text", "sentence")
SPANS = ("spans", "entities", "label", "labels")
TOKENS = ("tokens", "words")
TAGS = ("tags", "ner_tags", "ner", "pos_tags", "upos", "labels")
TYPES = ("label", "type", "entity", "tag")  # of a span that is an object
DIVIDED = "words divided where a span begins or ends inside them"
TRIMMED = "spans without the spaces at their ends"
OVERLAPS = "spans left out because a longer one overlaps them"


@dataclass(frozen=True)
class Lines:
    """What a file holds; `repairs`: a sentence and the ids of the texts that it is true of."""

    sentences: tuple[Sentence, ...]
    bad: tuple[BadInput, ...]
    repairs: dict[str, list[str]]


def has_spans_or_tags(found: Any) -> bool:
    """Whether a value read from JSON is a text with spans, or has tokens with tags."""
    if not isinstance(found, dict):
        return False
    spans, tokens, tags = (_first(found, names) for names in (SPANS, TOKENS, TAGS))
    if isinstance(_first(found, TEXTS), str) and isinstance(spans, list):
        return all(isinstance(one, list | dict) for one in spans)
    return isinstance(tokens, list) and isinstance(tags, list) and len(tokens) == len(tags)


def first_value(content: bytes) -> Any:
    """The first value of a file of JSON lines, or of a list in JSON; None where there is none."""
    text = content.decode(errors="ignore").lstrip()
    if text.startswith("["):
        try:
            values = json.loads(text)
        except ValueError:
            return None
        return values[0] if values else None
    try:
        return json.loads(text.split("\n", 1)[0])
    except ValueError:
        return None


def read_lines(file: Text, *, needs_tags: bool) -> Lines:
    """Every text of a file; one that cannot be read is listed, with its line and why."""
    sentences, bad, repairs = list[Sentence](), list[BadInput](), dict[str, list[str]]()
    for number, value in _values(file):
        where = f"{file.name} line {number}"
        if isinstance(value, ValueError):
            bad.append(BadInput(where, f"not JSON: {value}"))
            continue
        try:
            sentence, repaired = _read(value, where, number, needs_tags=needs_tags)
        except ValueError as error:
            bad.append(BadInput(where, str(error)))
            continue
        if not sentence.starts:
            bad.append(BadInput(where, "a text without words"))
            continue
        sentences.append(sentence)
        for one in repaired:
            repairs.setdefault(one, []).append(where)
    return Lines(tuple(sentences), tuple(bad), repairs)


def _values(file: Text) -> list[tuple[int, Any]]:
    text = file.content.decode()
    if text.lstrip().startswith("["):
        try:
            return list(enumerate(json.loads(text), start=1))
        except ValueError as error:
            return [(1, error)]
    found: list[tuple[int, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                found.append((number, json.loads(line)))
            except ValueError as error:
                found.append((number, error))
    return found


def _read(value: Any, where: str, number: int, *, needs_tags: bool) -> tuple[Sentence, list[str]]:
    """Raises ValueError for what is wrong with it."""
    if not isinstance(value, dict):
        raise ValueError("not an object with a text")  # one kind of fault for the caller
    _check_characters(value)
    text, tokens = _first(value, TEXTS), _first(value, TOKENS)
    spans = _first(value, SPANS)
    if isinstance(text, str) and (isinstance(spans, list) or tokens is None):
        if spans is None and needs_tags:
            raise ValueError(f"no spans: one of the keys {', '.join(SPANS)} was expected")
        return _of_spans(text, spans or [], where, number, has_spans=isinstance(spans, list))
    if not isinstance(tokens, list) or not all(isinstance(one, str) and one.strip() for one in tokens):
        raise ValueError("no text: a key text, or tokens with words, was expected")
    tags = _first(value, TAGS)
    if tags is None and not needs_tags:
        tags = []
    elif not isinstance(tags, list) or len(tags) != len(tokens):
        raise ValueError(f"{len(tokens)} tokens, and not as many tags")
    elif not all(isinstance(one, str) and one for one in tags):
        raise ValueError("tags are numbers or empty: give their names")
    starts, ends, place = list[int](), list[int](), 0
    for token in tokens:
        starts.append(place)
        ends.append(place + len(token))
        place = ends[-1] + 1
    return Sentence(where, " ".join(tokens), starts, ends, tags, number), []


def _check_characters(value: dict[str, Any]) -> None:
    """Raises ValueError for what JSON can hold and a text can not."""
    for text in (_first(value, TEXTS), *(_first(value, TOKENS) or ())):
        if isinstance(text, str) and ("\0" in text or any("\ud800" <= one <= "\udfff" for one in text)):
            raise ValueError("a zero character, or half of a character, in the text")


def _of_spans(
    text: str, given: Any, where: str, number: int, *, has_spans: bool
) -> tuple[Sentence, list[str]]:  # fmt: skip
    repaired: list[str] = []
    if not isinstance(given, list):
        raise ValueError("spans are not a list")
    spans = [_span(one, text) for one in given]
    trimmed = [_trimmed(one, text) for one in spans]
    repaired += [TRIMMED] * (trimmed != spans)
    kept = _without_overlaps(trimmed)
    repaired += [OVERLAPS] * (len(kept) < len(set(trimmed)))
    cuts = {edge for one in kept for edge in (one.start, one.end)}
    places = places_of(text, cuts)
    repaired += [DIVIDED] * (len(places) > len(places_of(text)))
    starts, ends = ([place[side] for place in places] for side in (0, 1))
    tags: list[str] = []
    if has_spans:
        in_tokens = [Span(starts.index(one.start), ends.index(one.end) + 1, one.type) for one in kept]
        tags = as_tags(in_tokens, len(places))
    return Sentence(where, text, starts, ends, tags, number), repaired


def _span(one: Any, text: str) -> Span:
    values: list[Any] = [one.get("start"), one.get("end"), _first(one, TYPES)] if isinstance(one, dict) else [one]
    if isinstance(one, list):
        values = one[:3]
    is_whole = len(values) == 3 and all(isinstance(side, int) and not isinstance(side, bool) for side in values[:2])
    if not is_whole or not isinstance(values[2], str) or not values[2]:
        raise ValueError(f"{json.dumps(one)[:60]} is not a span: [start, end, type] was expected")
    start, end, kind = values
    if not 0 <= start < end <= len(text):
        raise ValueError(f"the span {start} to {end} is not inside the text, which has {len(text)} characters")
    said = one.get("text") if isinstance(one, dict) else None
    if isinstance(said, str) and said != text[start:end]:
        raise ValueError(f"the span {start} to {end} is {text[start:end][:40]!r}, not {said[:40]!r}")
    if not places_of(text[start:end]):
        raise ValueError(f"the span {start} to {end} has no word in it")
    return Span(start, end, kind)


def _trimmed(span: Span, text: str) -> Span:
    inside = text[span.start : span.end]
    return Span(
        span.start + len(inside) - len(inside.lstrip()), span.end - len(inside) + len(inside.rstrip()), span.type
    )


def _without_overlaps(spans: list[Span]) -> list[Span]:
    """In order; of spans that overlap, the longest, and of equal ones the first."""
    kept: list[Span] = []
    for one in sorted(spans, key=lambda one: (one.start - one.end, one.start)):
        if all(one.end <= other.start or other.end <= one.start for other in kept):
            kept.append(one)
    return sorted(kept)


def _first(value: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((value[name] for name in names if value.get(name) is not None), None)
