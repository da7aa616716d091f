"""Signals through a whole fit: sick nets are named from the first epoch on, healthy ones never."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import gnomon
from gnomon.core.layer_signals import findings_of

DEEP = {
    "model": "dense",
    "hidden": (64,) * 50,
    "activation": "tanh",
    "normalisation": "none",
    "dropout": 0,
    "augment": "none",
    "epochs": 2,
}


def said(run):
    """Everything that was said after any epoch."""
    rate = run.settings.optimiser.learning_rate
    looked = [row for row in run.history if row.get("signals")]
    assert looked
    return {finding.trouble for i in range(len(looked)) for finding in findings_of(looked[: i + 1], highest_rate=rate)}


@pytest.mark.parametrize(
    ("start", "trouble"),
    [
        # 16 sqrt(1/64) = 2: weights from N(0, 2²)
        ({"init": {"name": "xavier", "scale": 16.0}}, {"saturated", "exploding"}),
        ({"init": {"name": "xavier", "scale": 2.0}}, {"exploding"}),
        ({"init": {"name": "small"}}, {"vanishing"}),
        ({"init": {"name": "xavier", "scale": 0.01}}, {"vanishing"}),
    ],
    ids=["xavier 16", "xavier 2", "small", "xavier 0.01"],
)
def test_fifty_tanh_layers_that_start_too_large_or_too_small_are_named_after_the_first_epoch(start, trouble):
    run = gnomon.fit("digits", **DEEP, learning_rate=1e-4, **start)
    first = run.history[:1]
    found = findings_of(first, highest_rate=run.settings.optimiser.learning_rate)
    assert trouble <= {finding.trouble for finding in found}
    assert all(finding.layers for finding in found if finding.trouble in trouble)
    html = run.report.read_text()
    assert found[0].text.split(":")[0] in html


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model": "dense"},
        {"model": "lenet5", "data.image_size": 16},
        {"model": "dense", "activation": "tanh", "init": "xavier", "hidden": (64, 64, 64)},
        {"model": "logistic"},
        {"optimiser": "momentum", "learning_rate": 0.05},
        {"optimiser": "sgd", "learning_rate": 0.1, "schedule": "constant", "epochs": 20},
        {"normalisation": "layer", "schedule": "one-cycle"},
    ],
    ids=str,
)
def test_healthy_nets_on_digits_raise_no_alarm(settings, seed):
    assert said(gnomon.fit("digits", seed=seed, **settings)) == set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("source", ["iris", "wine", "breast-cancer", "diabetes"])
def test_healthy_nets_on_tables_raise_no_alarm(source, seed):
    assert said(gnomon.fit(source, seed=seed)) == set()


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("settings", [{}, {"model": "dense", "hidden": (256, 128)}], ids=str)
def test_healthy_nets_on_fashion_raise_no_alarm(real_data, settings):
    def read(name, offset, shape):
        with gzip.open(real_data / "fashion-mnist" / name) as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset).reshape(shape)[:4000]

    pictures = read("t10k-images-idx3-ubyte.gz", 16, (-1, 28, 28))
    labels = read("t10k-labels-idx1-ubyte.gz", 8, (-1,))
    assert said(gnomon.fit((pictures, labels), epochs=6, **settings)) == set()


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "trouble"), [(4.0, "rate too high"), (1e-7, "rate too low")])
def test_a_rate_far_off_is_named(rate, trouble):
    assert trouble in said(gnomon.fit("breast-cancer", learning_rate=rate))
