"""One metric to optimise, conditions to meet: the notes' tables, and what is refused."""

from __future__ import annotations

import pytest

from gnomon.core.errors import UsageError
from gnomon.metrics.interval import Interval
from gnomon.strategy.target import Candidate, Condition, Target, choose, parse_condition, resolve


def measured(**values: float | tuple[float, float, float]) -> dict[str, Interval]:
    return {
        name: Interval(*value) if isinstance(value, tuple) else Interval(value, value, value)
        for name, value in values.items()
    }


# Ng 2018, Machine Learning Yearning, chapter 9: accuracy to optimise, a running time of 100 ms is good enough
THREE = [
    Candidate("A", measured(accuracy=0.90, latency_ms=80)),
    Candidate("B", measured(accuracy=0.92, latency_ms=95)),
    Candidate("C", measured(accuracy=0.95, latency_ms=1500)),
]


def test_the_three_classifiers_of_the_notes_give_the_second():
    found = choose(THREE, Target("accuracy", (parse_condition("latency_ms <= 100"),)))
    assert found.winner is THREE[1]
    assert [one.name for one in found.ranked] == ["B", "A"]
    assert [str(one) for one in found.failed["C"]] == ["latency_ms <= 100"]


def test_without_a_condition_the_most_accurate_wins():
    assert choose(THREE, Target("accuracy")).winner is THREE[2]


def test_the_notes_trigger_word_target_has_two_metrics():
    # wake words: maximise accuracy, at most one false positive in 24 hours
    systems = [
        Candidate("eager", measured(accuracy=0.99, false_positives_per_day=4)),
        Candidate("calm", measured(accuracy=0.97, false_positives_per_day=1)),
    ]
    found = choose(systems, Target("accuracy", (parse_condition("false positives per day <= 1"),)))
    assert found.winner is systems[1]


def test_there_is_no_winner_when_none_meets_the_conditions():
    found = choose(THREE, Target("accuracy", (parse_condition("latency_ms < 80"),)))
    assert found.winner is None
    assert found.ranked == ()


def test_a_missing_metric_meets_no_condition():
    blind = Candidate("blind", measured(accuracy=0.99))
    found = choose([*THREE, blind], Target("accuracy", (parse_condition("latency_ms <= 1e9"),)))
    assert found.winner is THREE[2]
    assert found.failed["blind"]


def test_not_a_number_meets_no_condition_and_is_never_best():
    odd = Candidate("odd", measured(accuracy=float("nan"), latency_ms=float("nan")))
    assert choose([odd, THREE[0]], Target("accuracy")).winner is THREE[0]
    assert choose([odd, THREE[0]], Target("accuracy", (parse_condition("latency_ms <= 100"),))).failed["odd"]


def test_a_limit_inside_the_interval_is_marked_uncertain():
    near = Candidate("near", measured(accuracy=(0.9, 0.88, 0.92)))
    found = choose([near], Target("accuracy", (parse_condition("accuracy >= 89 %"),)))
    assert found.winner is near
    assert found.uncertain["near"] == (Condition("accuracy", ">=", 0.89),)
    assert not choose([near], Target("accuracy", (parse_condition("accuracy >= 0.5"),))).uncertain["near"]


@pytest.mark.parametrize("name", ["1 - mAP@0.5", "WER", "FID", "bits per character", "error"])
def test_what_is_declared_to_be_better_when_small_is_minimised_and_all_else_maximised(name):
    few, many = Interval(0.1, 0.0, 0.2), Interval(0.9, 0.8, 1.0)
    pair = [Candidate("x", {name: many}, frozenset({name})), Candidate("y", {name: few}, frozenset({name}))]
    assert choose(pair, Target(name)).winner is pair[1]
    pair = [Candidate("x", {name: few}), Candidate("y", {name: many})]
    assert choose(pair, Target(name)).winner is pair[1]


def test_a_name_is_found_however_it_is_written():
    pair = [
        Candidate("x", {"macro F1": Interval(0.5, 0.4, 0.6)}),
        Candidate("y", {"macro F1": Interval(0.7, 0.6, 0.8)}),
    ]
    assert choose(pair, Target("Macro_f1")).winner is pair[1]


def test_a_metric_of_one_class_is_found_without_its_class_and_of_several_is_refused():
    assert resolve("Recall", ["error", "recall of yes", "precision of yes", "macro recall"]) == "recall of yes"
    with pytest.raises(UsageError, match="unknown metric 'recall'"):
        resolve("recall", ["recall of yes", "recall of no"])


@pytest.mark.parametrize(
    ("text", "name", "sign", "limit"),
    [
        ("latency_ms <= 100", "latency_ms", "<=", 100.0),
        ("size_mb<5", "size_mb", "<", 5.0),
        ("accuracy >= 90 %", "accuracy", ">=", 0.9),
        ("macro F1 > .5", "macro F1", ">", 0.5),
        ("error <= 1e-2", "error", "<=", 0.01),
        ("R2 >= -1", "R2", ">=", -1.0),
    ],
)
def test_conditions_are_read(text, name, sign, limit):
    assert parse_condition(text) == Condition(name, sign, pytest.approx(limit))


@pytest.mark.parametrize("text", ["latency_ms", "<= 3", "a <= b", "a == 3", "a <= ", "a <= nan", "a <= inf", "a =< 3"])
def test_an_invalid_condition_is_refused(text):
    with pytest.raises(UsageError, match="is not a condition"):
        parse_condition(text)


def test_an_unknown_metric_is_refused_with_the_available_ones():
    with pytest.raises(UsageError, match="accuracy, latency_ms"):
        choose(THREE, Target("acuracy"))
    with pytest.raises(UsageError, match="'weight_kg'"):
        choose(THREE, Target("accuracy", (parse_condition("weight_kg <= 3"),)))
