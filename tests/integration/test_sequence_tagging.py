"""Tagged text the whole way: marked spans on the screen, in files, in the report and in the studio; parts of speech."""

from __future__ import annotations

import json

import pytest
import studio_samples

import gnomon
from gnomon import tasks
from gnomon.cli import main
from gnomon.workflow.judge import errors


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagging")
    source = tasks.load("sequence_tagging").reader.write_sample(folder / "sample", seed=3)
    small = {"model.units": 16, "model.embedding": 8, "dropout": 0.0, "learning_rate": 0.02}
    return gnomon.fit(source, **small, epochs=8, runs_folder=str(folder / "runs"), seed=5)


def test_a_text_is_tagged_and_its_spans_are_marked(run, capsys, tmp_path):
    assert main(["predict", str(run.path), "Nori walks to letuburg city."]) == 0
    assert "[Nori](person) walks to [letuburg city](place)." in " ".join(capsys.readouterr().out.split())
    out = tmp_path / "spans.json"
    assert main(["predict", str(run.path), "Nori walks to letuburg city.", f"out={out}"]) == 0
    [row] = json.loads(out.read_text())
    assert [(row["text"][start:end], kind) for start, end, kind, _ in row["prediction"]] == [
        ("Nori", "person"), ("letuburg city", "place"),
    ]  # fmt: skip
    assert all(0 < score <= 1 for *_, score in row["prediction"])


def test_report_and_studio_mark_the_spans(run):
    assert "<mark>" in run.report.read_text()
    client = studio_samples.Client(run.path.parent.parent)
    here = f"/runs/{studio_samples.run_id(run.path)}"
    looked = client.library.run(studio_samples.run_id(run.path)).examples("dev")
    assert looked.wait(60), looked.fault
    page = client.ask(f"{here}/errors/dev?show=all")[2].decode()
    assert "<small>person</small></mark>" in page


def test_the_floor_is_a_dictionary_and_a_linear_model(run):
    floor = run.folder.load_floor()
    assert floor is not None
    names = [floor.guess.name, *(one.name for one in floor.references)]
    assert names == ["the usual tag of each word", "linear model of the words around"]


def test_metrics_of_a_split_are_those_of_whole_spans(run):
    found = run.task.judge.metrics(run.evaluation("dev"))
    assert {"F1", "precision", "recall", "F1 of person", "F1 of place"} <= found.keys()
    assert found["F1"].value == pytest.approx(1 - run.evaluation("dev").split_error([1.0] * 12))


def test_parts_of_speech_are_tagged_and_judged_by_token(tmp_path):
    rows = []
    for number in range(30):
        words = [("the", "DET"), ("dog" if number % 2 else "cat", "NOUN"), ("runs" if number % 3 else "sits", "VERB")]
        rows += ["\n".join(f"{i}\t{word}\t_\t{tag}" + "\t_" * 6 for i, (word, tag) in enumerate(words, start=1)), ""]
    path = tmp_path / "some.conllu"
    path.write_text("\n".join(rows))
    small = {"model.units": 8, "model.embedding": 8, "learning_rate": 0.03}
    run = gnomon.fit(path, **small, epochs=3, runs_folder=str(tmp_path / "runs"), duplicates="report")
    dev = run.evaluation("dev")
    metrics = run.task.judge.metrics(dev)
    wrong = (dev.table["error"] * dev.table["tokens"]).sum() / dev.table["tokens"].sum()
    assert metrics["accuracy"].value == pytest.approx(1 - wrong)
    assert run.predict("the dog")["prediction"][0].count('"DET"') == 1
    assert errors.errors(run).shares is not None
