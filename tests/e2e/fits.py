"""Start gnomon commands, stop them in every way, and hold two runs against each other byte for byte."""

from __future__ import annotations

import atexit
import functools
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gnomon.runs.folder import RunFolder

PATIENCE = 240  # seconds that a command may take on a busy machine
TIME_COLUMNS = ("seconds", "examples_per_second")
TIMES_OF_OUTCOME = ("seconds", "training_seconds")

CAN_MOUNT = (
    os.path.exists("/usr/bin/unshare")
    and subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
)

# Everything that draws on chance or has a memory of its own.
EVERYTHING_ON = (
    "regularise.dropout=0.3", "augment=shift+mirror", "label_smoothing=0.1", "ema=0.9", "clip_norm=1",
    "normalisation=batch", "schedule=cosine", "weight_decay=0.01",
)  # fmt: skip


@dataclass
class Job:
    """A gnomon command at work, or done."""

    folder: Path
    started: float = field(default_factory=time.monotonic)
    took: float = 0.0  # seconds, once it is done

    @property
    def pid(self) -> int:
        return int(_content(self.folder / "pid", self.started + PATIENCE))

    @property
    def is_done(self) -> bool:
        return (self.folder / "code").exists()

    def wait(self) -> int:
        """The exit code; minus the number of the signal that ended it, if one did."""
        code = int(_content(self.folder / "code", self.started + PATIENCE))
        self.took = time.monotonic() - self.started
        return code

    def send(self, number: int) -> None:
        """Signal it, if it still runs."""
        if not self.is_done:
            os.kill(self.pid, number)

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()


def _content(path: Path, deadline: float) -> str:
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not come: {(path.parent / 'stderr').read_text()[-2000:]}")
        time.sleep(0.005)
    return path.read_text()


class Server:
    """The process that all jobs are forked from."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
        command = [sys.executable, str(Path(__file__).with_name("fit_server.py"))]
        if CAN_MOUNT:
            command = ["unshare", "--mount", "--propagation", "private", *command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
        self.numbers = itertools.count()
        atexit.register(self.close)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def start(
        self, *arguments: object, jobs: Path, cwd: Path | None = None, hook: Mapping[str, Any] | None = None,
        environment: Mapping[str, str | None] | None = None,
    ) -> Job:  # fmt: skip
        """Begin `gnomon ARGUMENTS`; its output goes to a new folder in `jobs`."""
        return self._order(
            jobs,
            {
                "arguments": [str(argument) for argument in arguments],
                "cwd": str(cwd or Path.cwd()),
                "environment": dict(environment or {}),
                "hook": dict(hook or {}),
            },
        )

    def shell(self, command: str, jobs: Path) -> None:
        """Carry out a shell command where jobs see its mounts, and nobody else does."""
        job = self._order(jobs, {"shell": command, "cwd": str(jobs), "environment": {}})
        if job.wait() != 0:
            raise RuntimeError(f"{command}: {job.stderr}")

    def _order(self, jobs: Path, order: Mapping[str, Any]) -> Job:
        folder = jobs / f"job{next(self.numbers)}"
        folder.mkdir(parents=True)
        self.process.stdin.write(json.dumps({**order, "folder": str(folder)}).encode() + b"\n")
        self.process.stdin.flush()
        return Job(folder)


@functools.cache
def server() -> Server:
    """The one server of this test process, started when first asked for."""
    return Server()


def real_command(*arguments: object, cwd: Path | None = None, **options: Any) -> subprocess.Popen:
    """`gnomon ARGUMENTS` as a person starts it: a process of its own, imports and all."""
    command = [sys.executable, "-m", "gnomon", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("environment", {})}
    return subprocess.Popen(command, cwd=cwd, env=environment, text=True, **options)


# --- what a run holds -------------------------------------------------------------------------------------------------
def only_run(runs: Path) -> Path:
    """The one run in a runs folder."""
    (found,) = [path.parent for path in runs.glob("*/*/manifest.json") if path.parents[1].name != "latest"]
    return found


def result(run: Path) -> dict[str, Any]:
    """Everything of a finished run that must not depend on how often it was interrupted."""
    folder = RunFolder.open(run)
    outcome = {key: value for key, value in folder.load_outcome().items() if key not in TIMES_OF_OUTCOME}
    return {
        "weights": (run / "model" / "weights.safetensors").read_bytes(),
        "facts": json.loads((run / "model" / "task.json").read_bytes())["facts"],
        "predictions": {path.name: path.read_bytes() for path in sorted((run / "predictions").iterdir())},
        "history": history(run),
        "outcome": outcome,
        "diagnosis": _without(("command", "seconds"), (run / "diagnosis.json").read_text()),  # which name runs and time
    }


def _without(names: tuple[str, ...], text: str) -> list[str]:
    """The lines of a JSON file without those of some keys."""
    return [line for line in text.splitlines() if not line.strip().startswith(tuple(f'"{name}":' for name in names))]


def history(run: Path) -> list[dict[str, Any]]:
    """The rows, without the columns that tell the time."""
    rows = RunFolder.open(run).history.read()
    return [{key: value for key, value in row.items() if key not in TIME_COLUMNS} for row in rows]


def assert_same(run: Path, expected: Mapping[str, Any]) -> None:
    """The run's result is the one expected, byte for byte; all its files are good and nothing is left over."""
    found = result(run)
    differing = [name for name in expected if found[name] != expected[name]]
    assert differing == [], (run, differing)
    folder = RunFolder.open(run)
    assert folder.check().bad == ()
    epochs = [row["epoch"] for row in folder.history.read()]
    assert epochs == list(range(1, len(epochs) + 1))
    with folder.lock():
        pass
    left = [path.name for path in run.rglob("*") if ".tmp-" in path.name or path.name.endswith(".replaced")]
    assert left == []


def tree_state(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file below `folder` with its time of change and SHA-256."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder",
        )
        for path in sorted(folder.rglob("*"))
    }


def shell_code(code: int) -> int:
    """The code as a shell shows it: 128 + n for a process that signal n ended."""
    return 128 - code if code < 0 else code


KILL = int(signal.SIGKILL)
