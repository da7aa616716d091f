"""probe: what it measures, keeps and advises, on small runs and on planted faults."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import gnomon
from gnomon.core.errors import UsageError
from gnomon.strategy.diagnosis import Advice
from gnomon.workflow.improve.probe import CURVE_PICTURE, probe

NET = {"model": "dense", "hidden": (16,), "dropout": (), "weight_decay": 0.0, "batch_size": 32, "learning_rate": 0.01}


def blobs(number: int, seed: int, *, noise: float = 0.0) -> pl.DataFrame:
    """Two classes by the sign of x0 + x1, a share `noise` of them by chance."""
    rng = np.random.default_rng([seed, number])
    inputs = rng.normal(size=(number, 6))
    above = (inputs[:, 0] + inputs[:, 1] > 0) ^ (rng.random(number) < noise)
    return pl.DataFrame({**{f"x{i}": inputs[:, i] for i in range(6)}, "class": np.where(above, "above", "below")})


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    place = tmp_path_factory.mktemp("probe")
    path = place / "blobs.csv"
    blobs(500, 0).write_csv(path)
    run = gnomon.fit(str(path), epochs=2, runs_folder=str(place / "runs"), human=0.0, **NET)
    lines: list[str] = []
    return run, probe(run, time=60, tell=lines.append), lines


def test_the_curve_has_four_nested_sizes_with_repeats(probed):
    run, found, _ = probed
    total = run.folder.load_data()["splits"]["train"]
    sizes = [point.examples for point in found.points]
    assert set(sizes) == {round(total * share) for share in (0.125, 0.25, 0.5, 1.0)}
    assert sizes.count(round(total / 8)) >= 2


def test_the_last_point_of_the_curve_is_the_run_itself(probed):
    run, found, _ = probed
    total = run.folder.load_data()["splits"]["train"]
    whole = next(point for point in found.points if point.examples == total and point.seed == 0)
    assert whole.error == pytest.approx(run.evaluation("dev").table["error"].mean())


def test_forecasts_are_for_twice_and_four_times_the_data_and_contain_their_value(probed):
    _, found, _ = probed
    assert [one.factor for one in found.forecasts] == [2.0, 4.0]
    assert all(one.low <= one.error <= one.high for one in found.forecasts)
    assert sum(found.forms.values()) == pytest.approx(1.0)


def test_every_pair_is_one_change_with_interval_seeds_and_cost(probed):
    _, found, _ = probed
    assert found.pairs
    for pair in found.pairs:
        assert pair.failed or (pair.low <= pair.gain <= pair.high and pair.seeds >= 1 and pair.cost > 0)
        assert pair.link in found.links


def test_probe_results_are_saved_drawn_and_used_in_advice(probed):
    run, found, lines = probed
    assert run.folder.load_probes() == found
    assert (run.path / "figures" / CURVE_PICTURE).is_file()
    assert any(line.startswith("curve") for line in lines)
    assert any(line.startswith("pair") for line in lines)
    assert all(one.basis == "measured" or "rule of thumb" in one.why for one in run.diagnosis.advice)
    assert not run.folder.check().bad


def test_a_forecast_is_part_of_the_report(probed):
    run, _, _ = probed
    assert "rule of thumb" in run.report.read_text() or "measured" in run.report.read_text()


def test_the_time_is_a_limit_and_too_little_is_an_error(probed):
    run, _, _ = probed
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"not one training was done|no time"):
        probe(run, time=0.01)
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_a_short_probe_shortens_its_trainings_and_says_so(tmp_path):
    path = tmp_path / "blobs.csv"
    blobs(4000, 1).write_csv(path)
    run = gnomon.fit(str(path), epochs=40, **NET)
    took = run.folder.load_outcome()["training_seconds"]
    limit = max(3.0 * took, 3.0)
    began = time.monotonic()
    found = probe(run, time=limit)
    assert time.monotonic() - began < limit + 8  # a busy machine
    if found.epochs_share < 1:
        assert any("of the run's epochs" in note for note in found.notes)


def test_few_examples_give_pairs_but_no_curve(tmp_path):
    path = tmp_path / "few.csv"
    blobs(120, 2).write_csv(path)
    run = gnomon.fit(str(path), epochs=2, **NET)
    found = probe(run, time=30)
    assert not found.points
    assert any(note.startswith("no learning curve: an eighth of") for note in found.notes)


@pytest.mark.slow
def test_unlearnable_noise_gets_the_advice_not_to_collect_data(tmp_path):
    """Planted: three labels in ten are wrong. The curve is flat, train is as bad: data is not the answer."""
    path = tmp_path / "noisy.csv"
    blobs(3000, 3, noise=0.3).write_csv(path)
    run = gnomon.fit(str(path), epochs=15, human=0.05, **NET)
    probe(run, time=40)
    assert run.diagnosis.advice[0].action.startswith("do not collect more data")


def test_the_command_prints_forecast_pairs_and_advice_and_the_same_as_json(probed, capsys):
    from gnomon.cli.probe import print_probes, probes_as_json

    run, found, _ = probed
    to_paste = Advice("a wider net", "it helps", "fit-train", command="gnomon fit blobs.csv hidden=64")
    print_probes(found, replace(run.diagnosis, advice=(*run.diagnosis.advice, to_paste)))
    shown = capsys.readouterr().out
    assert "twice the data: " in shown
    assert all(pair.label in shown for pair in found.pairs)
    assert "next  1. " in shown
    assert shown.splitlines()[-1].strip() == to_paste.command
    plain = json.loads(json.dumps(probes_as_json(found, run.diagnosis), allow_nan=False))
    assert [pair["gain"] for pair in plain["pairs"]] == [pytest.approx(pair.gain) for pair in found.pairs]
    assert plain["advice"][0]["action"] == run.diagnosis.advice[0].action
