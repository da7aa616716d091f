"""The rung after test: its gap against SciPy's intervals, and who is right when users and the metric disagree."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

import gnomon
from gnomon.cli import main
from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE
from gnomon.metrics.interval import Interval
from gnomon.strategy.ladder import diagnose_rates
from gnomon.strategy.real_world import OnDev, Preference, RealWorld, read_real, with_real_world

GOOD = diagnose_rates({"human": 0.01, "train": (0.04, 4000), "dev": (0.05, 1000), "test": (0.05, 1000)})


def in_use(wrong: int, size: int, **more) -> pl.DataFrame:
    answers = ["no"] * wrong + ["yes"] * (size - wrong)
    return pl.DataFrame({"target": ["yes"] * size, "prediction": answers, **more})


def real(wrong: int, size: int) -> RealWorld:
    return read_real(in_use(wrong, size), unit=SHARE, classes=("yes", "no"))


def test_the_gap_to_test_is_newcombes():
    found = with_real_world(GOOD, real(90, 600))
    gap = found.gaps[-1]
    use, test = (stats.binomtest(k, n).proportion_ci(method="wilson") for k, n in ((90, 600), (50, 1000)))
    assert gap.size == pytest.approx(0.10)
    assert gap.low == pytest.approx(0.10 - math.hypot(0.15 - use.low, test.high - 0.05))
    assert gap.high == pytest.approx(0.10 + math.hypot(use.high - 0.15, 0.05 - test.low))
    assert (gap.below, gap.above, gap.is_there) == ("test", "real_world", True)


def test_a_large_gap_leads_the_verdict_and_the_advice():
    found = with_real_world(GOOD, real(90, 600))
    assert found.verdict.gap == "mismatch with use"
    assert found.verdict.certainty > 0.95
    assert "does not represent real use" in found.verdict.text
    assert found.advice[0].action == "make dev and test from data met in use, or change the metric"
    shown = str(found)
    assert "real-world" in shown
    assert "(600 answers from use)" in shown


def test_as_good_in_use_as_on_test_changes_nothing_but_the_ladder():
    found = with_real_world(GOOD, real(31, 600))
    assert (found.verdict, found.advice) == (GOOD.verdict, GOOD.advice)
    assert not found.gaps[-1].is_there
    assert len(str(with_real_world(GOOD, real(5, 600)))) > len(str(GOOD))  # easier in use: a row, no failure


def test_users_who_prefer_the_system_with_the_higher_error_accuse_the_metric():
    # Ng's example: A errs on 3 %, B on 5 %, and users prefer B, because A lets through what they cannot bear
    users = Preference("b", for_this=30, for_other=70, ties=10)
    on_dev = OnDev(0.03, 0.05, Interval(0.02, 0.01, 0.03))
    found = with_real_world(GOOD, RealWorld(None, users), on_dev)
    assert found.advice[0].action == "change the metric, or the dev set"
    assert "the metric prefers this system (dev error 3.0 %, 'b' 5.0 %)" in found.advice[0].why
    assert users.p_value == pytest.approx(2 * stats.binom.cdf(30, 100, 0.5))
    assert found.notes[-1].endswith("dev or the metric does not measure what users want")


@pytest.mark.parametrize(
    ("users", "on_dev", "says"),
    [
        (Preference("b", 70, 30, 0), OnDev(0.03, 0.05, Interval(0.02, 0.01, 0.03)), "users and the metric agree"),
        (Preference("b", 52, 48, 0), OnDev(0.03, 0.05, Interval(0.02, 0.01, 0.03)), "no clear preference"),
        (Preference("b", 30, 70, 0), None, "the dev error of 'b' is not known"),
    ],
)
def test_otherwise_there_is_a_note_and_no_advice(users, on_dev, says):
    found = with_real_world(GOOD, RealWorld(None, users), on_dev)
    assert found.advice == GOOD.advice
    assert says in found.notes[-1]


def test_numbers_have_absolute_errors_in_the_unit_of_the_system():
    table = pl.DataFrame({"target": ["10", "20"], "prediction": ["13", "19"]})  # whole numbers, as in a CSV
    found = read_real(table, unit="kg", classes=None).evaluation
    assert found is not None
    assert (found.unit, found.table["error"].to_list()) == ("kg", [3.0, 1.0])


def test_what_is_no_answer_is_refused():
    with pytest.raises(DataError, match="'maybe' is not a class"):
        read_real(in_use(1, 2).with_columns(prediction=pl.lit("maybe")), unit=SHARE, classes=("yes", "no"))
    with pytest.raises(DataError, match="names 2 other systems: 'b', 'c'"):
        read_real(pl.DataFrame({"preferred": ["this", "b", "c"]}), unit=SHARE, classes=None)
    with pytest.raises(DataError, match="expected the columns target and prediction"):
        read_real(pl.DataFrame({"answer": ["yes"]}), unit=SHARE, classes=None)
    with pytest.raises(DataError, match="expected a number, found 'many'"):
        read_real(pl.DataFrame({"target": ["1"], "prediction": ["many"]}), unit="kg", classes=None)


def test_the_command_adds_the_rung(tmp_path, capsys):
    rows = [("train", 40, 1000), ("dev", 50, 1000)]
    pl.concat([in_use(wrong, size, split=[name] * size) for name, wrong, size in rows]).write_csv(tmp_path / "p.csv")
    in_use(90, 600).write_csv(tmp_path / "use.csv")
    code = main(["diagnose", "--predictions", str(tmp_path / "p.csv"), f"real={tmp_path / 'use.csv'}", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert found["errors"]["real_world"]["error"] == pytest.approx(0.15)
    assert found["gaps"]["mismatch with use"]["below"] == "dev"


def test_users_who_prefer_another_run_are_compared_with_the_dev_errors(tmp_path):
    # the constant-rate run hardly learns: its dev error is far higher, and users are said to prefer it
    good = gnomon.fit("wine", epochs=20, model="logistic", runs_folder=str(tmp_path))
    bad = gnomon.fit("wine", epochs=1, learning_rate=1e-6, model="logistic", runs_folder=str(tmp_path))
    votes = pl.DataFrame({"preferred": ["this"] * 10 + [bad.path.name] * 40 + ["tie"] * 5})
    found = gnomon.diagnose(good, real=votes)
    errors = [run.diagnosis.rungs[2].error for run in (good, bad)]
    assert errors[0] + 0.1 < errors[1]
    assert found.advice[0].action == "change the metric, or the dev set"
    assert f"{100 * errors[1]:.1f} %" in found.advice[0].why
    agreeing = gnomon.diagnose(bad, real=pl.DataFrame({"preferred": np.repeat([good.path.name, "this"], [40, 10])}))
    assert "users and the metric agree" in agreeing.notes[-1]
