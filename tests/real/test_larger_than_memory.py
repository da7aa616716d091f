"""Pictures that take 3 GB are trained on by a process that may take 1.5 GB, about as fast as from memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PICTURES, SIDE, PARTS = 64_000, 128, 64  # 64,000 x 128 x 128 x 3 bytes are 3.1 GB
LIMIT = 1536 << 20


def write_part(folder: Path, part: int) -> None:
    """Smooth coloured pictures, brighter at the top in one class, at the bottom in the other."""
    rng = np.random.default_rng(part)
    ramp = np.linspace(-40, 40, SIDE)[:, None, None]
    for number in range(PICTURES // PARTS):
        name = ("above", "below")[number % 2]
        level = rng.integers(70, 180, size=3)[None, None] + (ramp if name == "below" else -ramp)
        waves = 20 * np.sin(np.linspace(0, rng.uniform(3, 30), SIDE))[None, :, None]
        pixels = np.clip(level + waves, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{part}-{number}.jpg", quality=60)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    for name in ("above", "below"):
        (folder / name).mkdir()
    with ProcessPoolExecutor() as pool:
        list(pool.map(write_part, repeat(folder), range(PARTS)))
    return folder


def fit(pictures: Path, runs: Path, limit: int | None) -> dict:
    """The last row of the history, and what the process held of its own at most (bytes)."""
    code = (
        "import json, gnomon, pathlib\n"
        f"run = gnomon.fit({str(pictures)!r}, model='logistic', image_size={SIDE}, epochs=2, batch_size=64, dev=1000 / "
        f"{PICTURES}, test=0, threads=1, runs_folder={str(runs)!r})\n"
        "print(json.dumps(run.history[-1]))\n"
    )

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=limited, check=False, timeout=1800,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_three_gigabytes_of_pictures_train_in_half_the_memory_as_fast(pictures, tmp_path):
    small = fit(pictures, tmp_path / "small", LIMIT)
    large = fit(pictures, tmp_path / "large", None)
    ratio = small["examples_per_second"] / large["examples_per_second"]
    print(f"\n{ratio:.2f} of the pace without a limit ({large['examples_per_second']:,.0f} pictures/s)")
    assert small["train_loss"] == large["train_loss"]
    assert small["dev_error"] == large["dev_error"]
    assert ratio > 0.5  # 0.8 is aimed at; a busy machine shakes it
