"""Only knobs of the link at fault are turned; what was learned moves them up and down."""

from __future__ import annotations

import pytest
from standing import PICTURE_CLASSES, TABLE_CLASSES, standing

from gnomon.core.settings import flat, from_flat, rows
from gnomon.strategy.improve_turns import Learned, by_gain, ordered, to_found_rate, turns_of

EASING = {"less weight decay", "less dropout", "no augmentation", "no L2"}  # knobs of fit-dev, turned back

TABLE = {
    "model": "dense", "hidden": (64, 64), "normalisation": "none", "dropout": (0.2,),
    "weight_decay": 0.5, "optimiser": "adamw", "learning_rate": 2e-3, "batch_size": 32, "epochs": 60,
}  # fmt: skip
LOGISTIC = {key: value for key, value in TABLE.items() if key not in ("hidden", "normalisation")} | {
    "model": "logistic"
}
PICTURES = {
    "model": "convnet", "channels": (32, 64), "hidden": (128,),
    "normalisation": "batch", "dropout": (0.3,), "weight_decay": 0.05, "augment": "shift", "optimiser": "adamw",
    "learning_rate": 4e-3, "batch_size": 64, "epochs": 30,
}  # fmt: skip


def here(start, *, abilities=None, **other):
    usual = PICTURE_CLASSES if start.get("model") == "convnet" else TABLE_CLASSES
    return standing(abilities=usual if abilities is None else abilities, **{**start, **other})


def settings(start, **other):
    return here(start, **other).settings


def named(links, start, **other):
    return {turn.name: turn for turn in turns_of(links, here(start, **other))}


@pytest.mark.parametrize("start", [TABLE, PICTURES])
@pytest.mark.parametrize("link", ["fit-train", "fit-dev"])
def test_every_knob_that_is_turned_declares_the_link(start, link):
    """Turned back, a knob of fit-dev helps to fit train: it may be, and it must say that it turns both."""
    declared = {row.key: row.links for row in rows(from_flat({"model": start["model"]}))}
    turns = turns_of((link,), here(start))
    assert turns
    for turn in turns:
        for key in turn.changes:
            assert link in declared[key] or turn.name in EASING
        if turn.name in EASING:
            assert link == "fit-train"
            assert "fit-dev" in turn.caution


def test_variance_is_not_answered_with_a_larger_network_nor_bias_with_dropout():
    assert not {"wider", "deeper", "longer", "larger model"} & named(("fit-dev",), PICTURES).keys()
    assert not {"more dropout", "more weight decay", "more augmentation"} & named(("fit-train",), PICTURES).keys()


def test_early_stopping_says_that_it_turns_two_links():
    turn = named(("fit-train",), TABLE, patience=5)["no early stopping"]
    assert turn.changes == {"stop.patience": 0}
    assert "fit-dev" in turn.caution


def test_tables_are_not_augmented_and_numbers_not_smoothed():
    assert "more augmentation" not in named(("fit-dev",), TABLE)
    assert "label smoothing" not in named(("fit-dev",), TABLE, abilities=frozenset())
    assert "label smoothing" in named(("fit-dev",), TABLE)


def test_every_turn_gives_settings_that_can_be_used():
    for start in (TABLE, PICTURES, LOGISTIC, {**PICTURES, "dropout": (0.1, 0.3)}):
        for turn in turns_of(("fit-train", "fit-dev"), here(start)):
            changed = from_flat({**settings(start), **turn.changes})
            assert flat(changed) != settings(start), turn.name


def test_a_logistic_model_gets_hidden_layers_and_no_dropout():
    found = named(("fit-train", "fit-dev"), LOGISTIC)
    assert found["larger model"].changes == {"model.name": "dense"}
    assert not {"wider", "more dropout", "less dropout", "batch norm"} & found.keys()


def test_one_layer_more_takes_one_dropout_more_where_each_has_its_own():
    deeper = named(("fit-train",), TABLE, hidden=(64, 32), dropout=(0.1, 0.3))["deeper"]
    assert deeper.changes == {"model.hidden": [64, 32, 32], "regularise.dropout": [0.1, 0.3, 0.3]}


def test_a_label_says_where_the_knob_stands_and_where_it_goes():
    wider = named(("fit-train",), TABLE)["wider"]
    assert wider.label(settings(TABLE)) == "hidden 64,64 -> 128,128"


def test_the_order_is_gain_by_cost_and_what_failed_goes_down():
    turns = turns_of(("fit-train",), here(TABLE))
    first = ordered(turns, [])
    free = [turn.expected for turn in first if turn.cost == 1]
    assert free == sorted(free, reverse=True)
    places = {turn.name: place for place, turn in enumerate(first)}
    assert places["wider"] > places["higher rate"]  # 0.12 at three times the cost, now and later, against 0.06 for free
    worst = ordered(turns, [Learned(first[0].name, -0.2), Learned(first[0].name, -0.2)])
    assert worst[-1].name == first[0].name
    assert worst[-1].expected < 0


def fitting(turns, room):
    """The names of the turns that a probe gets to, with room for this many trainings of the current system."""
    names = []
    for turn in turns:
        if turn.cost <= room:
            names.append(turn.name)
            room -= turn.cost
    return names


def test_a_probe_measures_the_largest_hopes_before_its_time_is_over():
    # as where a table's nets were 64-64 with a decay of 0.5: width and decay were what helped
    turns = turns_of(("fit-train",), here(TABLE))
    gains = [turn.expected for turn in by_gain(turns)]
    assert gains == sorted(gains, reverse=True)
    assert {"wider", "less weight decay"} <= set(fitting(by_gain(turns), 5))
    assert "wider" not in fitting(ordered(turns, []), 5)


def test_what_helped_once_is_tried_further():
    turns = turns_of(("fit-train",), here(TABLE, weight_decay=0.05, dropout=(0.1,)))
    assert ordered(turns, [Learned("deeper", 0.5)])[0].name == "deeper"


def test_a_range_test_is_heeded_where_the_rate_is_far_off_and_the_more_the_further():
    assert not to_found_rate(settings(TABLE), 4e-3)
    assert not to_found_rate(settings(TABLE), None)
    near, far = (to_found_rate(settings(TABLE), rate)[0] for rate in (2e-2, 2e-6))
    assert near.changes == {"optimiser.learning_rate": 2e-2}
    assert far.expected == pytest.approx(0.1 * 3)
    assert far.expected > near.expected


def test_a_step_up_and_one_down_again_end_where_they_began():
    up = named(("fit-train",), TABLE, learning_rate=0.012)["higher rate"].changes["optimiser.learning_rate"]
    assert named(("fit-train",), TABLE, learning_rate=up)["lower rate"].changes == {"optimiser.learning_rate": 0.012}
