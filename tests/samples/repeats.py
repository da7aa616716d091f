"""The same fit again and again, beside a program that takes a core now and then; some are killed and resumed.

`python tests/samples/repeats.py 20 8` makes twenty runs, kills at least eight of them, and prints how each one ended.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FIT = ["fit", "digits", "seed=7", "epochs=12", "save_every=0.05"]  # as many checkpoints as fit into a second
PATIENCE = 240  # seconds that a run may take on a busy machine
COMMAND = [sys.executable, "-c", "import sys; from gnomon.cli import main; sys.exit(main(sys.argv[1:]))"]
RESTLESS = """
import random, time
while True:
    busy = time.monotonic() + random.uniform(0.1, 1.5)
    while time.monotonic() < busy: pass
    time.sleep(random.uniform(0.1, 1.5))
"""


@dataclass(frozen=True)
class Ended:
    """One run: the hash of its final weights, and how often it was killed on the way."""

    weights: str
    kills: int
    checkpoints: int  # that were there at the last kill: 0 if it began anew


@contextmanager
def restless_program() -> Iterator[None]:
    other = subprocess.Popen([sys.executable, "-c", RESTLESS])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def one_run(place: Path, chance: random.Random, *, kill: bool) -> Ended:
    """Train in `place`; with `kill`, end the process at a random moment and resume it.

    The moment is within half a second of the run's folder, or, as often, of its first checkpoint.
    """
    words, kills, checkpoints = [*FIT, f"runs_folder={place}"], 0, 0
    while True:
        process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run = None
        if kill and kills == 0:
            run = _folder(place, process, chance.choice(["settings.toml", "checkpoints/[0-9]*/manifest.json"]))
            time.sleep(chance.uniform(0, 0.5))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
        code = process.wait(timeout=PATIENCE)
        if code == -signal.SIGKILL and run is not None:
            kills, checkpoints = kills + 1, len(list((run / "checkpoints").glob("[0-9]*")))
            words = ["fit", "--resume", str(run)]
            continue
        assert code == 0, f"{' '.join(words)} ended with {code}"
        (weights,) = place.glob("*/*/model/weights.safetensors")
        return Ended(hashlib.sha256(weights.read_bytes()).hexdigest(), kills, checkpoints)


def _folder(place: Path, process: subprocess.Popen[bytes], sign: str) -> Path | None:
    """The run's folder as soon as it has that file; None if the process ended before."""
    while process.poll() is None:
        folders = list(place.glob("*/[0-9]*"))  # a run being created begins with a dot
        if folders and any(folders[0].glob(sign)):
            return folders[0]
        time.sleep(0.01)
    return None


def runs(count: int, killed: int, seed: int = 0) -> list[Ended]:
    """So many runs, of which at least `killed` were killed: it is tried with each until so many were."""
    chance, found = random.Random(seed), list[Ended]()
    with restless_program(), tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            lacking = killed - sum(one.kills > 0 for one in found)
            place = Path(folder) / str(number)
            found.append(one_run(place, chance, kill=lacking > 0))
            sys.stdout.write(f"{number + 1:3}  {found[-1]}\n")
            sys.stdout.flush()
    return found


if __name__ == "__main__":
    ended = runs(*map(int, sys.argv[1:3]))
    hashes = {one.weights for one in ended}
    sys.stdout.write(f"{len(ended)} runs, {sum(one.kills > 0 for one in ended)} of them killed and resumed, "
                     f"{sum(one.checkpoints > 0 for one in ended)} from a checkpoint: {len(hashes)} hash(es), "
                     f"on {os.cpu_count()} cores\n")  # fmt: skip
