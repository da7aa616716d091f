"""What comes before the gaps: one sentence, and first the action that belongs to it."""

from __future__ import annotations

import re
from dataclasses import replace

import polars as pl
import pytest
from standing import standing

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.strategy.course import Course
from gnomon.strategy.floor import Floor, Giveaway, Reference, Shift, WrongLabels
from gnomon.strategy.ladder import diagnose
from gnomon.strategy.wording import ladder_text


def split(name, error, total):
    wrong = round(error * total)
    table = pl.DataFrame(
        {"id": [f"{name} {i}" for i in range(total)], "error": [1.0] * wrong + [0.0] * (total - wrong)}
    )
    return Evaluation(name, SHARE, table)


def reference(name, error, dev, *, p_value=1e-4, half=0.02):
    ahead = dev - error
    return Reference(name, error, error - half, error + half, ahead, ahead - half, ahead + half, p_value)


def floor(dev, *, guess=0.9, best=None, **clues):
    """`best`: the error of the best reference; by default as good as the system."""
    best = dev if best is None else best
    p_value = 1.0 if abs(best - dev) < 0.02 else 1e-4
    references = (
        reference("nearest neighbours", best, dev, p_value=p_value),
        reference("linear model", max(best, 0.8), dev),
    )
    return Floor(reference("always 'e'", guess, dev), references, 1.0, **clues)


def judged(train, dev, below=None, *, examples=2000, num_train=5000, **options):
    splits = {"train": split("train", train, examples), "dev": split("dev", dev, examples)}
    here = options.pop("here", standing(model="dense", hidden="64", epochs=20))
    return diagnose(splits, floor=below, here=here, num_train=num_train, **options)


GIVEN_AWAY = Giveaway("outcome", 0.03, 0.6, 0.9)
NOISY = WrongLabels(0.2, 0.17, 0.23, 200, 1000)
FLIPPED = WrongLabels(0.03, 0.02, 0.04, 30, 1000, "dog", "cat", 0.3)
MOVED = Shift(("a", "b", "c"), (1.5, 1.5, 1.5), "moved back", 0.08, 0.28, 0.2, 0.15, 0.25, hurts=True)
LITTLE = replace(MOVED, sizes=(0.5, 0.5, 0.5), without=0.27, cost=0.01, cost_low=-0.01, cost_high=0.03, hurts=False)

CASES = {  # train, dev, floor, options -> cause, begin of the first action
    "a training that had no time": (0.9, 0.9, floor(0.9), {"course": Course(20, 0.2, (0.9,), is_cut=True)},
                                    "unfinished", "continue this run"),
    "an input that tells": (0.03, 0.03, floor(0.03, giveaway=GIVEN_AWAY), {}, "giveaway", "leave out outcome"),
    "dev is other data": (0.05, 0.28, floor(0.28, shift=MOVED), {}, "shift", "look at wrong dev examples beside"),
    "a shift that does no harm": (0.20, 0.20, floor(0.2, shift=LITTLE), {}, "", "look at the wrong dev examples"),
    "labels flipped at random": (0.2, 0.25, floor(0.25, wrong_labels=NOISY), {}, "labels", "look at the labels"),
    "one pair flipped": (0.02, 0.05, floor(0.05, wrong_labels=FLIPPED), {}, "labels", "look at the labels"),
    "labels as people disagree on them": (0.1, 0.2, floor(0.2, wrong_labels=NOISY), {"human": [0.1]}, "",
                                          "get more training data"),
    "a few wrong labels": (0.2, 0.25, floor(0.25, wrong_labels=replace(NOISY, share=0.04, low=0.03)), {}, "",
                           "look at the wrong dev examples"),
    "nothing learned": (0.9, 0.9, floor(0.9, best=0.1), {}, "nothing learned", "hidden 64 -> 128"),
    "nothing to learn": (0.88, 0.9, floor(0.9, best=0.89), {}, "nothing learned", "check whether it can learn"),
    "behind, and it shows on train": (0.197, 0.199, floor(0.199, best=0.04), {}, "reference", "hidden 64 -> 128"),
    "behind on dev alone": (0.01, 0.15, floor(0.15, best=0.08), {}, "reference", "dropout"),
    "as good as the reference": (0.0, 0.12, floor(0.12), {}, "", "get more training data"),
    "few mistakes": (0.0, 0.03, floor(0.03), {}, "", "look at the wrong dev examples (about 60)"),
    "few examples": (0.0, 0.15, floor(0.15), {"num_train": 120, "examples": 200}, "", "get more data (now 120"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_comes_first(case):
    train, dev, below, options, cause, action = CASES[case]
    found = judged(train, dev, below, **options)
    assert found.verdict.cause == cause
    assert found.advice[0].action.startswith(action)
    assert len(found.advice) <= 3
    assert found.verdict.text.count(". ") == 0  # one sentence


def test_a_reference_proves_bias_where_no_human_level_is_known():
    found = judged(0.19, 0.20, floor(0.2, best=0.03))
    bias = found.gaps[0]
    assert (bias.is_there, bias.is_bound, bias.proven_by) == (True, False, "nearest neighbours")
    assert bias.size == pytest.approx(0.16)  # at least 16 points of 19
    assert "at least 16.0 points of its train error are avoidable" in found.verdict.text
    assert found.advice[0].link == "fit-train"


def test_a_known_human_level_is_what_bias_is_measured_from():
    found = judged(0.19, 0.20, floor(0.2, best=0.03), human=[0.15])
    assert found.gaps[0].size == pytest.approx(0.04)
    assert found.gaps[0].proven_by == ""


def test_an_insignificantly_better_reference_is_no_verdict():
    below = replace(floor(0.2), references=(reference("boosted trees", 0.18, 0.2, p_value=0.2),))
    assert judged(0.19, 0.20, below).verdict.cause == ""


def test_the_floor_stands_under_the_ladder_from_no_effort_to_the_best():
    text = ladder_text(judged(0.19, 0.20, floor(0.2, best=0.03)))
    assert "floor  always 'e': 90.0 % · linear model: 80.0 % · nearest neighbours: 3.0 %" in text


def test_dev_that_turned_upwards_never_advises_more_epochs():
    rising = Course(10, 10.0, (0.4, 0.3, 0.25, 0.24, 0.25, 0.26, 0.27, 0.28, 0.29, 0.3))
    found = judged(0.2, 0.21, floor(0.21, best=0.05), course=rising)
    assert all("stop.epochs" not in one.settings and "longer" not in one.action for one in found.advice)


def test_after_two_epochs_training_longer_comes_first():
    here = standing(model="dense", hidden="64", epochs=2)
    found = judged(0.2, 0.21, floor(0.21, best=0.05), course=Course(2, 2.0, (0.3, 0.21)), here=here)
    assert found.advice[0].action == "train longer: epochs 2 -> 10"


@pytest.mark.parametrize(("examples", "is_first"), [(30, False), (2000, True)])
def test_a_fall_of_a_few_dev_examples_does_not_ask_for_a_longer_training(examples, is_first):
    falling = Course(20, 20.0, (0.4,) * 14 + (0.3,) * 5 + (0.25,))  # from 12 wrong of 30 to 8
    found = judged(0.25, 0.25, course=falling, examples=examples, human=[0.24])
    assert found.advice[0].action.startswith("train longer") is is_first


def test_high_weight_decay_and_dropout_are_lowered_before_a_net_is_made_wider():
    here = standing(model="dense", hidden="64", weight_decay=0.5, dropout="0.3")
    found = judged(0.2, 0.21, floor(0.21, best=0.05), here=here)
    assert [one.settings for one in found.advice[:2]] == [("regularise.weight_decay",), ("regularise.dropout",)]


def test_repeats_that_train_has_as_many_of_are_no_copies_and_the_raw_figure_stands():
    copies = {"dev": [f"dev {i}" for i in range(100)]}  # all of them wrong, as a tenth of the others is
    found = judged(0.1, 0.2, leaked=copies, repeats=0.05)
    assert next(rung for rung in found.rungs if rung.name == "dev").error == pytest.approx(0.2)
    assert not any("cop" in text for text in (found.verdict.text, *found.notes, *(one.action for one in found.advice)))


def test_a_few_copies_that_change_nothing_are_no_matter_even_without_any_error():
    found = judged(0.0, 0.0, leaked={"dev": ["dev 1", "dev 2"]}, repeats=0.0)
    assert found.verdict.cause == ""


def test_copies_beyond_what_repeats_inside_train_come_first_with_both_figures():
    copies = {"dev": [f"dev {i}" for i in range(1000, 2000)]}  # half of dev, and never wrong
    found = judged(0.1, 0.2, leaked=copies, repeats=0.0)
    dev = next(rung for rung in found.rungs if rung.name == "dev")
    assert (dev.error, dev.raw) == (pytest.approx(0.4), pytest.approx(0.2))
    assert found.verdict.text.endswith("without them the error is 40.0 %, not 20.0 %.")
    assert found.advice[0].settings == ("split.duplicates",)
    assert "20.0 % with them" in ladder_text(found)


@pytest.mark.parametrize("dev", [0.02, 0.1, 0.3])
def test_numbers_nobody_can_reach_are_not_printed(dev):
    found = judged(dev, dev + 0.001, None, examples=300)
    counts = re.findall(r"about ([\d,]*\d)", f"{found.verdict.text} {' '.join(one.action for one in found.advice)}")
    assert all(int(count.replace(",", "")) <= 30 * 300 for count in counts)
    assert len(set(counts)) <= 1  # one number for one question


def test_a_gap_that_is_surely_there_and_large_is_called_one():
    # 41.3 % of 150 against 30.6 % of 1,000: +10.7 with an interval from 2 to 19 points, and a floor of 4.1
    splits = {"train": split("train", 0.306, 1000), "dev": split("dev", 62 / 150, 150)}
    found = diagnose(splits, human=[0.3])
    gap = found.gaps[1]
    assert gap.floor / 2 < gap.low < gap.floor
    assert found.verdict.gap == "variance"


def test_where_few_examples_limit_all_it_is_said_once():
    found = judged(0.0, 0.15, floor(0.15), num_train=120, examples=200)
    assert sum(one.action.startswith("get more") for one in found.advice) == 1


def test_a_train_error_of_0_makes_no_sentence_about_bias_where_references_are_known():
    found = judged(0.0, 0.002, floor(0.002, best=0.01), examples=300)
    assert "avoidable bias" not in found.verdict.text
    assert "no cheap reference does better (nearest neighbours 1.0 % on dev)" in found.verdict.text


def test_no_sentence_says_there_is_nothing_where_another_says_there_may_be():
    splits = {"train": split("train", 0.30, 1000), "dev": split("dev", 0.28, 50)}
    found = diagnose(splits, human=[0.3])
    assert "could be as large as" in found.verdict.text
    assert not any("no variance to reduce" in note for note in found.notes)
    assert "no variance" not in ladder_text(found)


def test_wrong_examples_are_counted_only_where_an_answer_is_right_or_wrong():
    half = pl.DataFrame({"id": [f"{i}" for i in range(200)], "error": [0.5] * 200})
    splits = {name: Evaluation(name, SHARE, half) for name in ("train", "dev")}
    actions = [advice.action for advice in diagnose(splits, floor=floor(0.5, best=0.5), num_train=200).advice]
    assert not any("(about" in action for action in actions)
