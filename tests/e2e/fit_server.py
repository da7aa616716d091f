"""Runs gnomon commands, each in a fresh fork of a process that has imported everything and done nothing yet.

A command of the real program costs seconds of imports; a fork of this one milliseconds. Jobs come as JSON lines on
stdin: {"arguments", "cwd", "environment", "folder", "hook"}. A job's folder receives stdout, stderr, pid and, when the
process has ended, code (negative: the number of the signal that ended it). A job with "shell" is a command of the
shell instead; it sees the mounts that jobs see. `hook` is what befalls the job:

    {"operation": N, "signal": S}       signal S to itself before the N-th file operation of the one writer (from 0)
    {"operation": N, "errno": E}        that operation fails with E, once
    {"call": "module:name", "number": N, "signal": S, "times": T}     T signals to itself before the N-th call (from 1)
    {"count": FILE}                     the names of all file operations, one a line, into FILE
    {"limit": NAME, "size": N}          a resource limit: RLIMIT_FSIZE and the like
    {"encoding": NAME}                  stdout and stderr take no other characters
    {"reader": "gone"}                  whoever read stdout has gone away
"""

from __future__ import annotations

import importlib
import io
import json
import os
import resource
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any


def preload() -> None:
    """Import what a fit, its report and the other verbs import on the way; start no thread and no polars."""
    import matplotlib.figure
    import PIL.Image
    import scipy.stats  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch._dynamo  # noqa: F401

    import gnomon.cli.commands
    import gnomon.cli.show_data
    import gnomon.cli.show_fit
    import gnomon.cli.show_predict
    import gnomon.report
    import gnomon.tasks
    import gnomon.workflow.fit
    import gnomon.workflow.judge.diagnose
    import gnomon.workflow.predict
    import gnomon.workflow.show
    import gnomon.workflow.test

    for name in gnomon.tasks.names():
        gnomon.tasks.load(name)
    PIL.Image.init()
    figure = matplotlib.figure.Figure()  # fills the font cache
    figure.subplots().set_title("Aa")
    for kind in ("svg", "png"):
        figure.savefig(io.BytesIO(), format=kind)


def install(hook: dict[str, Any]) -> None:
    """Let `hook` befall this process."""
    if "limit" in hook:
        resource.setrlimit(getattr(resource, hook["limit"]), (hook["size"], hook["size"]))
    elif "encoding" in hook:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding=hook["encoding"], errors="strict")
    elif "reader" in hook:
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, 1)
        sys.stdout = os.fdopen(1, "w", closefd=False)
    elif "call" in hook:
        module_name, _, attribute = hook["call"].partition(":")
        owner: Any = importlib.import_module(module_name)
        *parents, name = attribute.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        real, seen = getattr(owner, name), 0

        def hooked(*arguments: Any, **keywords: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == hook["number"]:
                for _ in range(hook.get("times", 1)):
                    os.kill(os.getpid(), hook["signal"])
            return real(*arguments, **keywords)

        setattr(owner, name, hooked)
    else:
        from gnomon.runs import writer

        writer.calls = Operations(hook)


class Operations:
    """The writer's file operations, counted, and one of them struck."""

    def __init__(self, hook: dict[str, Any]) -> None:
        from gnomon.runs import writer

        self._real, self._hook, self._count = writer.Calls(), hook, 0
        self._names = os.open(hook["count"], os.O_WRONLY | os.O_CREAT | os.O_APPEND) if "count" in hook else None

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            number, self._count = self._count, self._count + 1
            if self._names is not None:
                os.write(self._names, f"{name} {arguments[0]}\n".encode())
            if number == self._hook.get("operation"):
                if "errno" in self._hook:
                    raise OSError(self._hook["errno"], os.strerror(self._hook["errno"]))
                os.kill(os.getpid(), self._hook["signal"])
            return getattr(self._real, name)(*arguments)

        return call


def work(job: dict[str, Any]) -> int:
    """One command, in the process that is to run it; its exit code."""
    os.chdir(job["cwd"])
    for name, value in job["environment"].items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    folder = Path(job["folder"])
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    if "shell" in job:
        os.execvp("sh", ["sh", "-c", job["shell"]])
    if job["hook"]:
        install(job["hook"])
    sys.argv = ["gnomon", *job["arguments"]]
    from gnomon.cli import main

    try:
        main()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


def mind(job: dict[str, Any]) -> None:
    """Run one command in a child and write down how it ended."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work(job)
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
        except BaseException:  # noqa: BLE001  it ends in the job's stderr
            traceback.print_exc()
        finally:
            os._exit(code)
    folder = Path(job["folder"])
    write(folder / "pid", child)
    write(folder / "code", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def write(path: Path, number: int) -> None:
    """Whole or not at all: somebody waits for it."""
    temporary = path.with_suffix(".new")
    temporary.write_text(str(number))
    temporary.rename(path)


def main() -> None:
    preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the minders are nobody's business
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                mind(json.loads(line))
            finally:
                os._exit(0)


if __name__ == "__main__":
    main()
