"""Normalisation stored in the model."""

import numpy as np
import torch

from gnomon.nn.normalise import Normalise

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6), dtype=np.uint8)


def fitted():
    scaled = IMAGES / 255.0
    return Normalise(scaled.mean((0, 2, 3)).tolist(), scaled.std((0, 2, 3)).tolist())


def test_the_pictures_it_was_fitted_on_get_mean_zero_and_variance_one():
    out = fitted()(torch.from_numpy(IMAGES)).double()
    assert out.mean((0, 2, 3)).abs().max() < 1e-6
    assert (out.var((0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_bytes_and_numbers_from_zero_to_one_give_the_same():
    as_bytes = torch.from_numpy(IMAGES)
    as_numbers = as_bytes.float() / 255
    torch.testing.assert_close(fitted()(as_bytes), fitted()(as_numbers), rtol=0, atol=1e-5)


def test_the_input_is_left_untouched():
    for images in (torch.from_numpy(IMAGES.copy()), torch.from_numpy(IMAGES).float() / 255):
        before = images.clone()
        fitted()(images)
        assert torch.equal(images, before)


def test_a_channel_that_never_varies_is_only_centred():
    out = Normalise([0.5], [0.0])(torch.full((1, 1, 2, 2), 0.75))
    assert out.flatten().tolist() == [0.25] * 4


def test_mean_and_std_travel_with_the_weights():
    other = Normalise([0.0] * 3, [1.0] * 3)
    other.load_state_dict(fitted().state_dict())
    images = torch.from_numpy(IMAGES)
    assert torch.equal(other(images), fitted()(images))


def test_a_float64_model_computes_in_float64():
    assert fitted().double()(torch.from_numpy(IMAGES)).dtype == torch.float64
