"""Defaults: known keys, models that build, sizes that make sense."""

import pytest
import torch

from gnomon.core import found
from gnomon.core.family import PictureInputs, SeriesInputs, TableInputs, TextInputs, Wanted
from gnomon.core.settings import Settings, fill
from gnomon.core.settings.keys import value_of


def image_defaults(num_train, height, width, channels, model="convnet"):
    inputs = PictureInputs(channels, height, width, (0.5,) * channels, (0.2,) * channels)
    return {"model.name": model, **found.family(model).defaults(model, inputs, num_train)}


def table_defaults(num_train, model="dense"):
    return {"model.name": model, **found.family(model).defaults(model, TableInputs(20), num_train)}


def built(settings, inputs, num_outputs):
    family = found.family(settings.model.name)
    own = family.settings.model_validate(settings.model.own)
    return family.build(Wanted(settings.model.name, inputs, own, settings.regularise.dropout, num_outputs))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (8, 8), (12, 30), (28, 28), (32, 32), (64, 64), (96, 80)])
@pytest.mark.parametrize("num_train", [1, 30, 1437])
def test_image_defaults_are_known_settings_and_build_a_model(num_train, size, channels):
    settings = fill(Settings(), image_defaults(num_train, *size, channels))
    model = built(settings, PictureInputs(channels, *size, (0.5,) * channels, (0.2,) * channels), 5)
    assert model(torch.zeros(2, channels, *size, dtype=torch.uint8)).shape == (2, 5)


@pytest.mark.parametrize("num_train", [1, 120, 1600, 60_000, 5_000_000])
def test_table_defaults_are_known_settings_and_build_a_model(num_train):
    settings = fill(Settings(), table_defaults(num_train))
    model = built(settings, TableInputs(20), 3)
    assert model(torch.zeros(2, 20)).shape == (2, 3)


def test_every_default_that_the_loop_needs_is_given():
    needed = {
        "model.name", "init.name", "regularise.weight_decay", "regularise.dropout", "optimiser.name",
        "optimiser.learning_rate", "optimiser.batch_size", "schedule.name", "stop.epochs",
    }  # fmt: skip
    assert needed <= set(image_defaults(100, 28, 28, 1))
    assert needed <= set(table_defaults(100))


def test_letters_are_not_mirrored_and_photos_are():
    assert image_defaults(1000, 28, 28, 1)["regularise.augment"] == "shift"
    assert image_defaults(1000, 32, 32, 3)["regularise.augment"] == "shift,mirror"


def test_more_examples_are_seen_less_often():
    seen = [image_defaults(n, 28, 28, 1)["stop.epochs"] for n in (100, 1_000, 10_000, 100_000, 10_000_000)]
    assert seen == sorted(seen, reverse=True)
    seen = [table_defaults(n)["stop.epochs"] for n in (100, 1_000, 10_000, 100_000, 10_000_000)]
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("model", ["dense", "logistic"])
def test_nets_that_know_no_places_are_not_shown_moved_pictures(model):
    assert image_defaults(1000, 28, 28, 1, model)["regularise.augment"] == "none"


INPUTS = {
    "picture": PictureInputs(3, 64, 64, mean=(0.5,) * 3, std=(0.2,) * 3),
    "table": TableInputs(20),
    "text": TextInputs(100, 20),
    "series": SeriesInputs(3, 20),
}


@pytest.mark.parametrize("name", found.family_names())
def test_a_recipe_says_nothing_that_would_not_be_filled_in(name):
    """A setting whose default is a value, not None, stays as it is: what a recipe says of it would be dead letters."""
    family = found.family(name)
    said = [key for kind in family.takes if kind in INPUTS for key in family.defaults(name, INPUTS[kind], 1000)]
    assert [key for key in said if value_of(Settings(), key) is not None] == []
