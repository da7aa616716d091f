"""Values are drawn on the right scale, widths become lists, ranges are read as people write them."""

from __future__ import annotations

from collections import Counter

import pytest
from standing import standing

from gnomon.core.errors import UsageError
from gnomon.search.default_space import divided_values, space_of
from gnomon.search.space import Dimension, Space, from_json, to_json

RATE = Dimension("learning_rate", "optimiser.learning_rate", "log", 1, 1e-3, 1e-4, 1e-2)
BETA = Dimension("momentum", "optimiser.momentum", "1 - beta, log", 2, 0.9, 0.9, 0.999)
BATCH = Dimension("batch_size", "optimiser.batch_size", "powers of two", 2, 32, 8, 256)
DENSE = {
    "model": "dense", "hidden": "64,64", "optimiser": "adamw", "learning_rate": 2e-3, "batch_size": 32,
    "weight_decay": 0.5, "dropout": 0.2, "epochs": 20,
}  # fmt: skip


def test_half_of_the_learning_rates_lie_below_the_geometric_mean():
    # 1e-4 to 1e-2: sqrt(1e-4 * 1e-2) = 1e-3
    assert RATE.at(0.5) == pytest.approx(1e-3)
    assert (RATE.at(0), RATE.at(1)) == (1e-4, 1e-2)


def test_beta_is_sampled_by_its_averaging_window():
    # 1/(1 - beta) averages over 10 steps at 0.9 and over 1000 at 0.999; half-way on a log scale is 100: beta 0.99
    assert BETA.at(0.5) == pytest.approx(0.99)
    assert (BETA.at(0), BETA.at(1)) == (0.9, 0.999)


def test_every_power_of_two_is_as_likely():
    drawn = Counter(BATCH.at((i + 0.5) / 6000) for i in range(6000))
    assert set(drawn) == {8, 16, 32, 64, 128, 256}
    assert all(abs(count - 1000) <= 1 for count in drawn.values())


def test_every_whole_number_of_a_short_range_is_as_likely():
    layers = Dimension("layers", "model.hidden", "whole", 3, 2, 1, 4)
    drawn = Counter(layers.at((i + 0.5) / 4000) for i in range(4000))
    assert drawn == {1: 1000, 2: 1000, 3: 1000, 4: 1000}


@pytest.mark.parametrize("one", [RATE, BETA, BATCH, Dimension("units", "model.hidden", "whole, log", 2, 64, 4, 512)])
def test_a_value_is_placed_where_it_was_drawn(one):
    for i in range(21):
        value = one.at(i / 20)
        assert one.low <= value <= one.high
        assert one.at(one.place(value)) == value


def test_units_and_layers_make_the_list_of_widths():
    space = space_of(standing(**DENSE), {}, frozenset())
    changes = space.changes({**space.defaults, "units": 100, "layers": 3})
    assert changes["model.hidden"] == [100, 100, 100]


def test_the_defaults_leave_widths_as_they_were_equal_or_not():
    space = space_of(standing(**{**DENSE, "hidden": "256,64"}), {}, frozenset())
    assert space.changes(space.defaults)["model.hidden"] == [256, 64]


def test_channels_double_from_stage_to_stage():
    base = standing(model="convnet", channels="32,64", learning_rate=4e-3, batch_size=64)
    space = space_of(base, {}, frozenset())
    assert space.changes({**space.defaults, "channels": 10})["model.channels"] == [10, 20]


def test_the_learning_rate_comes_first_then_beta_batch_and_units_then_depth_and_decay():
    space = space_of(standing(**DENSE), {}, frozenset())
    tiers = {tier: {one.name for one in space if one.tier == tier} for tier in space.tiers}
    assert tiers[1] == {"learning_rate"}
    assert tiers[2] == {"momentum", "batch_size", "units"}
    assert tiers[3] == {"layers", "weight_decay", "dropout"}


def test_a_setting_given_one_value_does_not_vary():
    space = space_of(standing(**DENSE), {}, frozenset({"optimiser.learning_rate", "model.hidden"}))
    assert {"learning_rate", "units", "layers"}.isdisjoint(space.defaults)


def test_a_range_of_the_user_takes_the_place_of_the_usual_one():
    fixed, varied = divided_values({"learning_rate": "1e-5..1e-2", "epochs": "7", "layers": "2..3"})
    assert fixed == {"epochs": "7"}
    space = space_of(standing(**DENSE), varied, frozenset())
    assert (space["learning_rate"].low, space["learning_rate"].high) == (1e-5, 1e-2)
    assert (space["layers"].low, space["layers"].high) == (2, 3)


def test_lists_of_widths_and_paths_with_dots_are_values_not_ranges():
    values = {"hidden": "256,128", "target_data": "../phone", "dropout": "0.1,0.2"}
    fixed, varied = divided_values(values)
    assert fixed == values
    assert varied == {}


def test_choices_are_written_with_commas_or_bars():
    _, varied = divided_values({"schedule": "cosine,constant", "hidden": "64,64|128"})
    space = space_of(standing(**DENSE), varied, frozenset())
    assert space["schedule"].choices == ("cosine", "constant")
    assert space["hidden"].choices == ("64,64", "128")
    assert space["hidden"].default == "64,64"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"learning_rate": "1e-1..1e-4"},
            r"its first end must be below its second. Fix: give the smaller end first: learning_rate=1e-4..1e-1",
        ),
        ({"weight_decay": "0..0.1"}, r"its scale is logarithmic, and must not reach 0. Fix: begin the range above 0"),
        (
            {"learning_rate": "small..0.1"},
            r"'small' is not a number. Fix: write it as low..high: learning_rate=1e-4..1e-1",
        ),
        ({"dropout": "0..1.5"}, r"regularise.dropout=1.5 cannot be used"),
        ({"batch_size": "9..15"}, r"contains no power of two"),
        ({"layers": "0..2"}, r"whole number from 1 up"),
        ({"seed": "1..5"}, r"seed is the same for all trials"),
        ({"schedule": "cosine,cosine"}, r"leaves only one choice"),
        ({"schedule": "a..b"}, r"is not a number"),
        ({"learning_rat": "1e-4..1e-1"}, r"did you mean optimiser.learning_rate"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(values, text):
    with pytest.raises(UsageError, match=text):
        space_of(standing(**DENSE), divided_values(values)[1], frozenset())


def test_a_search_with_nothing_to_vary_is_refused():
    every = frozenset({"optimiser.learning_rate", "optimiser.momentum", "optimiser.batch_size", "model.hidden",
                       "regularise.weight_decay", "regularise.dropout"})  # fmt: skip
    with pytest.raises(UsageError, match="nothing is left to vary"):
        space_of(standing(**DENSE), {}, every)


def test_a_space_survives_json():
    _, varied = divided_values({"schedule": "cosine,constant"})
    space = space_of(standing(**DENSE), varied, frozenset())
    assert from_json(to_json(space)) == space
    assert isinstance(space, Space)
