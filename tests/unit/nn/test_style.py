"""Style losses and their gradients against NumPy in float64; L-BFGS against torch's; sound from its spectrogram."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import stft

from gnomon.nn.griffin_lim import griffin_lim, samples_of, spectrum
from gnomon.nn.lbfgs import Lbfgs
from gnomon.nn.style import gram, relative_square, total_variation
from gnomon.reference import style as reference


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values).requires_grad_()


def test_a_gram_matrix_by_pencil():
    # two channels at two places: (1, 2) and (3, 4); sums of products 5, 11, 25, over two places
    assert reference.gram(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist() == [[2.5, 5.5], [5.5, 12.5]]


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_gram_matrices_and_their_gradient_equal_numpy(memory):
    maps, wanted = draw(5, 6, 7), reference.gram(draw(5, 42, seed=1))
    given = tensor(maps[None]).detach().to(memory_format=memory).requires_grad_()
    loss = relative_square(
        gram(given), torch.from_numpy(wanted), torch.from_numpy(np.square(wanted).sum(keepdims=True))
    )
    loss.sum().backward()
    expected, gradient = reference.style_loss(maps.reshape(5, 42), wanted)
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-12)
    np.testing.assert_allclose(given.grad[0].reshape(5, 42), gradient, rtol=1e-9, atol=1e-15)


def test_the_content_loss_and_its_gradient_equal_numpy():
    maps, wanted = draw(3, 20), draw(3, 20, seed=1)
    given = tensor(maps)
    relative_square(given, torch.from_numpy(wanted), torch.from_numpy(wanted).square().sum()).backward()
    np.testing.assert_allclose(given.grad, reference.content_loss(maps, wanted)[1], rtol=1e-12)


def test_total_variation_of_a_ramp_is_the_sum_of_its_squared_slopes():
    y, x = np.mgrid[:9, :7]
    ramp = 0.25 * y - 0.5 * x
    assert float(total_variation(torch.from_numpy(ramp))) == pytest.approx(0.25**2 + 0.5**2)
    assert float(total_variation(torch.full((3, 9, 7), 0.4))) == 0


def test_total_variation_and_its_gradient_equal_numpy():
    picture = draw(8, 9)
    given = tensor(picture)
    found = total_variation(given)
    found.backward()
    value, gradient = reference.total_variation(picture)
    np.testing.assert_allclose(found.item(), value, rtol=1e-12)
    np.testing.assert_allclose(given.grad, gradient, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("of", ["content_loss", "style_loss"])
def test_the_references_gradients_are_those_of_finite_differences(of):
    maps, wanted = draw(3, 10), draw(3, 10, seed=1) if of == "content_loss" else reference.gram(draw(3, 10, seed=1))
    loss = getattr(reference, of)
    gradient, step = loss(maps, wanted)[1], 1e-6
    for place in ((0, 0), (1, 7), (2, 9)):
        more, less = maps.copy(), maps.copy()
        more[place] += step
        less[place] -= step
        assert (loss(more, wanted)[0] - loss(less, wanted)[0]) / (2 * step) == pytest.approx(gradient[place], rel=1e-6)


def test_lbfgs_takes_the_steps_of_torchs():
    a = torch.from_numpy(draw(12, 12))
    a = a @ a.T + torch.eye(12)
    mine, theirs = torch.from_numpy(draw(12, seed=3)), torch.from_numpy(draw(12, seed=3)).requires_grad_()
    memory = Lbfgs(20, history=4).double()
    peer = torch.optim.LBFGS([theirs], max_iter=1, history_size=4, tolerance_grad=0, tolerance_change=-1)

    def closure() -> torch.Tensor:
        peer.zero_grad()
        loss = 0.5 * theirs @ a @ theirs + theirs.pow(4).sum()
        loss.backward()
        return loss

    for _ in range(15):
        memory.step(mine, a @ mine + 4 * mine.pow(3), 1.0)
        peer.step(closure)
        torch.testing.assert_close(mine, theirs.detach(), rtol=1e-9, atol=1e-12)
    assert float(mine.norm()) < 0.02 * float(np.linalg.norm(draw(12, seed=3)))  # the minimum is at 0


def test_lbfgs_that_forgets_begins_as_a_new_one():
    memory, fresh = Lbfgs(6, history=3), Lbfgs(6, history=3)
    x = torch.linspace(1, 2, 6)
    for _ in range(5):
        memory.step(x, 2 * x, 1.0)
    memory.forget()
    one, two = torch.ones(4), torch.ones(4)
    for _ in range(3):
        memory.step(one, 2 * one - 1, 0.5)
        fresh.step(two, 2 * two - 1, 0.5)
    assert torch.equal(one, two)


def test_sizes_of_a_spectrum_equal_scipys():
    samples = draw(4_000).astype(np.float32)
    _, _, theirs = stft(samples, window="hann", nperseg=256, noverlap=192, boundary="even", padded=False)
    mine = spectrum(torch.from_numpy(samples), 256)
    np.testing.assert_allclose(mine.abs()[:, 2:-2], np.abs(theirs)[:, 2 : mine.shape[1] - 2] * 128, atol=2e-3)


def test_griffin_lim_keeps_a_sound_and_comes_nearer_to_wanted_sizes():
    time = torch.arange(4_000) / 4_000
    sound = torch.sin(2 * torch.pi * (300 * time + 200 * time**2))
    found = spectrum(sound, 256)
    kept = griffin_lim(found.abs(), found / found.abs().clamp_min(1e-12), 256, 4_000, steps=5)
    torch.testing.assert_close(kept, sound, atol=1e-4, rtol=0)
    flat = torch.ones_like(found)  # every phase 0
    made = [spectrum(griffin_lim(found.abs(), flat, 256, 4_000, steps), 256) for steps in (0, 5, 50)]
    off = [float((one.abs() - found.abs()).norm()) for one in made]
    assert off[0] > off[1] > off[2]
    assert off[2] < 0.5 * off[0]
    assert samples_of(found, 256, 4_000).shape == (4_000,)
