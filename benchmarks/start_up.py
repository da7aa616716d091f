"""Seconds from the command to something happening: `import gnomon`, `gnomon --help`, the first step of `gnomon fit`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from statistics import median

REPEATS = 7

# Waits in a thread until the loop's module is there, wraps its step, and says when the first one has been made.
FIRST_STEP = """
import os, sys, threading, time

def watch():
    while "gnomon.training.loop" not in sys.modules or not hasattr(sys.modules["gnomon.training.loop"], "step"):
        time.sleep(0.002)
    loop = sys.modules["gnomon.training.loop"]
    make_step = loop.step

    def first(*args):
        value = make_step(*args)
        os.write(3, str(time.time()).encode())
        os._exit(0)

    loop.step = first

threading.Thread(target=watch, daemon=True).start()
sys.argv = ["gnomon", "fit", "digits"]
from gnomon.cli import main
main()
"""


def table() -> list[str]:
    """The figures as lines of Markdown: median of seven, the files of the packages being in the disk cache."""
    gnomon = os.path.join(os.path.dirname(sys.executable), "gnomon")
    figures = {
        "python -c pass": _whole([sys.executable, "-c", "pass"]),
        "python -c 'import gnomon'": _whole([sys.executable, "-c", "import gnomon"]),
        "gnomon --help": _whole([gnomon, "--help"]),
        "python -c 'import torch'": _whole([sys.executable, "-c", "import torch"]),
        "gnomon fit digits, to its first step": [_to_first_step() for _ in range(REPEATS + 1)][1:],
    }
    lines = ["### Start-up", "", "| command | seconds | lowest - highest |", "|---|---:|---:|"]
    return lines + [
        f"| {command} | {median(seconds):.2f} | {min(seconds):.2f} - {max(seconds):.2f} |"
        for command, seconds in figures.items()
    ]


def _whole(command: list[str]) -> list[float]:
    seconds = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def _to_first_step() -> float:
    """Seconds from starting the process to the end of the first training step."""
    read, write = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        process = subprocess.Popen(
            [sys.executable, "-c", f"import os; os.dup2({write}, 3)\n{FIRST_STEP}"],
            cwd=folder,
            pass_fds=[write],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as pipe:
            said = pipe.read()
        process.wait()
    if not said:
        raise SystemExit("gnomon fit digits ended without a training step")
    return float(said) - began


if __name__ == "__main__":
    print("\n".join(table()))
