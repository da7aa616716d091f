"""People enrolled, identified and verified with a run: what is answered, how sure, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gnomon
from gnomon import tasks
from gnomon.cli import main
from gnomon.core.errors import DataError, MachineError, UsageError
from gnomon.nn.nearest import Nearest
from gnomon.training import approximate
from gnomon.training.approximate import ApproximateNearest
from gnomon.workflow.people import Recogniser
from gnomon.workflow.picture_vectors import picture_vectors

FEW = {"task": "verification", "epochs": 2, "channels": "4,8", "threads": 1}


@pytest.fixture(scope="module")
def writers(tmp_path_factory) -> Path:
    return tasks.load("verification").reader.write_sample(tmp_path_factory.mktemp("people") / "writers", seed=3)


@pytest.fixture(scope="module")
def run(writers, tmp_path_factory):
    return gnomon.fit(writers, runs_folder=str(tmp_path_factory.mktemp("runs")), **FEW)


def picture(writers: Path, person: int, number: int) -> str:
    return str(writers / f"writer {person}" / f"{number}.png")


def test_who_is_enrolled_with_one_picture_is_found_on_another(run, writers, tmp_path):
    for person in range(3):
        gnomon.enrol(run, tmp_path / "people", picture(writers, person, 0), name=f"w{person}")
    asked = [picture(writers, person, 1) for person in range(3)]
    found = gnomon.identify(run, tmp_path / "people", asked)
    known = picture_vectors(run, [picture(writers, person, 0) for person in range(3)]).vectors.astype(float)
    new = picture_vectors(run, asked).vectors.astype(float)
    apart = np.square(new[:, None] - known[None]).sum(axis=2)
    np.testing.assert_allclose(found.table["distance"], apart.min(axis=1), rtol=1e-5)  # float32
    assert found.table["nearest"].to_list() == [f"w{place}" for place in apart.argmin(axis=1)]
    judge = run.task.judge
    odds = np.exp(judge.slope * (judge.threshold - apart.min(axis=1))) / 3  # one of three, or somebody else
    is_near = apart.min(axis=1) < found.nobody.threshold
    np.testing.assert_allclose(found.table["sure"], np.where(is_near, odds, 1) / (1 + odds), rtol=1e-4)
    names = [name if near else "nobody" for name, near in zip(found.table["nearest"], is_near, strict=True)]
    assert found.table["person"].to_list() == names
    assert found.nobody.threshold <= judge.threshold


def test_a_folder_of_folders_is_enrolled_at_once_and_one_removed(run, writers, tmp_path):
    done = gnomon.enrol(run, tmp_path / "people", writers)
    assert (done.enrolled.people, done.enrolled.pictures) == (10, 60)
    again = gnomon.enrol(run, tmp_path / "people", writers)
    assert (len(again.enrolled.added), len(again.enrolled.known)) == (0, 60)
    found = gnomon.identify(run, tmp_path / "people", picture(writers, 4, 2))
    assert found.table["nearest"][0] == "writer 4"
    assert found.table["distance"][0] == pytest.approx(0, abs=1e-9)  # another batch may round otherwise
    assert gnomon.enrol(run, tmp_path / "people", remove="writer 4").enrolled.people == 9
    found = gnomon.identify(run, tmp_path / "people", picture(writers, 4, 2))
    assert found.table["nearest"][0] != "writer 4"
    with pytest.raises(UsageError, match=r"nobody here is called writer 4\. Fix: did you mean remove=writer"):
        gnomon.enrol(run, tmp_path / "people", remove="writer 4")


def test_verify_answers_as_predict_does(run, writers):
    for second in ((0, 1), (5, 1)):
        pair = [picture(writers, 0, 0), picture(writers, *second)]
        found, table = gnomon.verify(run, *pair), run.predict(pair)
        assert ("same" if found.same else "different") == table["prediction"][0]
        assert found.distance == pytest.approx(table["distance"][0], abs=1e-6)
        assert found.sure == pytest.approx(table["confidence"][0], abs=1e-4)
        assert not found.is_one_file
    assert gnomon.verify(run, *[picture(writers, 0, 0)] * 2).is_one_file
    with pytest.raises(UsageError, match="verify compares two pictures, got 6 in one place"):
        gnomon.verify(run, writers / "writer 0", writers / "writer 1")


def test_what_cannot_be_read_or_used_gets_one_clear_answer(run, writers, tmp_path):
    people, bad = tmp_path / "people", tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"nobody is enrolled there\. Fix: gnomon enrol RUN"):
        gnomon.identify(run, people, picture(writers, 0, 0))
    with pytest.raises(DataError, match=r"0 of 1 picture can be read: .*bad\.png"):
        gnomon.enrol(run, people, bad, name="anna")
    with pytest.raises(UsageError, match=r"enrol needs pictures, or remove=NAME"):
        gnomon.enrol(run, people)
    with pytest.raises(UsageError, match="remove= takes no pictures"):
        gnomon.enrol(run, people, bad, remove="anna")
    (tmp_path / "loose").mkdir()
    shutil.copy(picture(writers, 0, 0), tmp_path / "loose" / "one.png")
    with pytest.raises(UsageError, match=r"whose picture is one\.png\? Fix: add name=anna"):
        gnomon.enrol(run, people, tmp_path / "loose")
    assert not people.exists()
    gnomon.enrol(run, people, picture(writers, 0, 0), name="anna")
    with pytest.raises(UsageError, match="is given as bob, and the same picture as anna"):
        gnomon.enrol(run, people, picture(writers, 0, 0), name="bob")
    done = gnomon.enrol(run, people, [picture(writers, 0, 1), str(bad)], name="anna")
    assert [one.why for one in done.bad]
    assert done.enrolled.pictures == 2
    for share in ("2", "much", 0):
        with pytest.raises(UsageError, match="fpir is a share between 0 and 1"):
            gnomon.identify(run, people, picture(writers, 0, 0), fpir=share)


def test_the_people_of_another_run_and_runs_of_other_tasks_are_refused(run, writers, tmp_path):
    people = tmp_path / "people"
    gnomon.enrol(run, people, picture(writers, 0, 0), name="anna")
    other = gnomon.fit(writers, runs_folder=str(tmp_path / "runs"), **{**FEW, "seed": 8})
    with pytest.raises(UsageError, match="enrolled with another run"):
        gnomon.identify(other, people, picture(writers, 0, 0))
    digits = gnomon.fit(
        (np.zeros((40, 8, 8), np.uint8), np.arange(40) % 2), runs_folder=str(tmp_path / "runs"), epochs=1, threads=1
    )
    with pytest.raises(UsageError, match="makes no vectors of identities"):
        gnomon.enrol(digits, people, picture(writers, 0, 0), name="anna")
    shutil.copytree(run.path, tmp_path / "moved")
    assert len(gnomon.identify(tmp_path / "moved", people, picture(writers, 0, 0)).table) == 1


def test_arrays_are_enrolled_too_and_known_by_their_pixels(run, writers, tmp_path):
    pixels = np.array(Image.open(picture(writers, 0, 0)))[None]
    gnomon.enrol(run, tmp_path / "people", pixels, name="anna")
    assert len(gnomon.enrol(run, tmp_path / "people", pixels, name="anna").enrolled.known) == 1
    found = gnomon.identify(run, tmp_path / "people", picture(writers, 0, 0))
    assert found.table["distance"][0] == pytest.approx(0, abs=1e-9)


def test_the_commands_say_it_in_words_and_in_json(run, writers, tmp_path, capsys):
    people, path = str(tmp_path / "people"), str(run.path)
    assert main(["enrol", path, people, picture(writers, 0, 0), picture(writers, 0, 1), "name=anna"]) == 0
    assert f"enrolled anna (2)\n  {people} now has 1 person, 2 pictures" in capsys.readouterr().out
    assert main(["enrol", path, people, picture(writers, 0, 1), "name=anna"]) == 0
    assert "already there, not added again: " in capsys.readouterr().out
    assert main(["identify", path, people, picture(writers, 0, 2), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["answers"][0]["nearest"] == "anna"
    assert (shown["people"], shown["pictures"], shown["fpir"], shown["nobody"]["is_shown"]) == (1, 2, 0.01, False)
    assert main(["identify", path, people, picture(writers, 0, 2)]) == 0
    shown = capsys.readouterr().out
    assert "1 % needs 600 pairs of strangers on dev" in shown  # 3 / (0.01 / 2)
    assert main(["identify", path, people, picture(writers, 0, 2), "fpir=0.5"]) == 0
    assert "strangers are taken for one of 1 person (2 pictures)" in capsys.readouterr().out
    assert main(["verify", path, picture(writers, 0, 0), picture(writers, 0, 0)]) == 0
    assert "same, > 99.9 % sure" in capsys.readouterr().out
    assert main(["enrol", path, people, "remove=anna"]) == 0
    assert "removed anna: 2 pictures, from the disk too" in capsys.readouterr().out
    for words in (["enrol", path], ["identify", path, people], ["verify", path, people]):
        assert main(words) == 2
        assert "needs" in capsys.readouterr().err


# --- approximate ------------------------------------------------------------------------------------------------------
def clustered(count: int, rng: np.random.Generator) -> np.ndarray:
    values = rng.normal(size=(500, 32))[rng.integers(500, size=count)] + 0.3 * rng.normal(size=(count, 32))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_the_approximate_index_finds_nearly_all_of_the_nearest():
    pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    both = clustered(20_300, rng)
    vectors, queries = both[:20_000], both[20_000:]
    index = ApproximateNearest.of(vectors)
    assert isinstance(index, ApproximateNearest)
    apart, rows = index.search(queries)
    expected, nearest = Nearest.of(vectors).search(queries)
    assert (rows == nearest).mean() >= 0.95
    assert (apart >= expected - 1e-5).all()
    assert isinstance(ApproximateNearest.of(vectors[:100]), Nearest)


def test_the_approximate_index_answers_for_people(run, writers, tmp_path, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(approximate, "FEWEST", 0)
    gnomon.enrol(run, tmp_path / "people", writers)
    found = Recogniser(run, tmp_path / "people", index="approximate").identify(picture(writers, 3, 3))
    assert found.table["nearest"][0] == "writer 3"


def test_without_faiss_the_fix_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MachineError, match=r"needs faiss\. Fix: pip install 'gnomon\[people\]'"):
        ApproximateNearest.of(np.eye(4, dtype=np.float32))
