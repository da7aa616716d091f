"""Memory that judging a split takes, against the number of its examples: it must not grow with them."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

SIZES = (20_000, 40_000, 80_000, 160_000)  # pictures of 28 x 28 bytes; half of them are judged
ROOT = Path(__file__).resolve().parents[1]


def table() -> list[str]:
    """The figures as lines of Markdown."""
    lines = [
        "### Memory of an evaluation",
        "",
        "| examples | peak above what was there before, MiB | of it the table of results, MiB |",
        "|---:|---:|---:|",
    ]
    for size in SIZES:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.memory", str(size)], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        lines.append(f"| {answer['examples']:,} | {answer['peak'] / 2**20:.0f} | {answer['table'] / 2**20:.1f} |")
    return lines


def measure(size: int) -> dict[str, float]:
    """Fit a small network on a few pictures, then judge it on `size` others."""
    import torch

    import gnomon
    from gnomon.core.settings import from_flat
    from gnomon.training.evaluate import evaluate
    from gnomon.workflow.prepare import prepare

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    labels = np.arange(size) % 10
    pictures = rng.integers(0, 256, (size, 28, 28), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        run = gnomon.fit((pictures[:2000], labels[:2000]), model="lenet5", epochs=1, runs_folder=folder)
        task, model = run.task, run.model
    prepared = prepare((pictures, labels), from_flat({"dev": 0.5, "test": 0}), None)
    examples = prepared.splits["dev"]
    device = torch.device("cpu")
    # a few batches before the count bring in whatever is loaded or allocated once
    evaluate(task, model, examples.take(np.arange(1000)), split="dev", source="", device=device)
    with Watch() as watch:
        judged = evaluate(task, model, examples, split="dev", source="", device=device)
    return {"peak": watch.peak - watch.before, "table": judged.table.estimated_size(), "examples": len(examples)}


class Watch:
    """Looks at the memory of this process every millisecond: the kernel's own maximum cannot be set back."""

    def __enter__(self) -> Watch:
        self.before = self.peak = resident()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.over.wait(0.001):
            self.peak = max(self.peak, resident())


def resident() -> int:
    """Bytes of this process in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    print("\n" + json.dumps(measure(int(sys.argv[1]))))
