"""One stack, one workload, one process: prints one line of JSON. `python -m benchmarks.one W1 skorch 5`."""

from __future__ import annotations

import importlib
import json
import logging
import os
import resource
import sys
import time
import warnings

WORKLOADS = {
    "W1": "benchmarks.w1_dense",
    "W2": "benchmarks.w2_conv",
    "W3": "benchmarks.w3_resnet20",
    "W4": "benchmarks.w4_mobilenet",
}
TICKS = os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """Seconds all cores together have been busy since the machine started (Linux)."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, irq, softirq, steal, *_ = (int(part) for part in file.readline().split()[1:])
    return (user + nice + system + irq + softirq + steal) / TICKS


def own_seconds() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in usage)


def main(name: str, stack: str, epochs: int) -> dict[str, object]:
    """Train; the first epoch is the warm-up and is not among the rates."""
    from benchmarks.stacks import STACKS

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    work = importlib.import_module(WORKLOADS[name]).WORKLOAD
    busy, own, began = busy_seconds(), own_seconds(), time.perf_counter()
    seconds, loss = STACKS[stack](work, epochs)
    wall = time.perf_counter() - began
    others = (busy_seconds() - busy) - (own_seconds() - own)
    return {
        "seconds": seconds,
        "rate": work.rows * len(seconds[1:]) / sum(seconds[1:]),
        "loss": loss,
        "others": max(0.0, others) / (wall * (os.cpu_count() or 1)),
        "wall": wall,
    }


if __name__ == "__main__":
    answer = main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print("\n" + json.dumps(answer))
