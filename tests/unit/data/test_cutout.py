"""Cutout: one square of each picture is hidden, anywhere, and nothing else changes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from gnomon.data.augment import cutout


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3]), st.integers(0, 99))
def test_what_is_hidden_is_a_rectangle_with_its_centre_in_the_picture(height, width, pixels, channels, seed):
    images = torch.full((5, channels, height, width), 200, dtype=torch.uint8)
    fill = [float(10 * i + 1) for i in range(channels)]
    changed = cutout(images, pixels, fill, torch.Generator().manual_seed(seed))
    assert changed.shape == images.shape
    assert changed.dtype == images.dtype
    for picture in changed:
        hidden = picture != 200
        assert (hidden == hidden[0]).all()  # the same places in every channel
        rows, columns = hidden[0].any(1).nonzero().flatten(), hidden[0].any(0).nonzero().flatten()
        for places, length in ((rows, height), (columns, width)):
            assert torch.equal(places, torch.arange(int(places[0]), int(places[-1]) + 1))
            at_border = int(places[0]) == 0 or int(places[-1]) == length - 1
            assert len(places) == pixels or (at_border and min(pixels // 2, length) <= len(places) < pixels)
        assert hidden[0].sum() == len(rows) * len(columns)
        for channel, value in enumerate(fill):
            assert (picture[channel][hidden[channel]] == value).all()


def test_every_place_is_hidden_about_as_often_as_the_centres_say():
    images = torch.ones(20_000, 1, 8, 8)
    hidden = (cutout(images, 4, [0.0], torch.Generator().manual_seed(0)) == 0).double().mean(0)[0]
    row = torch.tensor([min(8, i + 3) - max(0, i - 1) for i in range(8)]) / 8  # centres whose square has place i
    torch.testing.assert_close(hidden, torch.outer(row, row).double(), atol=0.015, rtol=0)


def test_the_memory_format_stays():
    images = torch.zeros(4, 3, 8, 8).to(memory_format=torch.channels_last)
    assert cutout(images, 4, [1.0] * 3, torch.Generator()).is_contiguous(memory_format=torch.channels_last)
