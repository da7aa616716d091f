"""What the axes of an array are: taken from the shape where it can be one thing, asked for where it can be two."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.core.errors import DataError
from gnomon.core.settings import from_flat
from gnomon.data.layouts import channels_first, layout_of
from gnomon.data.opening import open_source
from gnomon.workflow.road.open import Opened
from gnomon.workflow.road.recognise import recognise


def task_of(shape, **settings):
    source = open_source((np.random.default_rng(0).random(shape), np.arange(shape[0]) % 2))
    return recognise(Opened(from_flat(settings), source, None, None))


@pytest.mark.parametrize(
    ("shape", "task"),
    [
        ((9, 28, 28), "image"), ((9, 20, 64), "image"), ((9, 32, 32, 3), "image"), ((9, 3, 32, 32), "image"),
        ((9, 1, 64), "signal"), ((9, 64, 1), "signal"),
        ((9, 1, 8, 32, 32), "volume"), ((9, 8, 32, 32, 3), "volume"),
        ((9, 5), "tabular"),
    ],
)  # fmt: skip
def test_a_shape_that_can_be_one_thing_needs_no_layout(shape, task):
    assert task_of(shape).task.name == f"{task}_classification"


@pytest.mark.parametrize(
    ("shape", "layouts"),
    [
        ((9, 3, 64), ("NHW", "NCT", "NTC")), ((9, 64, 3), ("NHW", "NCT", "NTC")),
        ((9, 16, 64, 64), ("NDHW",)), ((9, 16, 8, 32, 32), ("NCDHW", "NDHWC")), ((9, 3, 3, 3, 3), ("NCDHW", "NDHWC")),
    ],
)  # fmt: skip
def test_a_shape_that_can_be_two_things_is_refused_with_the_layouts_to_choose_from(shape, layouts):
    with pytest.raises(DataError, match="could be") as caught:
        task_of(shape)
    assert "x".join(map(str, shape)) in caught.value.what
    assert [word.strip(".") for word in caught.value.fix.split() if word.startswith("layout=")] == [
        f"layout={one}" for one in layouts
    ]
    for one in layouts:
        assert task_of(shape, layout=one)


@pytest.mark.parametrize(
    ("layout", "shape", "first"),
    [
        ("NT", (2, 7), (2, 1, 7)), ("NCT", (2, 3, 7), (2, 3, 7)), ("NTC", (2, 7, 3), (2, 3, 7)),
        ("NDHW", (2, 4, 5, 6), (2, 1, 4, 5, 6)), ("NCDHW", (2, 3, 4, 5, 6), (2, 3, 4, 5, 6)),
        ("NDHWC", (2, 4, 5, 6, 3), (2, 3, 4, 5, 6)),
    ],
)  # fmt: skip
def test_channels_come_first_and_every_value_keeps_its_place(layout, shape, first):
    array = np.arange(np.prod(shape)).reshape(shape)
    moved = channels_first(array, layout)
    assert moved.shape == first
    place = dict(zip(layout, (index - 1 for index in shape), strict=True))
    inner = [place[letter] for letter in "CTDHW" if letter in layout]
    assert moved[(1, *([0] if "C" not in layout else []), *inner)] == array[tuple(index - 1 for index in shape)]


def test_a_layout_that_contradicts_the_array_is_refused():
    with pytest.raises(DataError, match=r"names 3 axes .examples, channels, steps., and the array of 9x2x3x4 has 4"):
        layout_of((9, 2, 3, 4), "NCT", "signal", "here")
    with pytest.raises(DataError, match="layout=NHW is of pictures, not of signals"):
        layout_of((9, 2, 3), "NHW", "signal", "here")
    with pytest.raises(DataError, match="cannot be volumes"):
        layout_of((9, 2, 3), None, "volume", "here")


def test_a_chosen_task_leaves_only_its_own_layouts():
    assert layout_of((9, 5), None, "signal", "here") == "NT"
    assert layout_of((9, 3, 64), None, "signal", "here") == "NCT"
    assert layout_of((9, 3, 64), None, "picture", "here") == "NHW"
    assert layout_of((9, 16, 64, 64), None, "volume", "here") == "NDHW"
    with pytest.raises(DataError, match="layout=NCT or layout=NTC"):
        layout_of((9, 12, 64), None, "signal", "here")
