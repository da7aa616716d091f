"""The studio on a run that was really trained: pictures, label review, diary; and a nudge of one at work."""

from __future__ import annotations

import json
import re
import time

import pytest
import studio_samples as samples

import gnomon
from gnomon.strategy.labels import VERDICTS
from gnomon.workflow.nudge import journals
from gnomon.workflow.sight import pictures


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return gnomon.fit("digits", model="logistic", epochs=2, runs_folder=str(tmp_path_factory.mktemp("real") / "runs"))


@pytest.fixture
def client(run):
    return samples.Client(run.path.parent.parent)


@pytest.fixture
def place(run):
    return f"/runs/{samples.run_id(run.path)}"


def body(client, path: str) -> str:
    status, _, found = client.ask(path)
    assert status == 200, found[:300]
    return found.decode()


def posted(client, path: str, value: object) -> str:
    status, _, found = client.ask(path, "POST", json.dumps(value).encode())
    assert status == 200, found[:300]
    return found.decode()


def test_pictures_are_redrawn_and_probabilities_shown(client, place, run):
    assert client.library.run(place.rpartition("/")[2]).examples("dev").wait(60)
    page = body(client, f"{place}/errors/dev")
    position = re.search(r'data-position="(\d+)"', page)[1]
    assert f'src="{place}/pictures/dev/{position}.png"' in page
    status, headers, png = client.ask(f"{place}/pictures/dev/{position}.png")
    assert (status, headers["content-type"], png[:8]) == (200, "image/png", b"\x89PNG\r\n\x1a\n")
    assert client.ask(f"{place}/pictures/dev/100000.png")[0] == 404
    assert "Probabilities" in body(client, f"{place}/examples/dev/{position}")
    machine = body(client, f"{place}/errors/dev?part=machine")
    for _ in range(600):
        if "searching the examples" not in machine:
            break
        time.sleep(0.1)
        machine = body(client, f"{place}/errors/dev?part=machine")
    assert "bright picture" in machine  # what pictures look like is among the tags
    assert "hx-get" not in machine  # and nobody asks again


def test_where_an_answer_comes_from_is_computed_when_asked_for_and_kept(client, place, run, monkeypatch):
    examples = client.library.run(place.rpartition("/")[2]).examples("dev")
    assert examples.wait(60)
    table = run.evaluation("dev").table.with_row_index("position")
    wrong = table.filter(table["error"] > 0).row(0, named=True)
    assert f'data-place="{place}/maps/dev/{wrong["position"]}"' in body(
        client, f"{place}/examples/dev/{wrong['position']}"
    )
    part = body(client, f"{place}/maps/dev/{wrong['position']}")
    assert f"For {wrong['prediction']}, {100 * wrong['confidence']:.1f}" in part.replace("\u00a0", " ")
    assert f"For {wrong['target']}, " in part
    monkeypatch.setattr(pictures, "explain_picture", None)  # is not called again
    assert body(client, f"{place}/maps/dev/{wrong['position']}") == part
    status, headers, png = client.ask(f"{place}/maps/dev/{wrong['position']}.png")
    assert (status, headers["content-type"], png[:8]) == (200, "image/png", b"\x89PNG\r\n\x1a\n")
    assert client.ask(f"{place}/maps/dev/100000")[0] == 404
    assert client.ask(f"{place}/maps/test/0")[0] == 404


def test_a_table_has_no_maps(tmp_path):
    rows = gnomon.fit("iris", model="logistic", epochs=1, runs_folder=str(tmp_path / "runs"))
    client, place = samples.Client(tmp_path / "runs"), f"/runs/{samples.run_id(rows.path)}"
    assert client.library.run(place.rpartition("/")[2]).examples("dev").wait(60)
    assert 'data-does="maps"' not in body(client, f"{place}/examples/dev/0")
    assert client.ask(f"{place}/maps/dev/0")[0] == 404


def test_labels_are_reviewed_one_by_one_and_undone(client, place):
    here = f"{place}/labels/dev"
    assert "0 of 200 reviewed" in body(client, here)
    for number, verdict in enumerate(VERDICTS):
        after = posted(client, f"{here}/record", {"place": number, "verdict": verdict})
    assert "4 of 200 reviewed" in after
    assert "5 of 200" in after  # the next one
    assert "wrong labels in all of dev" in after
    assert "3 of 200 reviewed" in posted(client, f"{here}/undo", {})
    assert "0 reviewed" in body(client, f"{place}/errors/dev")  # reviewing a label is not reviewing for tags
    assert client.ask(f"{here}/record", "POST", b'{"place": 200, "verdict": "given"}')[0] == 404
    assert client.ask(f"{here}/record", "POST", b'{"place": 0, "verdict": "wrong"}')[0] == 422
    assert client.ask(f"{place}/labels/train")[0] == 404


def test_only_the_models_own_answer_is_shown_as_its_answer(client, place):
    here, said = f"{place}/labels/dev", set()
    for number in range(40):
        page = posted(client, f"{here}/record", {"place": number, "verdict": "given"}).replace("&#39;", "'")
        given, words, suggested = re.search(
            r"as given, ([\d.e-]+)\s%.*?>(as predicted|the model's second choice), ([\d.e-]+)\s%", page, re.DOTALL
        ).groups()
        assert (words == "as predicted") == (float(suggested) > float(given))
        said.add(words)
    assert len(said) == 2
    for _ in range(40):
        posted(client, f"{here}/undo", {})


def test_the_diary_of_an_improvement_is_on_the_page(client, place, run):
    with run.folder.lock():
        run.folder.diary.append({"event": "began", "text": "<b>began", "seconds": 1.0, "facts": {"limit": 9.0}})
    page = body(client, place)
    assert "How it was improved" in page
    assert "&lt;b&gt;began" in page


def test_a_running_run_is_nudged_and_a_finished_one_is_not(client, place, samples_run):
    going, name = samples_run
    status, _, found = client.ask(f"{place}/nudge", "POST", b'{"key": "optimiser.learning_rate", "value": "0.01"}')
    assert (status, json.loads(found)["fault"]) == (422, "this run is not training")
    other = samples.Client(going.path.parent.parent)
    with going.lock():
        assert (
            other.ask(f"/runs/{name}/nudge", "POST", b'{"key": "optimiser.learning_rate", "value": "0.01"}')[0] == 200
        )
        assert other.ask(f"/runs/{name}/nudge", "POST", b'{"key": "model.hidden", "value": "3"}')[0] == 422
    (asked,) = journals(going)[0].read()
    assert (asked["key"], asked["value"]) == ("optimiser.learning_rate", 0.01)


def test_the_best_of_several_is_chosen_by_a_metric_among_those_that_meet_the_conditions(client, place, run):
    other = gnomon.fit("digits", model="dense", epochs=2, runs_folder=str(run.path.parent.parent), run_name="dense")
    ids = f"run={place.rpartition('/')[2]}&run={samples.run_id(other.path)}"
    page = body(client, f"/compare?{ids}&metric=accuracy&where=size_mb%20%3C%3D%20100")
    best = max((run, other), key=lambda one: 1 - one.evaluation("dev").table["error"].mean())
    assert f"{best.path.name} is best by accuracy" in page or f"{best.folder.name} is best by accuracy" in page
    assert "does not meet" not in page  # both are small enough
    assert "None of them meets every condition" in body(client, f"/compare?{ids}&metric=error&where=size_mb%20%3C%200")
    assert "warning" in body(client, f"/compare?{ids}&metric=beauty")


@pytest.fixture
def samples_run(tmp_path):
    going = samples.plant(tmp_path / "runs", samples.predictions(30, 3), name="going", finished=False)
    return going, samples.run_id(going.path)
