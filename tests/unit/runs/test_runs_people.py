"""People on disk: nothing is lost, nothing is half there, nothing stays of who was removed."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gnomon.core.errors import ArtefactError, BusyError, UsageError
from gnomon.runs import people, writer
from gnomon.runs.lock import RunLock
from gnomon.runs.people import Encodings, PeopleFolder

SIZE = 8
HERE = Path(__file__).parent


def pictures(*rows: tuple[str, str]) -> Encodings:
    """(name, content of the picture) each; the same content has the same vector."""
    vectors = []
    for _, content in rows:
        values = np.random.default_rng(list(content.encode())).normal(size=SIZE)
        vectors.append(values / np.linalg.norm(values))
    names, contents = [name for name, _ in rows], [content for _, content in rows]
    return Encodings.of(names, [f"{one}.png" for one in contents], contents, np.array(vectors, np.float32))


def folder(path: Path, fingerprint: str = "net") -> PeopleFolder:
    return PeopleFolder(path / "people", fingerprint, SIZE)


def check_same(found: Encodings, expected: Encodings) -> None:
    assert found.table.equals(expected.table)
    np.testing.assert_array_equal(found.vectors, expected.vectors)


@pytest.mark.parametrize("most", [0, 3, 4096])  # always a new part; now and then; never
def test_what_was_added_is_read_back_in_its_order(tmp_path, monkeypatch, most):
    monkeypatch.setattr(people, "MOST_ADDED", most)
    here = folder(tmp_path)
    assert len(here.load()) == 0
    here.add(pictures(("anna", "a"), ("anna", "b")))
    here.add(pictures(("bob", "c")))
    done = here.add(pictures(("anna", "d"), ("cleo", "e")))
    assert (done.pictures, done.people, len(done.added)) == (5, 3, 2)
    check_same(
        here.load(), pictures(("anna", "a"), ("anna", "b"), ("bob", "c"), ("anna", "d"), ("cleo", "e"))
    )  # fmt: skip


@pytest.mark.parametrize("most", [0, 4096])
def test_nothing_of_who_was_removed_stays_on_the_disk(tmp_path, monkeypatch, most):
    monkeypatch.setattr(people, "MOST_ADDED", most)
    here = folder(tmp_path)
    everybody = pictures(("anna", "a"), ("bob", "secret"), ("bob", "b"))
    here.add(everybody)
    gone = base64.b64encode(everybody.vectors[1].tobytes()), everybody.vectors[1].tobytes(), b"secret"
    held = b"".join(path.read_bytes() for path in here.path.rglob("*") if path.is_file())
    assert any(one in held for one in gone[:2])
    done = here.remove("bob")
    assert (done.removed, done.pictures, done.people) == (2, 1, 1)
    check_same(here.load(), pictures(("anna", "a")))
    held = b"".join(path.read_bytes() for path in here.path.rglob("*") if path.is_file())
    assert not any(one in held for one in gone)
    here.remove("anna")
    assert len(here.load()) == 0
    here.add(pictures(("bob", "secret")))
    check_same(here.load(), pictures(("bob", "secret")))


def test_a_picture_is_kept_once_and_under_one_name(tmp_path):
    here = folder(tmp_path)
    here.add(pictures(("anna", "a")))
    done = here.add(pictures(("anna", "a"), ("anna", "b"), ("anna", "b")))
    assert done.added["sha256"].to_list() == ["b"]
    assert done.known["sha256"].to_list() == ["a", "b"]
    before = here.load()
    with pytest.raises(
        UsageError, match=r"a\.png is given as bob, and the same picture as anna\. Fix: leave the wrong"
    ):
        here.add(pictures(("cleo", "c"), ("bob", "a")))
    with pytest.raises(UsageError, match=r"d\.png is given as eve, and the same picture as dora\."):
        here.add(pictures(("dora", "d"), ("eve", "d")))
    check_same(here.load(), before)  # nobody of a refused call is added


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    here = folder(tmp_path)
    with pytest.raises(UsageError, match=r"nobody here is called anna\. Fix: the folder has nobody\."):
        here.remove("anna")
    here.add(pictures(("anna", "a"), ("bob", "b")))
    with pytest.raises(UsageError, match=r"nobody here is called ana\. Fix: did you mean remove=anna\?"):
        here.remove("ana")
    with pytest.raises(UsageError, match=r"Fix: the folder has 2 names, such as anna\."):
        here.remove("zacharias")


def test_the_people_of_another_encoder_are_refused(tmp_path):
    folder(tmp_path).add(pictures(("anna", "a")))
    other = folder(tmp_path, "another net")
    for call in (other.load, lambda: other.add(pictures(("bob", "b"))), lambda: other.remove("anna")):
        with pytest.raises(UsageError, match="enrolled with another run"):
            call()
    check_same(folder(tmp_path).load(), pictures(("anna", "a")))


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "anna.jpg").write_bytes(b"a photo")
    with pytest.raises(UsageError, match=r"holds other files \(anna\.jpg\)"):
        folder(tmp_path).add(pictures(("anna", "a")))
    assert [one.name for one in (tmp_path / "people").iterdir()] == ["anna.jpg"]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="is a file"):
        PeopleFolder(tmp_path / "file", "net", SIZE).load()


@pytest.mark.parametrize("name", ["", " ", "anna ", "an\nna", "x" * 201, "nobody"])
def test_odd_names_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match="cannot be a person's name"):
        folder(tmp_path).add(pictures((name, "a")))


def test_damage_is_told(tmp_path, monkeypatch):
    here = folder(tmp_path)
    here.add(pictures(("anna", "a")))
    header = here.path / people.HEADER
    whole = header.read_bytes()
    writer.write_bytes(header, whole.replace(b"net", b"ten"))
    with pytest.raises(ArtefactError, match="does not match its own checksum"):
        here.load()
    plain = {key: value for key, value in json.loads(whole).items() if key != "seal"}
    writer.write_bytes(header, people.encode_sealed({**plain, "format": 2}))
    with pytest.raises(ArtefactError, match="has format 2; this gnomon reads format 1"):
        here.load()
    writer.write_bytes(header, whole)
    monkeypatch.setattr(people, "MOST_ADDED", 0)
    here.add(pictures(("bob", "b")))
    vectors = here.path / "encodings-1" / people.VECTORS
    writer.write_bytes(vectors, vectors.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtefactError, match=r"vectors\.f32: is damaged"):
        here.load()


def test_an_encoding_of_another_length_is_told(tmp_path):
    here = folder(tmp_path)
    here.add(pictures(("anna", "a")))
    line = {"name": "bob", "picture": "b.png", "sha256": "b", "vector": base64.b64encode(bytes(32)).decode()}
    people.Journal(here.path, "added-0.jsonl").append({"added": [line]})
    with pytest.raises(ArtefactError, match=r"added-0\.jsonl: has an encoding that is none"):
        here.load()


def test_who_waits_too_long_for_another_process_is_told(tmp_path, monkeypatch):
    here = folder(tmp_path)
    here.add(pictures(("anna", "a")))
    monkeypatch.setattr(people, "PATIENCE", 0.1)
    with RunLock(here.path / people.LOCK):
        with pytest.raises(BusyError, match="is in use by process"):
            here.add(pictures(("bob", "b")))
        check_same(here.load(), pictures(("anna", "a")))  # readers need no lock


def test_a_reader_that_a_new_part_overtakes_reads_again(tmp_path, monkeypatch):
    here = folder(tmp_path)
    here.add(pictures(("anna", "a")))
    read, calls = PeopleFolder._read, []

    def overtaken(self, header):
        calls.append(header["part"])
        if len(calls) == 1:
            other = folder(tmp_path)
            monkeypatch.setattr(PeopleFolder, "_read", read)
            other.add(pictures(("bob", "b")))
            other.remove("anna")
            monkeypatch.setattr(PeopleFolder, "_read", overtaken)
        return read(self, header)

    monkeypatch.setattr(PeopleFolder, "_read", overtaken)
    check_same(here.load(), pictures(("bob", "b")))
    assert calls == [0, 1]


# --- several processes, and killed ones -------------------------------------------------------------------------------
ADDS = """
import sys, importlib.util
from pathlib import Path
from gnomon.runs import people
spec = importlib.util.spec_from_file_location("same", sys.argv[1])
same = importlib.util.module_from_spec(spec); spec.loader.exec_module(same)
people.MOST_ADDED = 7
here = same.folder(Path(sys.argv[2]))
print("ready", flush=True)
for number in range(int(sys.argv[4])):
    name = f"{sys.argv[3]}-{number}"
    here.add(same.pictures((name, name + "a"), (name, name + "b")))
    print("added", name, flush=True)
    if number % 5 == 4:
        print("removing", name, flush=True)
        here.remove(name)
        print("removed", name, flush=True)
"""


def started(path: Path, who: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ADDS, str(HERE / "test_runs_people.py"), str(path), who, str(count)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def said(output: str, word: str) -> set[str]:
    return {line.split()[1] for line in output.splitlines() if line.startswith(f"{word} ")}


def check_whole(found: Encodings) -> set[str]:
    """Each has both pictures, with the vectors that belong to them; the names."""
    names = found.table["name"].to_list()
    assert sorted(names) == sorted(2 * sorted(set(names)))
    expected = pictures(*found.table.select("name", "sha256").iter_rows())
    check_same(found, expected)
    return set(names)


def test_four_processes_that_enrol_and_remove_at_once_lose_nothing(tmp_path):
    processes = [started(tmp_path, who, 15) for who in "abcd"]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    expected = {f"{who}-{number}" for who in "abcd" for number in range(15) if number % 5 != 4}
    assert check_whole(folder(tmp_path).load()) == expected
    assert set().union(*(said(one, "added") - said(one, "removed") for one in outputs)) == expected


def test_killed_while_enrolling_what_was_said_to_be_there_is_there(tmp_path):
    draw, there, gone = random.Random(0), set[str](), set[str]()
    for turn in range(12):
        process = started(tmp_path, f"turn{turn}", 400)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(draw.uniform(0.0, 0.25))
        process.kill()
        output = process.communicate(timeout=60)[0]
        found = check_whole(folder(tmp_path).load())
        there |= said(output, "added") - said(output, "removing")
        gone |= said(output, "removed")
        assert there <= found
        assert not gone & found
        started_last = found - there  # the call that the kill cut short, or a removal that had just begun
        assert len(started_last - said(output, "removing")) <= turn + 1
    assert len(there) > 12
    done = folder(tmp_path).add(pictures(("last", "lasta"), ("last", "lastb")))
    assert done.people == len(check_whole(folder(tmp_path).load()))
    names = {one.name for one in (tmp_path / "people").iterdir()}
    assert len(names) <= 4  # people.json, lock, one part, one journal: nothing stays of those that were killed
