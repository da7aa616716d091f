"""Whatever a name holds, it is text on the page: sixty payloads in every place where a user's text is shown."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from gnomon.core.parts import View
from gnomon.figures.text import label, visible
from gnomon.report import page
from gnomon.report.record import Mistake

MARKER = "qzq"
LIMITS = (30, 40, 60, 80, 120, 200, 300, 400)  # characters that some place of the page cuts a name to


class Skeleton(HTMLParser):
    """Elements with the names of their attributes, in order; texts and attribute values beside them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, ...]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, *(name for name, _ in attributes)))
        self.texts += [value or "" for name, value in attributes if name in ("content", "alt", "title")]

    def handle_endtag(self, tag):
        self.elements.append((f"/{tag}",))

    def handle_comment(self, comment):
        self.elements.append(("comment", comment))

    def handle_decl(self, declaration):
        self.elements.append(("declaration", declaration))

    def handle_data(self, text):
        self.texts.append(text)


def numbered(samples, text: str):
    """A record with `text` and a number in every place, and the number of each place."""
    places: dict[str, int] = {}

    def at(path: str) -> str:
        return f"{text}{places.setdefault(path, len(places))}."

    record = samples.planted(samples.record(), at)
    return record, places


def test_every_text_of_a_record_is_shown_somewhere(samples, drawn):
    record, places = numbered(samples, MARKER)
    shown = "\n".join(Skeleton(page.write(record, drawn)).texts)
    hidden = {path for path, number in places.items() if f"{MARKER}{number}." not in shown}
    assert hidden == set()


@pytest.fixture(scope="module")
def harmless(samples, drawn) -> Skeleton:
    return Skeleton(page.write(numbered(samples, MARKER)[0], drawn))


def test_payloads_are_sixty_and_different(payloads):
    assert len(set(payloads)) == 60


@pytest.mark.parametrize("number", range(60))
def test_a_payload_is_text_in_every_place(samples, payloads, harmless, drawn, number):
    payload = payloads[number]
    attacked = Skeleton(page.write(numbered(samples, payload)[0], drawn))
    assert attacked.elements == harmless.elements
    assert len(attacked.texts) == len(harmless.texts)
    for expected, found in zip(harmless.texts, attacked.texts, strict=True):
        assert re.fullmatch(_pattern(expected, payload), found, re.DOTALL), (expected, found)


def _pattern(expected: str, payload: str) -> str:
    """The harmless text, with the payload, whole or cut as some place cuts a name, where a name was planted."""
    pieces = re.split(rf"({MARKER}\d+\.)", expected)
    return "".join(re.escape(piece) if place % 2 == 0 else _forms(piece.replace(MARKER, payload))
                   for place, piece in enumerate(pieces))  # fmt: skip


def _forms(name: str) -> str:
    forms = {visible(name), visible(name, keep="\n"), *(label(name, limit) for limit in LIMITS)}
    return f"(?:{'|'.join(map(re.escape, forms))})"


def test_marked_texts_and_the_types_of_their_spans_are_text(samples, payloads, drawn):
    def page_with(texts) -> Skeleton:
        views = [View(text=f"in {text} by", spans=[(3, 3 + len(text), text)]) for text in texts]
        mistakes = [Mistake(f"line {n}", view, "", "", 1.0, answer=view) for n, view in enumerate(views)]
        return Skeleton(page.write(samples.record(mistakes=tuple(mistakes)), drawn))

    for start in range(0, len(payloads), 20):
        some = payloads[start : start + 20]
        harmless, attacked = page_with([MARKER] * len(some)), page_with(some)
        assert harmless.elements.count(("mark",)) == 2 * len(some)
        assert attacked.elements == harmless.elements
    assert any(visible(payloads[-1])[:10] in text for text in attacked.texts)


def test_characters_that_hide_or_reorder_are_escaped(samples, drawn):
    nasty = "a\x00b\x1b[31mc\u202ed\udcffe\ufffff\u2028g\x7f"
    html = page.write(numbered(samples, nasty)[0], drawn)
    html.encode("utf-8")  # no lone surrogate
    for char in "\x00\x1b\u202e\udcff\uffff\u2028\x7f":
        assert char not in html
    assert r"a\x00b\x1b[31mc\u202ed\udcffe\ufffff\u2028g\x7f" in html


def test_an_empty_name_is_shown_as_empty(samples, drawn):
    nameless = dataclasses.replace(samples.record().slices["class"][0], value="")
    html = page.write(samples.record(slices={"class": [nameless]}), drawn)
    assert '<th scope="row">(empty)</th>' in html
