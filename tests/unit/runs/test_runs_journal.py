"""Journals: every record comes back, a torn end is cut, damage is named."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.errors import ArtefactError
from gnomon.runs import writer
from gnomon.runs.journal import Journal, decode_line, encode_line

RECORDS = [{"step": step, "loss": 1 / (1 + step), "note": 'é, \n and "quotes"'} for step in range(4)]


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(writer.Calls, "fsync", staticmethod(lambda descriptor: None))


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path, "history.jsonl")
    for record in RECORDS:
        journal.append(record)
    return journal


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text().filter(lambda key: key != "crc"), json_values, min_size=1))
def test_any_record_comes_back_from_its_line(record):
    line = encode_line(record)
    assert b"\n" not in line
    assert decode_line(line) == record
    assert json.loads(line)["crc"]  # any reader of JSON lines can use it


@given(st.data())
def test_a_line_with_any_one_bit_flipped_is_rejected(data):
    line = encode_line({"step": 3, "text": "a b"})
    place = data.draw(st.integers(0, len(line) * 8 - 1))
    flipped = bytearray(line)
    flipped[place // 8] ^= 1 << place % 8
    assert decode_line(bytes(flipped)) is None


def test_records_come_back_in_order_and_nan_stays_nan(journal):
    assert journal.read() == RECORDS
    journal.append({"loss": math.nan})
    assert math.isnan(journal.read()[-1]["loss"])


def test_a_journal_never_written_is_empty(tmp_path):
    journal = Journal(tmp_path, "none.jsonl")
    assert journal.read() == []
    assert journal.torn() == ""


@pytest.mark.parametrize("record", [{}, {"crc": 1}])
def test_ambiguous_records_are_refused(journal, record):
    with pytest.raises(ValueError, match="at least one key, and none called 'crc'"):
        journal.append(record)


def test_truncated_at_any_byte_whole_lines_are_kept_and_writing_continues(journal, tmp_path):
    data = (tmp_path / "history.jsonl").read_bytes()
    ends = [number + 1 for number, byte in enumerate(data) if byte == ord("\n")]
    for size in range(len(data) + 1):
        (tmp_path / "torn.jsonl").write_bytes(data[:size])
        torn = Journal(tmp_path, "torn.jsonl")
        whole = sum(end <= size for end in ends)
        assert torn.read() == RECORDS[:whole]
        assert bool(torn.torn()) == (size not in (0, *ends))
        torn.append({"step": 99})
        assert Journal(tmp_path, "torn.jsonl").read() == [*RECORDS[:whole], {"step": 99}]


def test_a_last_line_with_pages_of_zeros_counts_as_torn(journal, tmp_path):
    path = tmp_path / "history.jsonl"
    data = path.read_bytes()
    path.write_bytes(data + encode_line({"step": 4, "text": "x" * 50})[:20] + bytes(30) + b"\n")
    assert Journal(tmp_path, "history.jsonl").read() == RECORDS
    path.write_bytes(data + bytes(30))
    assert Journal(tmp_path, "history.jsonl").read() == RECORDS


@pytest.mark.parametrize("line", range(4))
def test_a_damaged_line_is_named_by_number(journal, tmp_path, line):
    path = tmp_path / "history.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[line] = lines[line].replace(b"loss", b"lost")
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(ArtefactError, match=f"line {line + 1} is damaged"):
        journal.read()


def test_a_changed_newline_is_damage_not_a_torn_line(journal, tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0b")
    with pytest.raises(ArtefactError, match="line 4 is damaged"):
        journal.read()


def test_the_first_records_are_kept_for_a_resume(journal, tmp_path):
    journal.keep_first(2)
    assert journal.read() == RECORDS[:2]
    before = (tmp_path / "history.jsonl").stat()
    journal.keep_first(2)
    assert (tmp_path / "history.jsonl").stat().st_ino == before.st_ino  # nothing to drop, nothing written
    journal.append({"step": 2})
    assert journal.read() == [*RECORDS[:2], {"step": 2}]
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"step":')
    journal.keep_first(3)
    assert journal.torn() == ""
    assert journal.read() == [*RECORDS[:2], {"step": 2}]


def test_missing_records_are_noticed(journal, tmp_path):
    with pytest.raises(ArtefactError, match="has 4 records, but the run wrote 5"):
        journal.keep_first(5)
    (tmp_path / "history.jsonl").unlink()
    with pytest.raises(ArtefactError, match=r"history\.jsonl: has 0 records"):
        journal.keep_first(1)


def test_a_line_nested_too_deeply_is_damage_not_a_crash(tmp_path):
    import zlib

    body = b'{"a":' + b"[" * 200_000 + b"]" * 200_000
    line = body + b',"crc":"%08x"}' % zlib.crc32(body)
    (tmp_path / "deep.jsonl").write_bytes(line + b"\n")
    with pytest.raises(ArtefactError, match="line 1 is damaged"):
        Journal(tmp_path, "deep.jsonl").read()


def test_without_permission_nothing_is_written(tmp_path):
    def refuse():
        raise RuntimeError("not now")

    journal = Journal(tmp_path, "a.jsonl", before_writing=refuse)
    with pytest.raises(RuntimeError, match="not now"):
        journal.append({"a": 1})
    with pytest.raises(RuntimeError, match="not now"):
        journal.keep_first(0)
    assert list(tmp_path.iterdir()) == []
