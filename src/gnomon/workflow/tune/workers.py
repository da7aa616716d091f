"""Who runs the trials of a search: this process, or several subprocesses that share the processors."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from gnomon.core.errors import GnomonError, MachineError
from gnomon.core.settings import Settings
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.trial import Trials
from gnomon.workflow.tune.worker import Job, make

LOOK = 0.1  # seconds between checks for a stop
PATIENCE = 5.0  # seconds that a worker gets to exit on its own
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
MOST_WORKERS = 8  # by default: each holds the data


@dataclass(frozen=True)
class Event:
    """Something that happened to a trial: "began", "done" (with its `result`) or "died" (its worker did; `why`)."""

    kind: str
    number: int
    result: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


NextJob = Callable[[], Job | None]
StopAsked = Callable[[], bool]


class Here:
    """Trials one after the other in this process."""

    def __init__(self, prepared: Prepared, opened: Settings, given: frozenset[str], measures: tuple[str, ...]) -> None:
        self.trials = Trials(prepared, opened, given=given)
        self.measures = measures

    def run(self, next_job: NextJob, stop_asked: StopAsked) -> Iterator[Event]:
        """Run the jobs that `next_job` returns until there are none, or a stop is requested."""
        while not stop_asked() and (job := next_job()) is not None:
            yield Event("began", job.number)
            yield Event("done", job.number, make(self.trials, job, measures=self.measures, stop_asked=stop_asked))

    def close(self) -> None:
        pass


def processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes:
    """Trials in `count` processes, each with its own copy of the data and its share of the processors.

    They are plain subprocesses that exchange lines of JSON: nothing is pickled, the caller's script is not imported a
    second time, and each exits on its own when this process is gone.
    """

    def __init__(
        self, count: int, source: str, opened: Settings, given: frozenset[str], measures: tuple[str, ...]
    ) -> None:
        self.threads = max(1, processors() // count)
        self._setup = {
            "source": source, "settings": opened.model_dump(mode="json"), "given": sorted(given),
            "measures": list(measures),
        }  # fmt: skip
        self._inbox: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]] = queue.SimpleQueue()
        self._workers = [self._start() for _ in range(count)]

    def run(self, next_job: NextJob, stop_asked: StopAsked) -> Iterator[Event]:
        """As `Here.run`; a worker that died is replaced. Raises the error of one that could not start."""
        for worker in self._workers:
            if worker.is_ready and worker.job is None:
                yield from self._give(worker, next_job)
        while not stop_asked() and any(worker.job is not None or not worker.is_ready for worker in self._workers):
            try:
                worker, message = self._inbox.get(timeout=LOOK)
            except queue.Empty:
                continue
            if worker not in self._workers:
                continue
            if message is None:
                yield from self._replace(worker)
            elif "fault" in message:
                raise _fault(message["fault"])
            elif "ready" in message:
                worker.is_ready = True
                yield from self._give(worker, next_job)
            else:
                worker.job = None
                yield Event("done", message["number"], message["result"])
                yield from self._give(worker, next_job)

    def close(self) -> None:
        """End every worker; what it was running is lost."""
        for worker in self._workers:
            worker.end()
        self._workers = []

    def _start(self) -> _Worker:
        worker = _Worker(self.threads)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        worker.send(self._setup)
        return worker

    def _listen(self, worker: _Worker) -> None:
        for line in worker.answers:
            with suppress(ValueError):  # a line cut off by its writer's death
                self._inbox.put((worker, json.loads(line)))
        worker.answers.close()
        self._inbox.put((worker, None))

    def _give(self, worker: _Worker, next_job: NextJob) -> Iterator[Event]:
        job = next_job()
        if job is not None:
            worker.job = job
            yield Event("began", job.number)
            worker.send(json.loads(job.to_line()))

    def _replace(self, worker: _Worker) -> Iterator[Event]:
        why = worker.last_words()
        if not worker.is_ready:
            raise MachineError(f"a worker could not start: {why}.", fix="use fewer workers: workers=1.")
        self._workers[self._workers.index(worker)] = self._start()
        if worker.job is not None:
            yield Event("died", worker.job.number, why=why)


def _at_most(threads: int, wanted: str | None) -> str:
    """The share of a worker, or what the user's environment says, if that is less."""
    return str(min(threads, int(wanted)) if wanted is not None and wanted.isdigit() and int(wanted) else threads)


class _Worker:
    """A process that runs trials."""

    def __init__(self, threads: int) -> None:
        self.job: Job | None = None
        self.is_ready = False
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by `end`
        many = {name: _at_most(threads, os.environ.get(name)) for name in THREADS}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gnomon.workflow.tune.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, encoding="utf-8",
            env={**os.environ, **many}, start_new_session=True,  # Ctrl-C is for the driver alone
        )  # fmt: skip
        assert self._process.stdout is not None
        self.answers: IO[str] = self._process.stdout

    def send(self, value: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has died: that will be noticed in a moment
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()

    def last_words(self) -> str:
        """How it died: the signal, or the last line that it wrote."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self._close()
        if code < 0:
            return f"signal {-code}"
        return lines[-1][:200] if lines else f"exit code {code}"

    def end(self) -> None:
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        self._close()

    def _close(self) -> None:
        for stream in (self._process.stdin, self._errors):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _fault(plain: Mapping[str, Any]) -> GnomonError:
    """The error that a worker met, as the same kind of error."""
    kinds = {kind.code: kind for kind in GnomonError.__subclasses__()}
    kind = kinds.get(plain["code"], GnomonError)
    return kind(plain["what"], where=plain["where"], fix=plain["fix"])
