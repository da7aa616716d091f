"""Plain values are read as the records they should be, and everything else is refused with its place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.errors import ArtefactError
from gnomon.core.plain import DEEPEST, NAN_TOO, Between, Entries, parse_json, read_as


@dataclass(frozen=True)
class Point:
    x: float
    kind: Literal["a", "b"]


class Row(TypedDict):
    name: str
    count: Annotated[int, Between(0, 10)]
    points: tuple[Point, ...]
    pair: tuple[str, int]
    loss: NotRequired[Annotated[float, NAN_TOO]]
    sizes: NotRequired[Annotated[list[int], Entries(1, 2)]]
    more: NotRequired[dict[str, bool | None]]
    value: NotRequired[int | float]
    free: NotRequired[Any]


GOOD: dict[str, Any] = {"name": "n", "count": 3, "points": [{"x": 1, "kind": "a"}], "pair": ["p", 1]}


def read(**changes: Any) -> Any:
    values = {**GOOD, **changes}
    return read_as(Row, {key: value for key, value in values.items() if value is not KeyError}, where="f.json",
                   root="row", fix="restore it.")  # fmt: skip


def test_what_fits_comes_back_as_records():
    assert read() == {"name": "n", "count": 3, "points": (Point(1.0, "a"),), "pair": ("p", 1)}
    assert type(read(value=3)["value"]) is int
    assert read(more={"a": None, "b": True})["more"] == {"a": None, "b": True}
    assert read(points=[{"x": "-inf", "kind": "b"}])["points"][0].x == -math.inf
    assert math.isnan(read(loss="nan")["loss"])
    assert math.isnan(read(loss=math.nan)["loss"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": KeyError}, r"^f\.json: row\.name: the key is missing\. Fix: restore it\.$"),
        ({"extra": 1}, r"row\.extra: unknown key"),
        ({"name": 3}, r"row\.name: 3 is not allowed here, expected text"),
        ({"count": 11}, r"row\.count: 11 is not allowed here, expected a number from 0 to 10"),
        ({"count": -1}, r"row\.count: -1 "),
        ({"count": True}, r"row\.count: True is not allowed here, expected a whole number"),
        ({"count": 1.0}, r"row\.count"),
        ({"count": 10**30}, r"row\.count: 10{29,}0 is not"),
        ({"points": {}}, r"row\.points: \{\} is not allowed here, expected a list"),
        ({"points": [{"x": 1, "kind": "a"}, {"x": 1, "kind": "c"}]}, r"row\.points\[1\]\.kind: 'c' .* one of a, b"),
        ({"points": [{"x": 1, "kind": ["a"]}]}, r"row\.points\[0\]\.kind"),
        ({"points": [{"x": math.nan, "kind": "a"}]}, r"row\.points\[0\]\.x: nan"),
        ({"points": [{"x": 1e200, "kind": "a"}]}, r"row\.points\[0\]\.x: 1e\+200 .* up to 1e\+150"),
        ({"points": [{"x": "1", "kind": "a"}]}, r"row\.points\[0\]\.x: '1' "),
        ({"points": [{"x": 1}]}, r"row\.points\[0\]\.kind: the key is missing"),
        ({"points": [None]}, r"row\.points\[0\]: None .* an object"),
        ({"pair": ["p"]}, r"row\.pair: \['p'\] .* a list of 2"),
        ({"pair": ["p", "q"]}, r"row\.pair\[1\]: 'q'"),
        ({"sizes": []}, r"row\.sizes: \[\] .* at least 1"),
        ({"sizes": [1, 2, 3]}, r"row\.sizes"),
        ({"more": {"a": 1}}, r"row\.more\.a: 1 .* true or false"),
        ({"value": "x"}, r"row\.value: 'x' .* a number"),
        ({"free": {"a": [10**30]}}, r"row\.free\.a\[0\]"),
        ({"name": "x" * 10**6, "count": "x" * 10**6}, r"row\.count: '.{1,100}' is not"),
    ],
)
def test_anything_else_is_refused_with_its_place(changes, told):
    with pytest.raises(ArtefactError, match=told):
        read(**changes)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(plain, st.sampled_from(sorted(Row.__annotations__)))
def test_no_plain_value_in_any_place_is_more_than_refused(value, name):
    for values in (value, {**GOOD, name: value}):
        told = ""
        try:
            found = read_as(Row, values, where="f.json", root="row", fix="restore it.")
        except ArtefactError as error:
            told = error.what
        assert told.startswith("row") if told else found.keys() >= GOOD.keys()
        assert len(told) < 500


def test_json_is_read_to_a_depth_and_no_deeper():
    for depth, fits in ((DEEPEST, True), (DEEPEST + 1, False), (10**6, False)):
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            text = opening * depth + (b"1" if opening != b"[" else b"") + closing * depth
            if fits:
                parse_json(text)
            else:
                with pytest.raises(ValueError, match="nested too deeply"):
                    parse_json(text)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[1,]", b"1" * 5000, b'"\\ud8'])
def test_what_is_no_json_is_told(data):
    with pytest.raises(ValueError, match="is not valid JSON"):
        parse_json(data)


def test_a_name_that_no_text_can_hold_is_shown_escaped():
    """JSON may hold half of a pair; the message must reach a page."""
    with pytest.raises(ArtefactError, match=r"\\ud800") as caught:
        read_as(dict[str, int], parse_json(b'{"\\ud800": "x"}'), where="a.json", root="a", fix="repeat it.")
    assert str(caught.value).encode()
