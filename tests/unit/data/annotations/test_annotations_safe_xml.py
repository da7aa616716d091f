"""XML of strangers: no entities, no external files, bounded depth and size."""

from __future__ import annotations

import pytest

from gnomon.data.annotations.safe_xml import UnsafeXMLError, parse_xml

BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;&x;">]><a>&y;</a>"""


def test_texts_and_elements_come_back() -> None:
    top = parse_xml(b"<?xml version='1.0' encoding='latin-1'?><a><b> one </b><b>\xe9</b><c/></a>")
    assert (top.name, top.text_of("b"), [node.text for node in top.all("b")]) == ("a", "one", [" one ", "\u00e9"])
    assert top.text_of("missing") is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (BOMB, "a document type is declared"),
        (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "a document type is declared"),
        (b"<a>" * 100_000, "nested more than 50 deep"),
        (b"<a><b></a>", "not well-formed XML: mismatched tag: line 1"),
        (b"", "not well-formed XML: no element found"),
        (b"\x00\x01\x02", "not well-formed XML"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "not .* XML: unknown encoding"),
        (b"<a>&undefined;</a>", "not well-formed XML: undefined entity"),
        (b"<a>" + b" " * 20_000_000 + b"</a>", "20,000,007 bytes, more than 20,000,000"),
    ],
)
def test_what_could_hurt_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(UnsafeXMLError, match=why):
        parse_xml(content)
