"""Pictures that take 3.1 GB are trained on by a process that may take 1.5 GB: with the same result, about as fast."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 1536 << 20
FIT = """
import hashlib, json, sys, gnomon
run = gnomon.fit(
    sys.argv[1], model="logistic", image_size=128, epochs=1, batch_size=64, dev=1000 / 64_000, test=0, threads=1,
    runs_folder=sys.argv[2],
)
weights = b"".join(tensor.numpy().tobytes() for tensor in run.model.state_dict().values())
row = run.history[-1]
print(json.dumps([row["train_loss"], row["dev_error"], hashlib.sha256(weights).hexdigest()]))
"""


def python(*arguments, limit=None, **environment):
    """What a process of its own prints last, from JSON; `limit` in bytes of its own memory."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, preexec_fn=limited, check=False,
        cwd=ROOT, timeout=3000,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """64,000 of 128 x 128 in colour, as JPEG files; those of the benchmark, or of an earlier run of it."""
    if "GNOMON_LARGE" in os.environ:
        return Path(os.environ["GNOMON_LARGE"])
    folder = tmp_path_factory.mktemp("large") / "pictures"
    code = "import pathlib, sys; from benchmarks import memory; memory.write_pictures(pathlib.Path(sys.argv[1]))"
    python("-c", f"{code}; print(0)", folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_three_gigabytes_of_pictures_train_in_half_the_memory_as_fast(pictures):
    told = python("-m", "benchmarks.memory", "larger", "no limit", "ulimit -d", GNOMON_LARGE=str(pictures))
    wall, cpu = told["shares"]["ulimit -d"]
    print(f"\n{wall:.2f} of the pace without a limit, {cpu:.2f} in CPU time")
    assert told["same"]  # losses and weights, bit for bit
    assert wall >= 0.8
    assert told["found"]["ulimit -d"]["again"] < 0.5 * told["found"]["ulimit -d"]["encode"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_fit_in_half_the_memory_is_the_fit_without_a_limit(pictures, tmp_path):
    small = python("-c", FIT, pictures, tmp_path / "small", limit=LIMIT, GNOMON_CACHE=str(tmp_path / "cache"))
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert small == python("-c", FIT, pictures, tmp_path / "large")
