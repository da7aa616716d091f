"""Human error from people's answers: the best one counts, the team may be better, disagreement is a lower end."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.strategy.ladder import diagnose
from gnomon.strategy.people import TEAM, error_from_agreement, people, read_people


def judged(targets, split="dev", unit=SHARE, errors=None) -> Evaluation:
    size = len(targets)
    return Evaluation(
        split, unit,
        pl.DataFrame({"id": range(size), "target": targets, "prediction": targets,
                      "error": np.zeros(size) if errors is None else errors}),
    )  # fmt: skip


def answering(targets: np.ndarray, error: float, rng: np.random.Generator, classes: int) -> list[str]:
    wrong = rng.random(len(targets)) < error
    return [
        str((one + rng.integers(1, classes)) % classes if bad else one) for one, bad in zip(targets, wrong, strict=True)
    ]


def test_the_four_people_of_the_notes_give_half_a_percent():
    # typical person 3 %, doctor 1 %, expert doctor 0.7 %, a team of experts 0.5 %
    size = 1000
    answers = {"id": range(size)}
    for name, errors in (("typical", 30), ("doctor", 10), ("expert", 7), ("panel", 5)):
        answers[name] = ["no"] * errors + ["yes"] * (size - errors)
    found = people(pl.DataFrame(answers), judged(["yes"] * size))
    assert [round(found.errors[name].value, 4) for name in answers if name != "id"] == [0.03, 0.01, 0.007, 0.005]
    assert (found.best, found.error.value) == ("panel", pytest.approx(0.005))
    assert found.error.low < 0.005 < found.error.high


def test_it_is_a_rung_of_the_ladder_with_an_interval():
    rng = np.random.default_rng(0)
    targets = rng.integers(3, size=600)
    table = pl.DataFrame(
        {"id": range(600), "anna": answering(targets, 0.05, rng, 3), "ben": answering(targets, 0.2, rng, 3)}
    )
    dev = judged(targets.astype(str), errors=(rng.random(600) < 0.3).astype(float))
    train = judged(targets.astype(str), "train", errors=(rng.random(600) < 0.25).astype(float))
    found = diagnose({"human": people(table, dev).evaluation, "train": train, "dev": dev})
    human = found.rungs[0]
    assert human.name == "human"
    assert human.note == "measured on 600 examples"
    assert human.low < human.error < human.high
    assert found.verdict.gap == "avoidable bias"


def test_a_team_of_three_errs_less_than_each_of_them():
    # by hand: each of 20 % errs alone, so two of three at once in 3 x 0.04 x 0.8 + 0.008 = 10.4 %
    rng = np.random.default_rng(0)
    targets = rng.integers(2, size=20_000)
    table = pl.DataFrame({"id": range(20_000), **{name: answering(targets, 0.2, rng, 2) for name in "abc"}})
    found = people(table, judged(targets.astype(str)))
    assert found.best == TEAM
    assert found.error.value == pytest.approx(0.104, abs=0.01)


def test_ties_of_a_team_are_shared():
    table = pl.DataFrame({"id": [0, 1], "a": ["x", "x"], "b": ["y", "x"], "c": [None, "y"]})
    assert people(table, judged(["x", "x"])).errors[TEAM].value == pytest.approx(0.25)


def test_people_who_answered_a_part_are_scored_on_that_part():
    table = pl.DataFrame({"id": [0, 1, 2, 9], "a": ["x", None, "y", "x"], "b": ["x", "x", "x", "x"]})
    found = people(table, judged(["x", "x", "x"]))
    assert found.errors["a"].value == pytest.approx(0.5)
    assert found.errors["b"].value == 0


def test_numbers_have_absolute_errors():
    table = pl.DataFrame({"id": [0, 1], "a": [1.0, 4.0], "b": [0.0, 4.0], "c": [2.0, 6.0]})
    found = people(table, judged([1.0, 5.0], unit="m"))
    assert found.errors["a"].value == pytest.approx(0.5)
    assert found.errors[TEAM].value == pytest.approx(0.5)  # medians 1 and 4


@pytest.mark.parametrize(("error", "classes"), [(0.05, 2), (0.1, 10), (0.3, 4)])
def test_agreement_gives_the_planted_error(error, classes):
    rng = np.random.default_rng(0)
    targets = rng.integers(classes, size=20_000)
    table = pl.DataFrame({"id": range(20_000), **{name: answering(targets, error, rng, classes) for name in "abc"}})
    found = error_from_agreement(table, classes)
    assert found.value == pytest.approx(error, abs=0.01)
    assert found.low < error < found.high


def test_people_who_always_agree_show_no_error():
    table = pl.DataFrame({"id": [0, 1, 2], "a": ["x", "y", "x"], "b": ["x", "y", "x"]})
    assert error_from_agreement(table, 2).value == 0


@pytest.mark.slow
def test_the_interval_from_agreement_covers_about_95_percent():
    rng = np.random.default_rng(0)
    held, rounds = 0, 1000
    for seed in range(rounds):
        targets = rng.integers(5, size=400)
        table = pl.DataFrame({"id": range(400), **{name: answering(targets, 0.1, rng, 5) for name in "abc"}})
        one = error_from_agreement(table, 5, seed=seed)
        held += one.low <= 0.1 <= one.high
    assert 0.93 <= held / rounds <= 0.97


def test_odd_tables_are_refused():
    with pytest.raises(DataError, match="an id column"):
        read_people(pl.DataFrame({"a": ["x"]}))
    with pytest.raises(DataError, match="more than once"):
        read_people(pl.DataFrame({"id": [1, 1], "a": ["x", "y"]}))
    with pytest.raises(DataError, match="none of the people's answers"):
        people(pl.DataFrame({"id": [99], "a": ["x"]}), judged(["x"]))
    with pytest.raises(DataError, match="at least two people"):
        error_from_agreement(pl.DataFrame({"id": [1], "a": ["x"]}), 2)
