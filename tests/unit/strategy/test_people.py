"""Human error from people's answers: the best one counts, the team may be better, disagreement is a lower end."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.strategy.ladder import diagnose
from gnomon.strategy.people import AVERAGE, TEAM, error_from_agreement, people, read_people


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


# --- counts -----------------------------------------------------------------------------------------------------------
def counted(targets: np.ndarray, error: float, voters: int, rng: np.random.Generator) -> pl.DataFrame:
    """As CIFAR-10H: each of the voters errs independently, equally often into each other class."""
    votes = np.full((len(targets), 10), error / 9)
    votes[np.arange(len(targets)), targets] = 1 - error
    counts = rng.multinomial(voters, votes)
    return pl.DataFrame({"id": range(len(targets)), **{f"class {k}": counts[:, k] for k in range(10)}})


def test_a_table_of_counts_is_one_of_many_voters():
    # planted: each voter errs on 5 %; of 50 the majority practically never does
    rng = np.random.default_rng(0)
    targets = rng.integers(10, size=2000)
    dev = judged([f"class {one}" for one in targets])
    found = people(counted(targets, 0.05, 50, rng), dev)
    assert found.errors[AVERAGE].value == pytest.approx(0.05, abs=0.002)
    assert found.errors[AVERAGE].low < 0.05 < found.errors[AVERAGE].high
    assert (found.best, found.level.interval.value) == (TEAM, 0)


def test_ties_and_rows_without_votes_in_counts_by_hand():
    table = pl.DataFrame({"id": [0, 1, 2], "a": [2, 1, 0], "b": [2, 3, 0]})
    found = people(table, judged(["a", "b", "a"]), classes=("a", "b"))
    assert found.errors[AVERAGE].value == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert found.errors[TEAM].value == pytest.approx(1 / 4)


def test_counts_under_other_names_are_refused_with_the_way_out():
    rng = np.random.default_rng(0)
    targets = rng.integers(10, size=50)
    table = counted(targets, 0.05, 50, rng).rename({f"class {k}": f"c{k}" for k in range(10)})
    with pytest.raises(DataError, match=r"is not a class.*name each column after its class"):
        people(table, judged([f"class {one}" for one in targets]), classes=[f"class {k}" for k in range(10)])


def test_few_counts_of_digits_cannot_pass_for_answers():
    # five voters and the classes 0 to 9: each count is the name of a class as well
    rng = np.random.default_rng(0)
    targets = rng.integers(10, size=200)
    table = counted(targets, 0.05, 5, rng).rename({f"class {k}": f"c{k}" for k in range(10)})
    with pytest.raises(DataError, match="name each column after its class"):
        people(table, judged(targets), classes=[str(k) for k in range(10)])


def test_shares_in_the_place_of_counts_are_refused():
    table = pl.DataFrame({"id": [0], "a": [0.25], "b": [0.75]})
    with pytest.raises(DataError, match=r"how many people answered 'a', found 0\.25"):
        people(table, judged(["a"]), classes=("a", "b"))


# --- answers are classes ----------------------------------------------------------------------------------------------
def test_an_answer_that_is_no_class_is_named_with_its_place():
    table = pl.DataFrame({"id": [0, 1], "anna": ["cat", "Dog"]})
    with pytest.raises(DataError, match=r"'Dog' is not a class.*'dog'") as caught:
        people(table, judged(["cat", "dog"]), classes=("cat", "dog"))
    assert "column 'anna', row 2" in str(caught.value)


def test_a_column_with_gaps_that_was_saved_with_decimals_names_the_same_classes():
    table = pl.DataFrame({"id": [0, 1, 2], "anna": [3.0, None, 4.0], "ben": ["3.0", "7", "4"]})
    found = people(table, judged([3, 7, 4]), classes=("3", "4", "7"))
    assert [one.value for one in found.errors.values()] == [0, 0]


def test_people_clearly_worse_than_guessing_are_refused():
    targets = np.arange(60) % 3
    table = pl.DataFrame({"id": range(60), "anna": ((targets + 1) % 3).astype(str)})
    with pytest.raises(DataError, match=r"worse than guessing \(66\.7 %\)"):
        people(table, judged(targets.astype(str)), classes=("0", "1", "2"))


# --- the best of them -------------------------------------------------------------------------------------------------
def test_one_person_with_one_answer_is_no_human_level():
    dev = judged(["x"] * 100, errors=(np.arange(100) < 10).astype(float))
    human = people(pl.DataFrame({"id": [0], "anna": ["x"]}), dev).level
    rung = diagnose({"train": judged(["x"] * 100, "train"), "dev": dev}, human=human).rungs[0]
    assert rung.is_unknown
    assert "1 answer of people is too few" in rung.note


def test_a_few_lucky_answers_do_not_beat_many_good_ones():
    ids = range(500)
    anna = ["y"] * 10 + ["x"] * 490  # 2 % of 500
    ben = [None] * 460 + ["x"] * 40  # 0 % of 40: up to 9 %
    found = people(pl.DataFrame({"id": ids, "anna": anna, "ben": ben}), judged(["x"] * 500))
    assert found.best == "anna"


def test_the_best_of_twenty_equal_people_is_not_better_than_all():
    # planted: each errs on 10 %; the lowest of twenty shares of 40 answers is about 2 %
    rng = np.random.default_rng(0)
    lowest, levels, held = [], [], 0
    for seed in range(40):
        targets = rng.integers(2, size=400)
        columns = {}
        for place in range(20):
            answers: list[str | None] = list(answering(targets, 0.1, rng, 2))
            mine = range(20 * place, 20 * place + 40)
            columns[f"p{place}"] = [one if i in mine or i + 400 in mine else None for i, one in enumerate(answers)]
        found = people(pl.DataFrame({"id": range(400), **columns}), judged(targets.astype(str)), seed=seed)
        alone = {name: one.value for name, one in found.errors.items() if name != TEAM}
        lowest.append(min(alone.values()))
        if found.best != TEAM:
            levels.append(found.level.interval.value)
            held += found.level.interval.low <= 0.1 <= found.level.interval.high
    assert np.mean(lowest) < 0.04
    assert np.mean(levels) == pytest.approx(0.1, abs=0.02)
    assert held / len(levels) >= 0.9


def test_who_is_clearly_better_keeps_the_own_error():
    # planted: 2 % against 20 %, on the same 500 examples
    rng = np.random.default_rng(0)
    targets = rng.integers(2, size=500)
    table = pl.DataFrame(
        {"id": range(500), "expert": answering(targets, 0.02, rng, 2), "other": answering(targets, 0.2, rng, 2)}
    )
    found = people(table, judged(targets.astype(str)))
    assert found.best == "expert"
    assert found.level.interval == found.errors["expert"]


def test_numbers_of_people_who_differ_by_chance_share_their_mean_error():
    # by hand: means 1.0 and 1.1, standard errors about 0.16: no spread beyond chance, so both are at (1 + 1.1) / 2
    table = pl.DataFrame({"id": range(40), "anna": [0.0, 2.0] * 20, "ben": [2.2, 0.0] * 20})
    found = people(table, judged([0.0] * 40, unit="m"))
    assert found.best == "anna"
    assert found.level.interval.value == pytest.approx(1.05)
    assert found.errors["anna"].value == pytest.approx(1.0)
