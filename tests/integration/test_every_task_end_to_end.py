"""Every task there is goes the whole way: fit, ladder, error rows, report, predict, test, reopened from its folder."""

from __future__ import annotations

import json

import polars as pl
import pytest
import torch

import gnomon
from gnomon import tasks


@pytest.fixture(scope="module", params=tasks.names())
def fitted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    kind = tasks.load(request.param)
    source = kind.reader.write_sample(folder / "sample", seed=3)
    run = gnomon.fit(source, task=request.param, epochs=2, runs_folder=str(folder / "runs"), seed=5)
    return kind, source, run


def test_the_ladder_has_human_train_and_dev_with_intervals(fitted):
    _, _, run = fitted
    rungs = {rung.name: rung for rung in run.diagnosis.rungs}
    assert list(rungs) == ["human", "train", "dev"]
    for name in ("train", "dev"):
        assert rungs[name].low <= rungs[name].error <= rungs[name].high
        assert 0 < rungs[name].examples <= len(run.evaluation(name).table)  # fewer where train holds copies
    assert run.diagnosis.verdict.text
    assert run.diagnosis.advice


def test_the_test_split_stays_sealed_until_it_is_opened(fitted):
    kind, _source, run = fitted
    if "test" not in run.folder.load_data()["splits"]:
        pytest.skip("the sample divides itself and has no test split")
    with pytest.raises(gnomon.GnomonError, match=r"its test split is sealed.*gnomon test"):
        gnomon.load(run.path, task=kind).evaluation("test")
    opened = run.test()
    assert len(opened.table) > 0
    assert len(run.folder.openings.read()) == 1
    assert "test" in {rung.name for rung in gnomon.load(run.path, task=kind).diagnosis.rungs}


def test_the_report_is_one_page_with_the_mistakes(fitted):
    _, _, run = fitted
    page = run.report.read_text()
    assert page.startswith(("<!DOCTYPE html>", "<!doctype html>"))
    assert "http://" not in page.replace("http://www.w3.org", "")
    worst = run.evaluation("dev").table.filter(pl.col("error") > 0)
    assert len(worst) == 0 or "truth" in page or "true" in page


def test_prediction_from_raw_input_equals_the_pipelines(fitted):
    """Dev examples predicted from their raw form get the predictions that the judged split has."""
    kind, _, run = fitted
    again = gnomon.load(run.path, task=kind)
    dev = run.evaluation("dev").table
    settings = again.settings
    from gnomon.core.seeds import derive
    from gnomon.training.evaluate import predict
    from gnomon.workflow.prepare import prepare

    examples = prepare(fitted[1], settings, kind).splits["dev"]
    table = predict(
        again.task, again.model, again.task.judge.judged(examples, derive(5, "judged")), device=torch.device("cpu")
    )
    assert table["id"].to_list() == dev["id"].to_list()
    if dev["prediction"].dtype == pl.Float64:
        assert (table["prediction"] - dev["prediction"]).abs().max() < 1e-4
    else:
        assert table["prediction"].to_list() == dev["prediction"].to_list()


def test_new_inputs_are_predicted_without_targets(fitted):
    _, source, run = fitted
    table = run.predict(source / "dev.csv" if (source / "dev.csv").is_file() else source)
    assert table.columns[:3] == ["id", "prediction", "confidence"]
    assert len(table) > 0


def test_a_run_reopens_with_the_same_diagnosis(fitted):
    kind, _, run = fitted
    again = gnomon.load(run.path, task=kind)
    assert again.diagnosis == run.diagnosis
    assert again.history == run.history
    assert json.loads(json.dumps(again.settings.model_dump(mode="json")))["task"]["name"] == kind.name
