"""Defaults: known keys, models that build, sizes that make sense."""

import pytest
import torch

from gnomon.core.settings import Settings, fill
from gnomon.models import build_image_model, build_table_model
from gnomon.models.defaults import image_defaults, table_defaults


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (8, 8), (12, 30), (28, 28), (32, 32), (64, 64), (96, 80)])
@pytest.mark.parametrize("num_train", [1, 30, 1437])
def test_image_defaults_are_known_settings_and_build_a_model(num_train, size, channels):
    settings = fill(Settings(), image_defaults(num_train, *size, channels))
    model = build_image_model(
        settings.model,
        dropout=settings.regularise.dropout,
        num_outputs=5,
        size=(channels, *size),
        mean=(0.5,) * channels,
        std=(0.2,) * channels,
    )
    assert model(torch.zeros(2, channels, *size, dtype=torch.uint8)).shape == (2, 5)


@pytest.mark.parametrize("num_train", [1, 120, 1600, 60_000, 5_000_000])
def test_table_defaults_are_known_settings_and_build_a_model(num_train):
    settings = fill(Settings(), table_defaults(num_train))
    model = build_table_model(settings.model, dropout=settings.regularise.dropout, num_outputs=3, num_features=20)
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
    assert image_defaults(1000, 32, 32, 3)["regularise.augment"] == "shift+mirror"


def test_more_examples_are_seen_less_often():
    seen = [image_defaults(n, 28, 28, 1)["stop.epochs"] for n in (100, 1_000, 10_000, 100_000, 10_000_000)]
    assert seen == sorted(seen, reverse=True)
    seen = [table_defaults(n)["stop.epochs"] for n in (100, 1_000, 10_000, 100_000, 10_000_000)]
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("model", ["dense", "logistic"])
def test_nets_that_know_no_places_are_not_shown_moved_pictures(model):
    assert image_defaults(1000, 28, 28, 1, model)["regularise.augment"] == "none"
