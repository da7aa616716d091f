"""How fast the studio answers: `python -m benchmarks.studio`, over loopback, on a made-up run of 100,000 examples.

Prints Markdown for results.md and ends with 1 where a goal is missed; the load of the machine stands above the table.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import polars as pl

from benchmarks.__main__ import machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "samples"))

EXAMPLES, WRONG, CLASSES, TAGS = 100_000, 10_000, 10, 5
GOALS = {  # seconds, and the share of times that must stay below
    "first page of the error sheet": (0.300, 0.95),
    "setting a tag": (0.050, 0.95),
    "from starting the process to the list of runs": (1.0, 0.95),
    "a tag of one of 16 processes that write at once": (0.100, 0.99),
}
WRITERS, WORDS = 16, 1_000
WRITER = """
import json, sys, time
from pathlib import Path
from gnomon.runs.tags import TagEvent, TagStore

store, seconds = TagStore(Path(sys.argv[1])), []
for number in range(int(sys.argv[3])):
    began = time.perf_counter()
    store.record([TagEvent("dev", f"{sys.argv[2]}-{number}", "tag", "label wrong", "1")], sys.argv[2])
    seconds.append(time.perf_counter() - began)
print(json.dumps(seconds))
"""


class Studio:
    """`gnomon studio` in a process of its own, and one browser's connection to it."""

    def __init__(self, runs: Path) -> None:
        self.began = time.perf_counter()
        words = [sys.executable, "-m", "gnomon", "studio", str(runs), "--json"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.link = urlsplit(json.loads(self.process.stdout.readline())["link"])
        self.connection = http.client.HTTPConnection(str(self.link.hostname), self.link.port)
        self.cookie = ""
        self.ask("GET", f"{self.link.path}?{self.link.query}")

    def ask(self, method: str, path: str, body: object = None) -> float:
        """Seconds until the whole answer is there."""
        began = time.perf_counter()
        headers = {"Cookie": self.cookie} | ({} if body is None else {"Content-Type": "application/json"})
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} {path} answered {answer.status}")
        self.cookie = (answer.getheader("set-cookie") or self.cookie).partition(";")[0]
        return time.perf_counter() - began

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.communicate(timeout=30)


def plant(runs: Path) -> str:
    """A run without data or model: its tables, diagnosis and history. Returns its path in the studio."""
    import studio_samples as samples

    names = [f"class {number}" for number in range(CLASSES)]
    dev = samples.predictions(EXAMPLES, WRONG, classes=names)
    chances = np.random.default_rng(0).dirichlet(np.ones(CLASSES), EXAMPLES)
    dev = dev.with_columns(pl.Series(f"p.{name}", chances[:, place]) for place, name in enumerate(names))
    return f"/runs/{samples.run_id(samples.plant(runs, dev).path)}"


def written_at_once(run: Path) -> list[float]:
    """Seconds of each of 16 x 1,000 tags that as many processes write into one file."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(run), f"w{each}", str(WORDS)], stdout=subprocess.PIPE, text=True
        )
        for each in range(WRITERS)
    ]
    return [second for each in writers for second in json.loads(each.communicate()[0])]


def opened(runs: Path) -> float:
    """Seconds from starting the process to the list of runs."""
    studio = Studio(runs)
    try:
        studio.ask("GET", "/")
        return time.perf_counter() - studio.began
    finally:
        studio.stop()


def measured(runs: Path, place: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of each thing that a person waits for."""
    from gnomon.studio.sheets import PAGE

    sheet, found = f"{place}/errors/dev", {}
    found["from starting the process to the list of runs"] = [opened(runs) for _ in range(max(3, repeats // 10) + 1)][
        1:
    ]
    cold = []
    for _ in range(3):
        studio = Studio(runs)
        cold.append(studio.ask("GET", sheet))
        studio.stop()
    studio = Studio(runs)
    try:
        studio.ask("GET", sheet)
        time.sleep(5)  # the examples are looked for in the background, in vain
        found["first page of the error sheet"] = [studio.ask("GET", sheet) for _ in range(repeats)]
        found["the same, with the table read from disk"] = cold
        for number in range(TAGS):
            studio.ask("POST", f"{sheet}/tags", {"name": f"tag {number}"})
        events = [
            {"events": [{"position": n, "kind": "tag", "tag": "tag 1", "value": "1"}]} for n in range(5 * repeats)
        ]
        found["setting a tag"] = [studio.ask("POST", f"{sheet}/record", one) for one in events]
        found["undo"] = [studio.ask("POST", f"{sheet}/undo", {}) for _ in range(repeats)]
        found["another page of examples"] = [
            studio.ask("GET", f"{sheet}?part=grid&page={1 + n % (WRONG // PAGE)}") for n in range(repeats)
        ]
        found["a filter by class, answer and confidence"] = [
            studio.ask("GET", f"{sheet}?part=grid&target=class+{n % CLASSES}&low=50&high={60 + n % 40}")
            for n in range(repeats)
        ]
        found["what others said (asked every 2 s)"] = [
            studio.ask("GET", f"{sheet}/changes?since=0") for _ in range(repeats)
        ]
        found["the run's page"] = [studio.ask("GET", place) for _ in range(repeats)]
    finally:
        studio.stop()
    (run,) = runs.glob("*/2*")
    found["a tag of one of 16 processes that write at once"] = written_at_once(run)
    return found


def missed(name: str, seconds: list[float]) -> bool:
    limit, share = GOALS.get(name, (math.inf, 0.95))
    return bool(np.quantile(seconds, share) >= limit)


def table(found: dict[str, list[float]]) -> list[str]:
    """The figures as lines of Markdown."""
    lines = [
        "| what | median, ms | 95 %, ms | 99 %, ms | longest, ms | times | goal |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, seconds in found.items():
        judged = ""
        if name in GOALS:
            limit, share = GOALS[name]
            judged = f"{100 * share:.0f} % below {1000 * limit:.0f} ms: {'missed' if missed(name, seconds) else 'met'}"
        figures = " | ".join(f"{1000 * float(np.quantile(seconds, share)):.0f}" for share in (0.5, 0.95, 0.99, 1))
        lines.append(f"| {name} | {figures} | {len(seconds):,} | {judged} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studio", description=__doc__)
    parser.add_argument("--repeats", type=int, default=100, help="of each page (default 100); tags five times as many")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        found = measured(runs, plant(runs), options.repeats)
    print(f"## {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d %H:%M} UTC: the studio\n")
    print(
        f"{machine()}\n`python -m benchmarks.studio`: {EXAMPLES:,} dev examples of which {WRONG:,} are wrong, {CLASSES}"
        f" classes, {TAGS} tags of one's own, one browser over\nloopback. Load of the machine when it began "
        f"{before:.1f}, when it ended {os.getloadavg()[0]:.1f}.\n"
    )
    print("\n".join(table(found)))
    return int(any(missed(name, seconds) for name, seconds in found.items()))


if __name__ == "__main__":
    sys.exit(main())
