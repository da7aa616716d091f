"""The equations give the numbers printed elsewhere."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gnomon.reference import activations, averages, convolution, pooling, schedules

NUMBERS = tomllib.loads((Path(__file__).parent / "numbers.toml").read_text())
VERTICAL = np.array([[1.0, 0.0, -1.0]] * 3)


def _edges(picture):
    X = np.array(picture, dtype=float)[None, None]
    return convolution.conv_forward(X, VERTICAL[None, None], np.zeros(1), stride=(1, 1), padding=(0, 0))[0, 0]


def _rates():
    return [schedules.inverse_decay(0.2, decay=1, epoch=epoch) for epoch in (1, 2, 3, 4)]


def _first_two_days():
    """v1 for theta1 = 40, then the weights of theta1 and theta2 in v2."""
    first = averages.weighted_averages(np.array([40.0]), beta=0.98, is_corrected=False)[0]
    weights = averages.weighted_averages(np.array([[1.0, 0.0], [0.0, 1.0]]), beta=0.98, is_corrected=False)[1]
    return [first, *weights]


def _sizes():
    sizes = [39]
    for kernel, stride in ((3, 1), (5, 2), (5, 2)):
        sizes.append(convolution.output_size(sizes[-1], kernel, stride))
    return sizes[1:]


def _pool(name, forward):
    picture = np.array(NUMBERS[name]["picture"], dtype=float)[None, None]
    return forward(picture, (2, 2), stride=(2, 2))[0, 0]


COMPUTED = {
    "rate_after_epochs_1_to_4": _rates,
    "averages_of_the_first_two_days": _first_two_days,
    "softmax_of_5_2_minus1_3": lambda: activations.softmax(np.array([5.0, 2.0, -1.0, 3.0])),
    "vertical_edge": lambda: _edges([[10, 10, 10, 0, 0, 0]] * 6),
    "edge_of_a_6x6_picture": lambda: _edges(NUMBERS["edge_of_a_6x6_picture"]["picture"]),
    "sizes_after_three_layers": _sizes,
    "max_pool": lambda: _pool("max_pool", pooling.max_pool2d_forward),
    "average_pool": lambda: _pool("average_pool", pooling.average_pool2d_forward),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_the_equations_give_the_printed_number(name):
    assert_allclose(COMPUTED[name](), NUMBERS[name]["value"], rtol=0, atol=NUMBERS[name]["tolerance"])


@pytest.mark.parametrize("name", NUMBERS)
def test_every_golden_number_names_its_source_and_tolerance(name):
    assert NUMBERS[name]["source"]
    assert NUMBERS[name]["tolerance"] >= 0
