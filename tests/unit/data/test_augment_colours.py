"""Colours: brightness, contrast, saturation and hue against Pillow and colour science, PCA colour against NumPy."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from gnomon.data import augment
from gnomon.data.augment import LUMA, draw_colours, draw_pca, recolour

COVARIANCE = [[0.06, 0.05, 0.04], [0.05, 0.07, 0.05], [0.04, 0.05, 0.08]]


def picture(seed=0, low=60, high=190):
    return np.random.default_rng(seed).integers(low, high, (9, 11, 3), dtype=np.uint8)


def as_floats(pixels):
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float()


def changed(monkeypatch, pixels, *, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0):
    """The picture with exactly these changes."""
    drawn = (torch.tensor([[brightness, contrast, saturation, hue]]) + 1) / 2
    monkeypatch.setattr(augment.torch, "rand", lambda *_args, **_more: drawn)
    found = recolour(as_floats(pixels), {"colour": 1.0}, torch.Generator())
    return found[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("change", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
@pytest.mark.parametrize("by", [-0.3, 0.2])
def test_brightness_contrast_and_saturation_are_those_of_pillow(monkeypatch, change, enhance, by):
    pixels = picture()
    theirs = np.asarray(enhance(Image.fromarray(pixels)).enhance(1 + by), dtype=float)
    ours = changed(monkeypatch, pixels, **{change: by})
    assert np.abs(ours - theirs).max() <= 1.5  # Pillow rounds the grey it blends with


def test_hue_turns_by_the_angle_and_leaves_grey_and_luma(monkeypatch):
    red = np.full((2, 2, 3), (180, 80, 80), np.uint8)
    turned = changed(monkeypatch, red, hue=1.0)[0, 0] / 255
    hue = colorsys.rgb_to_hsv(*turned)[0] * 360
    assert min(hue, 360 - hue) == pytest.approx(45, abs=8)  # degrees, of a circle that HSV makes a hexagon
    grey = np.full((2, 2, 3), 120, np.uint8)
    np.testing.assert_allclose(changed(monkeypatch, grey, hue=0.7, saturation=0.4), grey, atol=1e-3)
    mixed = picture(1, 100, 150)
    np.testing.assert_allclose(
        changed(monkeypatch, mixed, hue=-0.8, saturation=-0.5) @ np.array(LUMA), mixed @ np.array(LUMA), atol=1e-2
    )


def test_colours_are_cut_off_at_black_and_white(monkeypatch):
    found = changed(monkeypatch, picture(2, 0, 256), brightness=0.9)
    assert found.min() >= 0
    assert found.max() == 255


def test_grey_pictures_get_brightness_and_contrast_alone():
    values = torch.rand(500, 1, 4, 4) * 255
    matrix, offset = draw_colours(values, 0.4, torch.Generator().manual_seed(0))
    assert matrix.shape == (500, 1, 1)
    # at the picture's mean only brightness shows: a factor from 0.6 to 1.4
    mean = values.mean(dim=(1, 2, 3))
    factor = (matrix[:, 0, 0] * mean + offset[:, 0]) / mean
    assert 0.6 <= factor.min() < 0.63
    assert 1.37 < factor.max() <= 1.4 + 1e-5


def test_pca_colour_is_the_numpy_formula_on_the_same_draws():
    found = draw_pca(6, 0.1, COVARIANCE, torch.Generator().manual_seed(4)).numpy()
    alpha = 0.1 * torch.randn(6, 3, generator=torch.Generator().manual_seed(4)).double().numpy()
    variances, axes = np.linalg.eigh(np.array(COVARIANCE))
    expected = np.stack([sum(axes[:, k] * np.sqrt(variances[k]) * row[k] for k in range(3)) for row in alpha])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pca_colour_spreads_as_the_training_pixels_do():
    shifts = draw_pca(40_000, 0.1, COVARIANCE, torch.Generator().manual_seed(0)).double().numpy()
    np.testing.assert_allclose(np.cov(shifts, rowvar=False) * 100, COVARIANCE, atol=0.002)


def test_pca_colour_moves_all_pixels_of_a_picture_alike():
    values = 100 + 50 * torch.rand(4, 3, 5, 5)
    moved = recolour(values, {"pca": 0.1}, torch.Generator().manual_seed(1), COVARIANCE) - values
    torch.testing.assert_close(moved, moved[:, :, :1, :1].expand_as(moved), atol=1e-4, rtol=0)
    assert moved.abs().max() > 1
