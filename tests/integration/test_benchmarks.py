"""The benchmarks still run: each for a moment, on a few pictures made here."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Fashion-MNIST's training half in its own format, 300 pictures of noise."""
    folder = tmp_path_factory.mktemp("data") / "fashion-mnist"
    folder.mkdir()
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (300, 28, 28), dtype=np.uint8), np.arange(300, dtype=np.uint8) % 10
    for name, array in (("images-idx3", pictures), ("labels-idx1", labels)):
        head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
        (folder / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return folder.parent


@pytest.mark.parametrize(
    ("work", "stack"), [("W1", "gnomon"), ("W2", "gnomon, your module"), ("W1", "by hand, 1 thread")]
)
def test_a_stack_trains_and_times_its_epochs(work, stack, data):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.one", work, stack, "3"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "GNOMON_DATA": str(data)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert len(answer["seconds"]) == 3
    assert all(second > 0 for second in answer["seconds"])
    assert np.isfinite(answer["loss"])


def test_the_time_to_the_first_step_is_taken(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import start_up

    assert 0.1 < start_up._to_first_step() < 300
