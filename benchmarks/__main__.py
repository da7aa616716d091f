"""The table: `python -m benchmarks` runs every stack in its own process, in turn, and prints and records the ratios."""

from __future__ import annotations

import argparse
import datetime
import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import memory, start_up
from benchmarks.one import WORKLOADS
from benchmarks.stacks import NEEDS, STACKS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.md"
PACKAGES = ("gnomon", "torch", "keras", "lightning", "skorch", "jax", "scikit-learn", "numpy")
MEASURED = "gnomon"  # the stack that the others are compared with


@dataclass
class Tally:
    """All runs of one stack on one workload."""

    epochs: int
    runs: list[dict[str, Any]] = field(default_factory=list)

    def counted(self, limit: float, wanted: int) -> list[dict[str, Any]]:
        """The first clean runs; where there are too few, those with the least done by others."""
        clean = [run for run in self.runs if run["others"] <= limit]
        return clean[:wanted] if len(clean) >= wanted else sorted(self.runs, key=lambda run: run["others"])[:wanted]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", default=[], help="W1 to W4, start, memory; larger, improve (on their own)")
    parser.add_argument("--repeats", type=int, default=5, help="clean repeats a stack (default 5)")
    parser.add_argument("--seconds", type=float, default=20.0, help="training a repeat, after its warm-up epoch")
    parser.add_argument("--stacks", nargs="*", default=list(STACKS), help="only these stacks")
    parser.add_argument("--limit", type=float, default=0.05, help="share of CPU taken by others in a clean repeat")
    parser.add_argument("--no-record", action="store_true", help=f"do not append to {RESULTS.name}")
    options = parser.parse_args(arguments)
    text = [f"## {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d %H:%M} UTC", "", machine(), ""]
    for what in options.what or [*WORKLOADS, "start", "memory"]:
        table = TABLES.get(what) or (lambda name=what: workload_table(name, options))
        lines = table()
        print("\n".join(lines), flush=True)
        text += [*lines, ""]
    if not options.no_record:
        with RESULTS.open("a") as file:
            file.write("\n".join(text) + "\n")


def improve_table() -> list[str]:
    return list(importlib.import_module("benchmarks.improve").lines_of([]))


TABLES = {"start": start_up.table, "memory": memory.table, "larger": memory.larger_table, "improve": improve_table}


def workload_table(name: str, options: argparse.Namespace) -> list[str]:
    """Run one workload and write its table."""
    work = importlib.import_module(WORKLOADS[name]).WORKLOAD
    tallies: dict[str, Tally] = {}
    for stack in chosen(options.stacks, work.hidden_of_scikit_learn is not None):
        say(f"{name} {stack}: how long is an epoch?")
        epoch = run_stack(name, stack, 3)["seconds"][-1]
        tallies[stack] = Tally(max(2, math.ceil(options.seconds / epoch)) + 1)
    peaks = []
    for repeat in range(2 * options.repeats):  # as many again where others disturbed
        waiting = [
            stack
            for stack, tally in tallies.items()
            if sum(run["others"] <= options.limit for run in tally.runs) < options.repeats
        ]
        if not waiting:
            break
        peaks.append(run_child("benchmarks.peak"))
        for stack in waiting:
            run = run_stack(name, stack, tallies[stack].epochs)
            tallies[stack].runs.append(run)
            say(f"{name} {repeat + 1} {stack}: {run['rate']:,.0f}/s, others {run['others']:.0%}")
    peak = max(one["all"] for one in peaks)
    ceiling = f"fp32 matrix product: {peak:.0f} GF/s, one thread {max(one['one'] for one in peaks):.0f}"
    head = [f"### {name}: {work.title}", "", f"{ceiling}; {work.flops / 1e6:.2f} MFLOP an example and step", ""]
    return head + rows(tallies, work.flops, peak, options)


def rows(tallies: Mapping[str, Tally], flops: int, peak: float, options: argparse.Namespace) -> list[str]:
    """The table as lines of Markdown."""
    counted = {stack: tally.counted(options.limit, options.repeats) for stack, tally in tallies.items()}
    rate = {stack: median(run["rate"] for run in runs) for stack, runs in counted.items()}
    lines = [
        f"| stack | samples/s | lowest - highest | {MEASURED} / it | % of peak | CPU of others | repeats | loss |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for stack in sorted(counted, key=lambda stack: -rate[stack]):
        runs = counted[stack]
        rates = [run["rate"] for run in runs]
        others = [run["others"] for run in runs]
        clean = sum(share <= options.limit for share in others)
        ratio = f"{rate[MEASURED] / rate[stack]:.2f}" if MEASURED in rate else ""
        lines.append(
            f"| {stack} | {rate[stack]:,.0f} | {min(rates):,.0f} - {max(rates):,.0f} | {ratio} "
            f"| {rate[stack] * flops / 1e9 / peak:.0%} | {median(others):.0%}, at most {max(others):.0%} "
            f"| {len(runs)} ({clean} clean) | {median(run['loss'] for run in runs):.3f} |"
        )
    return lines


def chosen(wanted: Iterable[str], with_scikit_learn: bool) -> list[str]:
    """The stacks that are wanted, fit the workload and are installed."""
    stacks = []
    for stack in wanted:
        if stack == "scikit-learn" and not with_scikit_learn:
            continue
        if importlib.util.find_spec(NEEDS.get(stack, "torch")) is None:
            say(f"{stack}: left out, {NEEDS[stack]} is not installed")
            continue
        stacks.append(stack)
    return stacks


def run_stack(name: str, stack: str, epochs: int) -> dict[str, Any]:
    return run_child("benchmarks.one", name, stack, str(epochs))


def run_child(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module in a process of its own; the last line it prints is its answer."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def machine() -> str:
    """Processor, cores, versions."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    known = {name: version(name) for name in PACKAGES}
    versions = ", ".join(f"{name} {number}" for name, number in known.items() if number)
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}; {versions}"


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
