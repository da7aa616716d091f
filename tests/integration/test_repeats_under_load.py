"""The same seed gives the same weights, whatever else the machine does."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import repeats
import torch

import gnomon
from gnomon.training import threads


@pytest.fixture
def busy_machine(monkeypatch):
    """Two programs that never rest, two threads for torch, and a watch that would look at the load all the time."""
    monkeypatch.setattr(threads, "PER_THREAD", 5e6)  # two threads for steps that take no minutes
    monkeypatch.setattr(threads, "WINDOW", 0.05)
    monkeypatch.setattr(threads, "SETTLED", 0.1)
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    with threads.using(2):
        yield
    for other in others:
        other.kill()
        other.wait()


def trained(seed: int, **settings) -> gnomon.Run:
    rng = np.random.default_rng(0)
    pictures, classes = rng.random((160, 12, 12), dtype=np.float32), rng.integers(0, 3, 160)
    return gnomon.fit((pictures, classes), seed=seed, epochs=4, batch_size=64, channels=(16, 32), **settings)


def weights(run: gnomon.Run) -> bytes:
    return next((run.folder.path / "model").glob("*.safetensors")).read_bytes()


@pytest.mark.usefixtures("busy_machine")
def test_fits_beside_busy_programs_end_with_the_same_bytes():
    runs = [trained(7) for _ in range(3)]
    assert runs[0].settings.machine.threads == 2  # the steps are large enough for both
    assert len({weights(run) for run in runs}) == 1
    assert all("adaptive" not in note for note in runs[0].folder.load_data()["notes"])


@pytest.mark.usefixtures("busy_machine")
def test_a_run_that_follows_the_load_says_so():
    run = trained(7, threads="adaptive")
    assert run.settings.machine.threads == "adaptive"
    assert any("threads=adaptive" in note for note in run.folder.load_data()["notes"])
    assert torch.get_num_threads() == 2  # what was before came back


@pytest.mark.slow
def test_a_command_beside_a_restless_program_ends_with_the_same_weights_killed_or_not():
    ended = repeats.runs(4, 2)
    assert sum(one.kills > 0 for one in ended) >= 2
    assert len({one.weights for one in ended}) == 1
