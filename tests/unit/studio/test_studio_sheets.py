"""The error sheet: what passes a filter, what tags amount to, and that two who tag see each other."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.runs.tags import TagEvent, TagStore
from gnomon.studio.sheets import Filter, LiveSheet
from gnomon.workflow.sheet import open_sheet


@pytest.fixture
def live(planted):
    return LiveSheet(open_sheet(planted), TagStore(planted.path))


def record(live, positions, tag="dog", value="1", who="ann"):
    live.record([TagEvent("dev", live.sheet.ids[p], "tag", tag, value) for p in positions], who)


def share(live, name):
    return next(one for one in live.counts().mine if one.name == name)


def test_the_sheet_lists_every_error_once_in_a_fixed_random_order(live, planted):
    positions = live.positions(Filter())
    wrong = np.flatnonzero(live.sheet.table["error"].to_numpy() > 0)
    assert sorted(positions) == wrong.tolist()
    assert positions.tolist() != wrong.tolist()
    assert LiveSheet(open_sheet(planted), TagStore(planted.path)).positions(Filter()).tolist() == positions.tolist()


def test_each_filter_shows_what_it_says(live):
    table = live.sheet.table
    assert len(live.positions(Filter(show="all"))) == 300
    assert len(live.positions(Filter(show="right"))) == 270
    cells = live.positions(Filter(target="cat", prediction="dog"))
    assert len(cells)
    assert set(table["target"].gather(cells)) == {"cat"}
    assert (
        table["confidence"].gather(live.positions(Filter(show="all", low=0.6, high=0.7))).is_between(0.6, 0.7)
    ).all()
    assert len(live.positions(Filter(show="all", text="/00000"))) == 10
    sure = table["confidence"].gather(live.positions(Filter(order="sure"))).to_list()
    assert sure == sorted(sure, reverse=True)


def test_a_filter_by_tag_includes_human_and_automatic_tags(live):
    live.record([TagEvent("", "", "new", "dog")], "ann")
    first = live.positions(Filter())[:3]
    record(live, first)
    assert sorted(live.positions(Filter(tags=("dog",)))) == sorted(first)
    assert set(live.sheet.table["tag.camera"].gather(live.positions(Filter(tags=("camera: phone",))))) == {"phone"}
    assert len(live.positions(Filter(tags=("nobody made this",)))) == 0


def test_counts_move_as_one_tags(live):
    live.record([TagEvent("", "", "new", "dog")], "ann")
    order = live.positions(Filter())
    record(live, order[:2])
    live.record([TagEvent("dev", live.sheet.ids[p], "look") for p in order[2:10]], "ann")
    found = share(live, "dog")
    assert (found.tagged, found.reviewed, found.errors) == (2, 10, 30)
    assert found.share.value == pytest.approx(0.2)
    assert found.left.value == pytest.approx(0.08)  # of the 10 % planted
    assert found.share.low < 0.2 < found.share.high


def test_rows_reviewed_before_a_tag_began_are_not_reviewed_for_it(live):
    order = live.positions(Filter())
    live.record([TagEvent("dev", live.sheet.ids[p], "look") for p in order[:10]], "ann")
    live.record([TagEvent("", "", "new", "dog")], "ann")
    assert live.counts().not_yet == ("dog",)
    record(live, order[10:11])
    assert share(live, "dog").reviewed == 1
    assert share(live, "label wrong").reviewed == 11


def test_undo_restores_the_counts(live):
    live.record([TagEvent("", "", "new", "dog")], "ann")
    order = live.positions(Filter())
    record(live, order[:3])
    before = share(live, "dog")
    record(live, order[3:4])
    assert live.undo("ann") == [order[3]]
    assert share(live, "dog") == before


def test_two_people_tagging_the_same_sheet_see_each_other(live, planted):
    other = LiveSheet(open_sheet(planted), TagStore(planted.path))
    here = other.seq
    live.record([TagEvent("", "", "new", "dog")], "ann")
    position = int(live.positions(Filter())[0])
    record(live, [position])
    other.refresh()
    assert other.changed_since(here) == [position]
    assert other.rows([position])[0].mine == ("dog",)
    record(other, [position], value="0", who="bob")
    live.refresh()
    assert live.rows([position])[0].mine == ()


def test_keys_are_given_to_tags_in_order_of_creation(live):
    live.record([TagEvent("", "", "new", name) for name in ("dog", "blurred")], "ann")
    assert live.keys == {"dog": "1", "blurred": "2", "label wrong": "w"}


def test_no_two_tags_share_a_key_and_none_has_a_reserved_key(live):
    live.record([TagEvent("", "", "new", f"tag {number}") for number in range(40)], "ann")
    assert live.keys["tag 9"] == "0"
    assert len(set(live.keys.values())) == len(live.keys)
    assert not set(live.keys.values()) & set("cgjknux /?[]")
    assert len(live.counts().not_yet) == 41  # those without a key are there as well


@pytest.mark.parametrize(
    "query",
    [
        {"page": ["-1"]},
        {"page": ["9" * 400]},
        {"page": ["²"]},
        {"low": ["nan"]},
        {"low": ["1e999"]},
        {"order": ["x"]},
        {"show": [""]},
    ],
)
def test_invalid_values_are_ignored(query, live):
    wanted = Filter.of(query)
    assert (wanted.low, wanted.order, wanted.show) == (None, "random", "errors")
    assert len(live.positions(wanted)) == 30


def test_a_filter_survives_its_own_link():
    wanted = Filter(show="all", order="sure", target="a&b=c", tags=("x y", "ü"), low=0.25, high=0.5, text="?#")
    values: dict[str, list[str]] = {}
    for key, value in wanted.parameters:
        values.setdefault(key, []).append(value)
    assert Filter.of(values) == wanted
