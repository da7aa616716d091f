"""Memory: what judging a split takes (it must not grow with the split), and training on more than there is of it."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.one import busy_seconds, own_seconds

SIZES = (20_000, 40_000, 80_000, 160_000)  # pictures of 28 x 28 bytes; half of them are judged
ROOT = Path(__file__).resolve().parents[1]

PICTURES, SIDE, PARTS = 64_000, 128, 64  # 64,000 x 128 x 128 x 3 bytes are 3.1 GB
LIMIT = 1536 << 20  # bytes
EPOCHS, STEPS, WARM_UP = 3, 100, 10  # steps of 64 pictures in a slice; slices that are not counted: the first epoch
HEAD = ("limit of 1.5 GB", "reading, s", "encoding, s", "again, s", "pictures/s", "of no limit",
        "a second of CPU", "of no limit", "own memory, MiB", "CPU of others")  # fmt: skip
GROUPS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))  # versions 1 and 2
KINDS = {
    "no limit": "none: all in memory",
    "ulimit -d": "`ulimit -d`, which leaves out what the system holds of files",
    "control group": "control group, which counts that as well",
}


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


# --- more than there is -----------------------------------------------------------------------------------------------
def larger_table() -> list[str]:
    """The figures as lines of Markdown."""
    found = larger(list(KINDS))
    lines = [
        f"### {PICTURES:,} pictures of {SIDE} x {SIDE}, 3.1 GB, of which 1.5 GB may be in memory",
        "",
        f"Logistic regression, batch 64, one thread; {EPOCHS} epochs, {STEPS} steps of each in turn; weights, losses "
        + ("the same bit for bit." if is_same(found) else "are NOT the same."),
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---|" + "---:|" * (len(HEAD) - 1),
    ]
    for kind, one in found.items():
        slices = one["slices"][WARM_UP:]
        lines.append(
            f"| {KINDS[kind]} | {one['read']:.0f} | {one['encode']:.1f} | {one['again']:.1f} "
            f"| {median(each['rate'] for each in slices):,.0f} | {share(one, found['no limit'], 'rate'):.2f} "
            f"| {median(each['cpu_rate'] for each in slices):,.0f} | {share(one, found['no limit'], 'cpu_rate'):.2f} "
            f"| {max(each['own'] for each in slices) / 2**20:,.0f} | {median(each['others'] for each in slices):.0%} |"
        )
    return lines


def larger(kinds: list[str]) -> dict[str, Any]:
    """3.1 GB of pictures trained on under each of the limits, some steps of each in turn; what each of them says."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pictures = Path(os.environ.get("GNOMON_LARGE", scratch / "pictures"))
        if not pictures.exists():
            write_pictures(pictures)
        learners, found = {}, {}
        for kind in kinds:
            forget(pictures)  # what one has read must not be there for the next
            learners[kind] = stack.enter_context(learner(kind, pictures, scratch / f"cache for {kind}"))
            found[kind] = {**learners[kind].answer(), "slices": []}
        while not all("weights" in one for one in found.values()):
            for kind in kinds:
                told = learners[kind].ask("go on")
                if "weights" in told:
                    found[kind] |= told
                else:
                    found[kind]["slices"].append(told)
        for kind in kinds:
            found[kind] |= learners[kind].ask("encode again")
    return found


def is_same(found: dict[str, Any]) -> bool:
    return len({(*one["losses"], one["weights"]) for one in found.values()}) == 1


def share(one: dict[str, Any], free: dict[str, Any], what: str) -> float:
    """Of the pace without a limit: the median over slices, each beside the one made just before or after it."""
    pairs = zip(one["slices"][WARM_UP:], free["slices"][WARM_UP:], strict=True)
    return median(mine[what] / theirs[what] for mine, theirs in pairs)


def write_pictures(folder: Path) -> None:
    """JPEG files of smooth colours, brighter at the top in one class and at the bottom in the other."""
    for name in ("above", "below"):
        (folder / name).mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(write_part, repeat(folder), range(PARTS)))


def write_part(folder: Path, part: int) -> None:
    from PIL import Image

    rng = np.random.default_rng(part)
    ramp = np.linspace(-40, 40, SIDE)[:, None, None]
    for number in range(PICTURES // PARTS):
        name = ("above", "below")[number % 2]
        level = rng.integers(70, 180, size=3)[None, None] + (ramp if name == "below" else -ramp)
        waves = 20 * np.sin(np.linspace(0, rng.uniform(3, 30), SIDE))[None, :, None]
        pixels = np.clip(level + waves, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{part}-{number}.jpg", quality=60)


def forget(*folders: Path) -> None:
    """Have the system hold nothing of these files in memory any more (Linux)."""
    for folder in folders:
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Learner:
    """A process that reads and encodes, and then trains some steps whenever it is asked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, what: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a process has ended before its time; see above.")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def learner(kind: str, pictures: Path, cache: Path) -> Iterator[Learner]:
    with ExitStack() as stack:
        group = stack.enter_context(control_group()) if kind == "control group" else None

        def limited() -> None:
            if group is not None:
                (group / "cgroup.procs").write_text(str(os.getpid()))
            elif kind == "ulimit -d":
                resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))

        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "GNOMON_CACHE": str(cache),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.memory", "learner", str(pictures)], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=limited, env=environment,
        )  # fmt: skip
        try:
            yield Learner(process)
        finally:
            process.kill()
            process.communicate()


@contextmanager
def control_group() -> Iterator[Path]:
    """A control group of LIMIT bytes, of whichever version the machine has; it takes the rights of root."""
    for root, name in GROUPS:
        place = Path(root, f"gnomon-benchmark-{os.getpid()}")
        try:
            place.mkdir()
            (place / name).write_text(str(LIMIT))
        except OSError:
            with suppress(OSError):
                place.rmdir()
            continue
        try:
            yield place
        finally:
            place.rmdir()
        return
    raise SystemExit("no control group can be made here: run as root, on Linux.")


def learn(pictures: str) -> None:
    """What a Learner runs: a line of JSON when all is read and encoded, and one a slice of the training."""
    import torch

    from gnomon.core.settings import from_flat
    from gnomon.training import evaluate
    from gnomon.workflow import trial
    from gnomon.workflow.prepare import prepare

    taken = [0.0]

    def encode_whole(*arguments: Any) -> Any:
        began = time.monotonic()
        columns = evaluate.encode_whole(*arguments)
        taken.append(time.monotonic() - began)
        return columns

    trial.encode_whole = encode_whole  # type: ignore[attr-defined]
    opened = from_flat(
        {"model": "logistic", "image_size": SIDE, "epochs": EPOCHS, "batch_size": 64, "dev": 1000 / PICTURES, "test": 0,
         "threads": 1, "augment": "none", "allocator": "keep"}
    )  # fmt: skip
    began = time.monotonic()
    prepared = prepare(pictures, opened)
    read = time.monotonic() - began
    trials = trial.Trials(prepared, opened, given=frozenset({"machine.threads"}))
    print(json.dumps({"read": read, "encode": max(taken)}), flush=True)
    slices = Slices()
    made = trials.run(stop_asked=slices.after_a_step)
    digest = hashlib.sha256()
    for tensor in made.model.state_dict().values():
        digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    losses = [row["train_loss"] for row in made.history]
    print(json.dumps({"losses": losses, "weights": digest.hexdigest()}), flush=True)
    sys.stdin.readline()
    taken[:] = [0.0]
    trial.Trials(prepared, opened)
    print(json.dumps({"again": max(taken)}), flush=True)


class Slices:
    """Has a training wait for its turn before the first step and after every STEPS of them, and tells their pace."""

    def __init__(self) -> None:
        self.steps = 0
        self._begin()

    def after_a_step(self) -> bool:
        self.steps += 1
        if self.steps % STEPS == 0:
            wall, cpu = time.monotonic() - self.began, time.process_time() - self.cpu
            others = max(0.0, (busy_seconds() - self.busy) - (own_seconds() - self.own))
            answer = {
                "rate": 64 * STEPS / wall,
                "cpu_rate": 64 * STEPS / cpu,
                "own": own_bytes(),
                "others": others / (wall * (os.cpu_count() or 1)),
            }
            print(json.dumps(answer), flush=True)
            self._begin()
        return False

    def _begin(self) -> None:
        sys.stdin.readline()
        self.began, self.cpu, self.busy, self.own = time.monotonic(), time.process_time(), busy_seconds(), own_seconds()


def own_bytes() -> int:
    """What this process holds of its own (Linux): what `ulimit -d` counts."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(lines["VmData"].split()[0]) * 1024


if __name__ == "__main__":
    if sys.argv[1] == "learner":
        learn(sys.argv[2])
    elif sys.argv[1] == "larger":  # python -m benchmarks.memory larger "no limit" "ulimit -d"
        told = larger(sys.argv[2:])
        free = told["no limit"]
        shares = {kind: [share(one, free, what) for what in ("rate", "cpu_rate")] for kind, one in told.items()}
        print(json.dumps({"same": is_same(told), "shares": shares, "found": told}))
    else:
        print("\n" + json.dumps(measure(int(sys.argv[1]))))
