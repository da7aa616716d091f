"""From the sizes of a spectrogram back to sound: phases that fit them, found by going back and forth."""

from __future__ import annotations

import torch
from torch import Tensor


def spectrum(samples: Tensor, window: int) -> Tensor:
    """(T,) -> (window / 2 + 1, frames) complex: a Hann window every quarter of its length, mirrored at the ends."""
    return torch.stft(
        samples, window, window // 4, window=torch.hann_window(window), return_complex=True, pad_mode="reflect"
    )


def samples_of(found: Tensor, window: int, length: int) -> Tensor:
    """(window / 2 + 1, frames) complex -> (length,): the sound whose spectrum is nearest."""
    return torch.istft(found, window, window // 4, window=torch.hann_window(window), length=length)


def griffin_lim(sizes: Tensor, phase: Tensor, window: int, length: int, steps: int) -> Tensor:
    """(F, frames) sizes and a first guess of their unit phases, complex -> (length,) samples.

    Each step takes the phases of the nearest sound and keeps the wanted sizes, which never moves further away.
    Source: Griffin & Lim 1984.
    """
    for _ in range(steps):
        found = spectrum(samples_of(sizes * phase, window, length), window)
        phase = found / found.abs().clamp_min(1e-12)
    return samples_of(sizes * phase, window, length)
