"""A command that advice gives is one that the command line takes, and means what was meant."""

from __future__ import annotations

import shlex

import pytest

from gnomon.core.settings import flat, from_flat, value_of
from gnomon.strategy.commands import Commands


def commands(data="letter.csv", **given):
    settings = from_flat(given)
    everything = flat(settings)
    return Commands.of("runs/a run", data, everything, [key for key, value in everything.items() if value is not None])


def read(command):
    words = shlex.split(command)
    assert words[:2] == ["gnomon", "fit"]
    return words[2], from_flat(dict(word.split("=", 1) for word in words[3:]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("regularise.dropout", [0.2]), ("regularise.dropout", []), ("regularise.weight_decay", 0.05),
        ("stop.epochs", 40), ("optimiser.learning_rate", 0.0006), ("data.ignore", ("a b", "c")),
        ("split.duplicates", "drop"), ("split.dev", 0.3),
    ],
)  # fmt: skip
def test_a_change_is_read_back_as_it_was_meant(key, value):
    data, settings = read(commands("my data.csv").fit({key: value}))
    assert data == "my data.csv"
    found = value_of(settings, key)
    wanted = value if isinstance(value, str | int | float) else tuple(value) or (0.0,)
    assert found == wanted or (value == [] and not any(found or ()))


def test_what_was_given_before_is_given_again():
    _, settings = read(commands(epochs=7, target="lettr", seed=3).fit({"regularise.dropout": [0.1]}))
    assert (settings.stop.epochs, settings.data.target, settings.seed) == (7, ("lettr",), 3)


def test_a_limit_that_cut_a_run_is_not_given_again():
    assert "max_time" not in commands(max_time=2).fit({"stop.epochs": 40})


def test_another_model_does_not_get_the_settings_of_the_old_one():
    assert "hidden" not in commands(model="dense", hidden="64").fit({"model.name": "logistic"})


def test_a_folder_with_a_space_is_one_word():
    assert shlex.split(commands().verb("errors")) == ["gnomon", "errors", "runs/a run"]
    assert shlex.split(commands().resume("max_time=10m")) == ["gnomon", "fit", "--resume", "runs/a run", "max_time=10m"]
