"""XML without its dangers: no document type, so no entities to expand; bounded in size and depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final
from xml.parsers import expat

MOST_BYTES = 20_000_000
MOST_DEPTH = 50


class UnsafeXMLError(Exception):
    """XML that is damaged or refused; `why` says so in a few words."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


@final
@dataclass(slots=True)
class Node:
    """One element, with the text directly inside it."""

    name: str
    text: str = ""
    inside: list[Node] = field(default_factory=list)

    def all(self, name: str) -> list[Node]:
        return [node for node in self.inside if node.name == name]

    def first(self, name: str) -> Node | None:
        return next((node for node in self.inside if node.name == name), None)

    def text_of(self, name: str) -> str | None:
        """The text of the first element of that name directly inside; None where there is none."""
        node = self.first(name)
        return None if node is None else node.text.strip()


def parse_xml(content: bytes) -> Node:
    """The outermost element. Raises UnsafeXMLError."""
    if len(content) > MOST_BYTES:
        raise UnsafeXMLError(f"{len(content):,} bytes, more than {MOST_BYTES:,}")
    parser = expat.ParserCreate()
    top = Node("")
    path = [top]

    def start(name: str, _attributes: dict[str, str]) -> None:
        if len(path) > MOST_DEPTH:
            raise UnsafeXMLError(f"elements nested more than {MOST_DEPTH} deep")
        node = Node(name)
        path[-1].inside.append(node)
        path.append(node)

    def end(_name: str) -> None:
        path.pop()

    def text(data: str) -> None:
        path[-1].text += data

    def refuse(*_: Any) -> Any:
        raise UnsafeXMLError("a document type is declared, which may hold a bomb of entities: refused")

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = refuse  # entities can be declared nowhere else
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise UnsafeXMLError(f"not well-formed XML: {error}") from None
    except (LookupError, ValueError) as error:  # an encoding that Python does not know
        raise UnsafeXMLError(f"not readable XML: {error}") from None
    return top.inside[0]
