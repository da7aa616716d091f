"""What people say about examples: the last word wins, history stays, undo takes back one's own, nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from gnomon.core.errors import ArtefactError, GnomonError, MachineError
from gnomon.runs import tags
from gnomon.runs.tags import MAX_TEXT, TagEvent, TagStore, is_sound


@pytest.fixture
def store(tmp_path):
    return TagStore(tmp_path)


def tagged(example: str, tag: str = "dog", value: str = "1") -> TagEvent:
    return TagEvent("dev", example, "tag", tag, value)


def words(store, split="dev"):
    return {(one.event.example, one.event.kind, one.event.tag): one.event.value for one in store.current(split)}


def test_reading_a_missing_file_does_not_create_it(store, tmp_path):
    assert (store.tags(), store.current("dev"), store.since(0)) == ({}, [], (0, []))
    assert list(tmp_path.iterdir()) == []


def test_the_last_event_wins_and_the_history_has_all(store):
    store.record([tagged("a", value="1")], "ann")
    store.record([tagged("a", value="0")], "bob")
    assert words(store) == {("a", "tag", "dog"): "0"}
    assert [(each["who"], each["value"]) for each in store.history("dev", "a")] == [("ann", "1"), ("bob", "0")]


def test_undo_reverts_ones_own_last_event_and_not_that_of_others(store):
    store.record([tagged("a", value="1")], "ann")
    store.record([tagged("a", value="0")], "bob")
    assert [one.example for one in store.undo("ann")] == ["a"]
    assert words(store) == {("a", "tag", "dog"): "0"}
    store.undo("bob")
    assert words(store) == {}
    assert store.undo("bob") == []
    assert [each["undone"] for each in store.history("dev", "a") if each["kind"] == "tag"] == [1, 1]


def test_events_recorded_together_are_undone_together(store):
    store.record([tagged("a"), tagged("b"), TagEvent("dev", "c", "look")], "ann")
    store.record([TagEvent("dev", "d", "look")], "ann")
    store.undo("ann")
    assert {key[0] for key in words(store)} == {"a", "b", "c"}
    store.undo("ann")
    assert words(store) == {}


def test_undo_of_a_change_brings_back_what_was_before(store):
    store.record([TagEvent("dev", "a", "comment", "", "first")], "ann")
    store.record([TagEvent("dev", "a", "comment", "", "second")], "ann")
    store.undo("ann")
    assert words(store) == {("a", "comment", ""): "first"}


def test_tags_begin_where_they_were_created_and_can_end_and_return(store):
    store.record([TagEvent("dev", "a", "look")], "ann")
    store.record([TagEvent("", "", "new", "dog")], "ann")
    assert store.tags() == {"dog": 2}
    store.record([TagEvent("", "", "drop", "dog")], "ann")
    assert store.tags() == {}
    store.undo("ann")
    assert store.tags() == {"dog": 2}


def test_other_readers_get_what_changed_since(store):
    store.record([tagged("a")], "ann")
    here, _ = store.since(0)
    store.record([tagged("b")], "bob")
    store.undo("ann")
    newest, changed = store.since(here)
    assert sorted(changed) == [("dev", "a"), ("dev", "b")]
    assert store.since(newest)[1] == []


def test_splits_do_not_mix(store):
    store.record([tagged("a"), TagEvent("train", "a", "look")], "ann")
    assert set(words(store)) == {("a", "tag", "dog")}
    assert set(words(store, "train")) == {("a", "look", "")}


def test_any_text_comes_back_unchanged(store):
    odd = ["", "a\0b", "'; DROP TABLE events; --", "\u202eevil", "x" * 300, "\n\t", "😀"]
    store.record([tagged(one) for one in odd], "ann")
    assert {key[0] for key in words(store)} == set(odd)


def test_a_text_without_end_is_refused(store):
    with pytest.raises(ValueError, match="2,000 characters"):
        store.record([TagEvent("dev", "a", "comment", "", "x" * (MAX_TEXT + 1))], "ann")


def test_a_file_that_is_not_a_tags_file_is_refused(store, tmp_path):
    (tmp_path / "tags.sqlite").write_bytes(b"this is not a database, and is long enough to be looked at" * 20)
    with pytest.raises(ArtefactError, match="not a file of tags"):
        store.tags()


def test_a_file_of_a_later_gnomon_is_refused(store, tmp_path):
    with sqlite3.connect(tmp_path / "tags.sqlite") as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(ArtefactError, match="format 2; this gnomon reads format 1"):
        store.tags()


def test_a_link_in_its_place_is_refused(store, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    TagStore(other).record([tagged("a")], "ann")
    (tmp_path / "tags.sqlite").symlink_to(other / "tags.sqlite")
    with pytest.raises(GnomonError, match="link"):
        store.record([tagged("b")], "ann")


def test_a_file_that_vanishes_is_missed_and_one_put_back_is_used(store, tmp_path):
    store.record([tagged("a")], "ann")
    for path in tmp_path.glob("tags.sqlite*"):
        path.rename(path.with_name("kept-" + path.name))
    with pytest.raises(MachineError, match="has disappeared"):
        store.record([tagged("b")], "ann")
    for path in tmp_path.glob("kept-*"):
        path.rename(path.with_name(path.name.removeprefix("kept-")))
    store.record([tagged("c")], "ann")
    assert {key[0] for key in words(store)} == {"a", "c"}


def test_an_undo_that_meets_another_writer_waits_for_it(store, tmp_path):
    # a transaction that reads first and then wants to write fails at once, however long it may wait for a lock
    store.record([tagged("a")], "ann")
    other = sqlite3.connect(tmp_path / "tags.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO events (batch, at, who, split, example, kind, tag, value) "
                  "VALUES ('x', '', 'bob', 'dev', 'b', 'look', '', '')")  # fmt: skip
    threading.Timer(0.5, lambda: other.execute("COMMIT")).start()
    assert [one.example for one in store.undo("ann")] == ["a"]
    other.close()
    assert {key[0] for key in words(store)} == {"b"}


WRITER = """
import sys
from pathlib import Path
from gnomon.runs.tags import TagEvent, TagStore
folder, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = TagStore(folder)
for number in range(count):
    store.record([TagEvent("dev", f"{who} {number}", "tag", "dog", "1")], who)
"""


def writers(folder, number, count):
    """Processes that begin at once, each with `count` tags to write."""
    return [subprocess.Popen([sys.executable, "-c", WRITER, str(folder), f"w{i}", str(count)]) for i in range(number)]


def test_four_processes_starting_at_once_lose_nothing(tmp_path):
    assert [each.wait(60) for each in writers(tmp_path, 4, 50)] == [0] * 4
    assert len(words(TagStore(tmp_path))) == 200


@pytest.mark.slow
def test_sixteen_writers_of_a_thousand_tags_lose_none_and_wait_for_each_other(tmp_path):
    assert [each.wait(280) for each in writers(tmp_path, 16, 1000)] == [0] * 16  # no "database is locked"
    store = TagStore(tmp_path)
    assert len(words(store)) == 16_000
    assert store.since(0)[0] == 16_000
    assert is_sound(store.path)


def test_a_killed_writer_leaves_an_intact_file_with_all_it_had_acknowledged(tmp_path):
    (writer,) = writers(tmp_path, 1, 10**6)
    end = time.monotonic() + 30
    while TagStore(tmp_path).since(0)[0] < 20 and time.monotonic() < end:
        time.sleep(0.01)
    writer.kill()
    writer.wait(10)
    found = words(TagStore(tmp_path))
    assert len(found) >= 20
    assert {key[0] for key in found} == {f"w0 {number}" for number in range(len(found))}
    assert is_sound(tmp_path / "tags.sqlite")


# --- files that are none of ours --------------------------------------------------------------------------------------
def spoilt(folder, *statements):
    """A file of tags after somebody else's program was at it."""
    TagStore(folder).record([tagged("a")], "ann")
    with closing(sqlite3.connect(folder / "tags.sqlite")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return TagStore(folder)


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"
COLUMNS = "x AS seq, '' AS batch, '' AS at, '' AS who, 'dev' AS split, 'a' AS example, 'tag' AS kind, '' AS tag, "
FOREIGN = {
    "a view that never ends": ["ALTER TABLE events RENAME TO old",
                               f"CREATE VIEW events AS {ENDLESS} {COLUMNS} '1' AS value, 0 AS undone FROM n"],
    "a view beside it": ["CREATE VIEW more AS SELECT 1"],
    "a trigger": ["CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM events; END"],
    "another table": ["CREATE TABLE other (a)"],
    "a column more": ["ALTER TABLE events ADD COLUMN more"],
    "a computed column": ["ALTER TABLE events ADD COLUMN more AS (1)"],
    "a column less": ["DROP INDEX by_who", "ALTER TABLE events DROP COLUMN who"],
    "no table": ["DROP TABLE events"],
    "another version": ["PRAGMA user_version = -7"],
    "an older program's": ["PRAGMA user_version = 0"],
}  # fmt: skip
CELLS = ["tag = x'ff00'", "value = x'ff'", "value = CAST(x'ff80' AS TEXT)", "example = x'61'",
         "tag = zeroblob(2000000)", "value = printf('%2000000d', 1)"]  # fmt: skip


@pytest.mark.parametrize("statements", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_holds_more_than_our_table_is_refused_before_it_runs_anything(tmp_path, statements):
    store, start = spoilt(tmp_path, *statements), time.monotonic()
    for use in (store.tags, lambda: store.current("dev"), lambda: store.record([tagged("b")], "ann"),
                lambda: store.undo("ann")):  # fmt: skip
        with pytest.raises(ArtefactError, match=r"is not a file of tags \(.*\)") as told:
            use()
        assert told.value.where == str(tmp_path / "tags.sqlite")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_of_another_type_or_size_is_named_and_not_shown(tmp_path, cell):
    store = spoilt(tmp_path, f"UPDATE events SET {cell}")
    with pytest.raises(ArtefactError, match=r"is not a file of tags \("):
        store.current("dev")
    with pytest.raises(ArtefactError, match=r"is not a file of tags \("):
        store.since(0), store.history("dev", "a")


def test_a_text_in_place_of_a_position_is_named(tmp_path):
    store = spoilt(tmp_path, "UPDATE events SET undone = 'no', kind = 'tag'")
    with pytest.raises(ArtefactError, match="a undone is a text"):
        store.history("dev", "a")


def test_work_that_does_not_finish_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(tags, "LONGEST", 0.3)
    store, start = spoilt(tmp_path), time.monotonic()
    with pytest.raises(ArtefactError, match=r"takes more than 0\.3 s to read"), store._reading() as connection:
        connection.execute(f"{ENDLESS} x FROM n WHERE x < 0").fetchall()
    assert time.monotonic() - start < 3
    assert words(store) == {("a", "tag", "dog"): "1"}


def test_connections_are_closed_with_the_store_and_as_many_as_threads_at_once_before(tmp_path):
    store = TagStore(tmp_path)
    threads = [threading.Thread(target=store.record, args=([tagged(str(n))], "ann")) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(words(store)) == 20
    open_files = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
                  if os.path.lexists(f"/proc/self/fd/{name}")]  # fmt: skip
    assert str(tmp_path / "tags.sqlite") in open_files
    del store
    open_files = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
                  if os.path.lexists(f"/proc/self/fd/{name}")]  # fmt: skip
    assert str(tmp_path / "tags.sqlite") not in open_files


def test_the_last_cost_of_a_tag_counts_and_can_be_undone(tmp_path):
    store = TagStore(tmp_path)
    assert store.costs() == {}
    store.record([TagEvent("", "", "cost", "dog", "3")], "anna")
    store.record([TagEvent("", "", "cost", "dog", "0.5"), TagEvent("", "", "cost", "blurred", "2")], "ben")
    assert store.costs() == {"dog": 0.5, "blurred": 2.0}
    assert store.tags() == {}  # a cost makes no tag
    store.undo("ben")
    assert store.costs() == {"dog": 3.0}


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "many", "1e9"])
def test_a_cost_that_is_none_is_a_damaged_file(tmp_path, value):
    store = TagStore(tmp_path)
    store.record([TagEvent("", "", "cost", "dog", value)], "anna")
    with pytest.raises(ArtefactError, match="a cost is"):
        store.costs()
