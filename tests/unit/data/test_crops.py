"""Views of pictures at test time, beside NumPy's padding and slicing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnomon.data.crops import COUNTS, cropped


def by_numpy(pictures: np.ndarray, count: int, down: int, across: int) -> list[np.ndarray]:
    """Pictures (N, H, W, C) padded with their border, and cut: centre, four corners; the mirror images behind them."""
    height, width = pictures.shape[1:3]
    padded = np.pad(pictures, ((0, 0), (down, down), (across, across), (0, 0)), mode="edge")
    places = [(down, across), (0, 0), (0, 2 * across), (2 * down, 0), (2 * down, 2 * across)]
    cut = [padded[:, top : top + height, left : left + width] for top, left in places[: 1 if count < 5 else 5]]
    return cut + [view[:, :, ::-1] for view in cut] if count in (2, 10) else cut


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("height", "width", "down", "across"), [(28, 28, 1, 1), (12, 64, 1, 2), (70, 33, 2, 1)])
def test_views_are_those_cut_from_the_padded_picture_by_numpy(count, height, width, down, across):
    # 3.5 % of 28, 64, 70 and 33 pixels, rounded, is 1, 2, 2 and 1; of 12 it would be none, and is one
    pictures = np.random.default_rng(0).integers(0, 256, (3, height, width, 3), dtype=np.uint8)
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    found = list(cropped(images, count))
    wanted = by_numpy(pictures, count, down, across)
    assert len(found) == count == len(wanted)
    for view, expected in zip(found, wanted, strict=True):
        assert view.dtype == torch.uint8
        assert np.array_equal(view.permute(0, 2, 3, 1).numpy(), expected)


def test_the_first_view_is_the_picture_itself():
    images = torch.rand(2, 1, 9, 7)
    assert all(torch.equal(next(cropped(images, count)), images) for count in COUNTS)


@pytest.mark.parametrize("channels", [1, 3])
def test_views_lie_in_memory_as_the_pictures_do(channels):
    # otherwise a kernel for another layout is chosen, and the last digit of an answer depends on it
    images = torch.rand(2, 9, 7, channels).permute(0, 3, 1, 2)
    assert {view.stride() for view in cropped(images, 10)} == {images.stride()}


def test_one_view_at_a_time_is_in_memory():
    images = torch.zeros(1, 1, 8, 8)
    views = cropped(images, 10)
    assert iter(views) is views  # made one after the other
