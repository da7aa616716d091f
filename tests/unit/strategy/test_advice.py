"""Advice names knobs of the link at fault only, from where the settings stand."""

from __future__ import annotations

import polars as pl
import pytest
from standing import PICTURE_CLASSES, TABLE_CLASSES, standing

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.settings import Settings, from_flat, full_key, rows
from gnomon.strategy.advice import _from_train, _in_folds
from gnomon.strategy.commands import Commands
from gnomon.strategy.floor import Floor, Reference
from gnomon.strategy.ladder import diagnose
from gnomon.strategy.verdict import Known
from gnomon.strategy.wording import ladder_text

LINKS = {row.key: row.links for row in rows(from_flat({"model": "dense"}))}


def split_of(name, wrong, total):
    table = pl.DataFrame(
        {"id": [f"{name}-{i}" for i in range(total)], "error": [1.0] * wrong + [0.0] * (total - wrong)}
    )
    return Evaluation(name, SHARE, table)


def advise(train, dev, *, train_dev=None, test=None, human=(0.0,), settings=None, num_train=None, total=2000):
    """Errors in percent of 2,000 examples a split."""
    given = {"train": train, "train_dev": train_dev, "dev": dev, "test": test}
    evaluations = {
        name: split_of(name, round(error * total / 100), total) for name, error in given.items() if error is not None
    }
    return diagnose(evaluations, human=human, here=settings, num_train=num_train)


def settings(*, abilities=TABLE_CLASSES, **values):
    return standing(abilities=abilities, **values)


VERDICTS = {
    "avoidable bias": ({"train": 20, "dev": 21}, {"fit-train"}),
    "variance": ({"train": 0, "dev": 20}, {"fit-dev"}),
    "data mismatch": ({"train": 0, "train_dev": 1, "dev": 20}, {"fit-dev"}),
    "overfitting to dev": ({"train": 0, "dev": 1, "test": 20}, {"fit-test"}),
}


@pytest.mark.parametrize("name", VERDICTS)
@pytest.mark.parametrize("given", [None, settings(model="dense", hidden="64", epochs=5, patience=3, optimiser="sgd")])
def test_advice_lists_two_to_four_knobs_of_the_link_at_fault_alone(name, given):
    errors, links = VERDICTS[name]
    found = advise(**errors, settings=given)
    assert found.verdict.contenders == (name,)
    assert {one.link for one in found.advice} == links
    assert 2 <= len(found.advice) <= 4
    for one in found.advice:
        if "not orthogonal" not in one.why:
            assert all(links <= set(LINKS[key]) for key in one.settings)


def test_a_mismatch_is_no_reason_to_regularise():
    found = advise(0, 20, train_dev=1, settings=settings(model="dense"))
    assert all(one.settings == () for one in found.advice)


def test_two_contenders_are_both_heard_in_turn():
    found = advise(15, 30)
    assert {one.link for one in found.advice[:2]} == {"fit-train", "fit-dev"}


def test_knobs_start_from_where_the_settings_stand():
    found = advise(0, 20, settings=settings(dropout=0, weight_decay=0.001), num_train=5912)
    actions = [one.action for one in found.advice]
    assert "dropout 0 -> 0.2" in actions
    assert "weight_decay 0.001 -> 0.004" in actions
    assert "now 5,912" in actions[0]


def test_a_larger_and_longer_trained_network_for_bias():
    actions = [
        one.action for one in advise(20, 21, settings=settings(model="dense", hidden="256,128", epochs=20)).advice
    ]
    assert "hidden 256,128 -> 512,256" in actions
    assert "epochs 20 -> 40" in actions


def test_a_straight_line_gets_hidden_layers_first():
    actions = [one.action for one in advise(20, 21, settings=settings(model="logistic")).advice]
    assert actions[0] == "model logistic -> dense"


def test_what_is_turned_far_enough_is_not_advised_again():
    given = settings(
        dropout="0.6", weight_decay=5, label_smoothing=0.1, ema=0.99, model="dense", hidden="4096", epochs=2000
    )
    assert not any(one.settings for one in advise(0, 20, settings=given).advice)
    actions = [one.action for one in advise(20, 21, settings=given).advice]
    assert not any(action.startswith(("hidden 4096 -> 8192", "epochs")) for action in actions)


def test_dropout_is_no_knob_of_a_model_without_hidden_units():
    found = advise(0, 20, settings=settings(model="logistic"))
    assert all(one.settings != ("regularise.dropout",) for one in found.advice)


def test_pictures_are_augmented_tables_are_not():
    def keys(given):
        return [key for one in advise(0, 20, settings=given).advice for key in one.settings]

    assert "regularise.augment" in keys(settings(abilities=PICTURE_CLASSES, augment="none"))
    assert "regularise.augment" not in keys(settings(augment="none"))


def test_early_stopping_is_marked_as_turning_two_links():
    found = advise(20, 21, settings=settings(patience=5, epochs=1000))
    patience = next(one for one in found.advice if one.settings == ("stop.patience",))
    assert patience.action == "patience 5 -> 0"
    assert "not orthogonal: also acts on fit-dev" in patience.why


def test_every_advised_change_is_one_the_settings_take():
    given = settings(model="dense", hidden="64", epochs=5, optimiser="sgd", patience=2, dropout="0.1")
    for found in (advise(20, 21, settings=given), advise(0, 20, settings=given)):
        for one in found.advice:
            if one.settings:
                for key, change in zip(one.settings, one.action.split(", "), strict=True):
                    name, _, arrow = change.partition(" ")
                    value = arrow.rpartition(" ")[2]
                    assert full_key(name) == key
                    assert isinstance(from_flat({name: "" if value == "none" else value}), Settings)


def test_an_undecided_ladder_asks_for_dev_examples_only():
    found = advise(4, 5, human=(0.04,), total=1000)
    assert found.verdict.gap is None
    assert [one.link for one in found.advice] == ["fit-test"]
    assert "more dev examples" in found.advice[0].action


def test_nobody_is_sent_for_more_examples_than_can_be_had():
    found = advise(0, 0, human=(0.0,), total=36)  # no error at all on 36: a tenth of a point would take 100,000s
    assert found.verdict.gap is None
    (first,) = found.advice
    assert first.action == "get more dev examples: about 310 (now 36)"  # 36 (9.64 / 1.96 * 2.80 / (9.64 / 2 - 0.1))^2
    assert "variance could be as large as 9.6 points; this many would detect half of that" in first.why


def test_a_large_dev_set_that_hides_next_to_nothing_is_large_enough():
    found = advise(0, 0, human=(0.0,), total=5000)  # at most 0.08 points could be hiding, a tenth of a point is nothing
    assert {one.link for one in found.advice} == {"real-world"}


def test_a_small_dev_set_beside_a_large_test_set_is_what_hides_overfitting():
    evaluations = {
        "train": split_of("train", 1000, 2000),
        "dev": split_of("dev", 23, 60),
        "test": split_of("test", 1020, 2000),
    }
    found = diagnose(evaluations, human=[0.5])
    assert found.verdict.gap is None
    assert found.advice[0].action == "get a larger dev set (now 60)"
    assert "overfitting to dev could be as large as 24" in found.advice[0].why


def test_an_error_far_below_what_people_reach_is_too_good_to_be_true():
    found = advise(1, 1, human=(0.2,))
    assert found.advice[0].action == "look for an input that gives the target away"
    assert "the dev error of 1.0 % is less than half the human level (20.0 %)" in found.advice[0].why
    assert found.advice[0].settings == ("data.ignore",)


@pytest.mark.parametrize(("train", "dev", "human"), [(1, 1, (0.02,)), (8, 10, (0.15,)), (0.3, 0.4, (0.005,))])
def test_doing_better_than_people_is_not_too_good_to_be_true(train, dev, human):
    assert all("gives the target away" not in one.action for one in advise(train, dev, human=human).advice)


def test_not_one_error_is_too_good_where_some_hundred_examples_were_judged():
    assert "gives the target away" in advise(0, 0, human=None, total=2000).advice[0].action
    assert all("gives the target away" not in one.action for one in advise(0, 0, human=None, total=100).advice)


def test_starting_weights_far_from_the_usual_are_brought_back_before_the_network_is_enlarged():
    given = settings(model="dense", hidden="64", activation="tanh", init={"name": "xavier", "scale": 30.0})
    first = advise(20, 21, settings=given).advice[0]
    assert (first.action, first.settings) == ("scale 30 -> 1", ("init.scale",))
    zeros = advise(20, 21, settings=settings(model="dense", hidden="64", init="zeros")).advice[0]
    assert zeros.action == "init zeros -> he"
    usual = advise(20, 21, settings=settings(model="dense", hidden="64", init={"name": "he", "scale": 1.5})).advice
    assert all("init" not in key for one in usual for key in one.settings)


def test_sigmoid_units_may_become_relu():
    keys = [
        one.action for one in advise(20, 21, settings=settings(model="dense", hidden="64", activation="tanh")).advice
    ]
    assert "activation tanh -> relu" in keys


def test_unknown_people_are_measured_before_the_network_is_enlarged():
    found = advise(20, 20, human=None)
    assert [one.settings for one in found.advice if "human" in one.action] == [("goal.human",)]
    assert {one.link for one in found.advice} <= {"fit-train", "fit-test"}


def test_leaks_come_before_everything():
    evaluations = {"train": split_of("train", 0, 100), "dev": split_of("dev", 30, 100)}
    found = diagnose(evaluations, leaked={"dev": ["dev-99"]})
    assert found.advice[0].settings == ("split.duplicates",)
    assert len(found.advice) <= 4


def test_a_single_copy_is_noted_but_does_not_lead_the_advice():
    few = diagnose(planted_for_copies(), leaked={"dev": ["dev 0"]})
    assert any("1 example of dev is in train" in note for note in few.notes)
    assert all("copies" not in advice.action for advice in few.advice)
    many = diagnose(planted_for_copies(), leaked={"dev": [f"dev {i}" for i in range(30)]})
    assert "remove the copies" in many.advice[0].action


def planted_for_copies():
    """1,000 examples a split, a tenth of them wrong."""

    def table(split):
        return pl.DataFrame(
            {"id": [f"{split} {i}" for i in range(1000)], "error": [float(i % 10 == 0) for i in range(1000)],
             "weight": [1.0] * 1000}
        )  # fmt: skip

    return {split: Evaluation(split, SHARE, table(split)) for split in ("train", "dev")}


def test_a_model_without_widths_is_not_told_to_be_wider():
    advice = diagnose(planted_for_copies(), human=[0.0], here=settings(model="logistic")).advice
    assert any("logistic -> dense" in item.action for item in advice)
    assert all("hidden" not in item.action and "channels" not in item.action for item in advice)


def commands(pool):
    return Commands("runs/one", "people.csv", {"model.name": "dense"}, pool)


def test_more_dev_examples_out_of_train_come_with_their_price():
    # 600 of 12,000 are dev, 600 test; 0.06 x 12,000 = 720 dev examples leave 10,800 - 120 of train
    words, command = _from_train(701, 600, Known(num_train=10_800, commands=commands(12_000)))
    assert words == ", or take them from train, which keeps 10,680 of 10,800"
    assert command == "gnomon fit people.csv model=dense dev=0.06"


def test_no_command_takes_more_than_a_quarter_of_train_for_dev():
    evaluations = {"train": split_of("train", 4, 228), "dev": split_of("dev", 1, 36)}
    found = diagnose(evaluations, human=[0.02], num_train=228, commands=commands(300))
    first = next(one for one in found.advice if one.action.startswith("get more dev examples"))
    assert "from train" not in first.action
    assert first.command == ""
    shown = " ".join(ladder_text(found).split())
    assert first.why in shown  # with no command, the reason is shown in full
    assert shown.count(" 1. ") == 1


def test_a_dev_set_of_the_user_is_not_enlarged_by_a_share():
    assert _from_train(701, 600, Known(num_train=10_800, commands=commands(None))) == ("", "")


@pytest.mark.parametrize(
    ("given", "pool", "words"),
    [
        ({}, 1797, ", or judge all 1,438 of train and dev in folds"),  # 1,438 / 2.25 = 639 > 1.5 x 359
        ({"split.folds": 5}, 1797, ""),
        ({"data.time": "day"}, 1797, ""),
        ({}, 20_000, ""),
        ({}, None, ""),
    ],
)
def test_a_small_set_can_be_judged_in_folds(given, pool, words):
    guess = Reference("always '3'", 0.9, 0.88, 0.92, -0.9, -0.92, -0.88, 0.001)
    known = Known(num_train=1079, commands=Commands("runs/one", "digits", given, pool), floor=Floor(guess, (), 1.0))
    assert _in_folds(359, known) == (words, "gnomon fit digits folds=5" if words else "")
