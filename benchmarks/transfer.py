"""What public weights gain on few pictures: `python -m benchmarks.transfer [--seeds 3] [--lines transfer.jsonl]`.

100, 500 and 2,000 pictures of CIFAR-10 and 120 of 20 faces (`GNOMON_DATA`, gnomon[pretrained]). Every seed draws its
own pictures for train, dev and test and trains twice, each in a process of its own on one thread: `gnomon fit FOLDER
seed=SEED` with pretrained=yes and pretrained=no, then `gnomon test`. The line of a training, which a later call does
not repeat, has the wrong answers on dev and test, the seconds of CPU until `fit` returned, and the largest memory
until then.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

import gnomon

DATA = Path(os.environ.get("GNOMON_DATA", "../shared/data"))
SETS = ("cifar-100", "cifar-500", "cifar-2000", "faces")  # the number: pictures in train
JUDGED = {"dev": 500, "test": 1_000}  # pictures of CIFAR-10, per seed
OF_A_FACE = {"train": 6, "dev": 2, "test": 2}
STARTS = ("no", "yes")  # pretrained=


def draw(name: str, seed: int, folder: Path, data: Path = DATA, judged: Mapping[str, int] = JUDGED) -> None:
    """train/CLASS, dev/CLASS and test/CLASS with pictures drawn by the seed, of CIFAR-10's own train and test parts."""
    shuffle = random.Random(seed).shuffle
    if name == "faces":
        for person in sorted(one for one in (data / "faces").iterdir() if one.is_dir()):
            pictures = sorted(person.glob("*.pgm"))
            shuffle(pictures)
            for part, count in OF_A_FACE.items():
                for _ in range(count):
                    picture = pictures.pop()
                    _write(folder / part / person.name / picture.name, picture.read_bytes())
        return
    with zipfile.ZipFile(data / "cifar10-half.zip") as archive:
        by_class: dict[tuple[str, str], list[str]] = defaultdict(list)
        for picture in sorted(one for one in archive.namelist() if one.endswith(".jpg")):
            part, class_name, _ = picture.split("/")
            by_class[part, class_name].append(picture)
        classes = len(by_class) // 2
        count = int(name.partition("-")[2]) // classes
        for (part, class_name), pictures in sorted(by_class.items()):
            shuffle(pictures)
            of_dev = judged["dev"] // classes
            cuts = {"train": (0, count), "dev": (count, count + of_dev)}
            for to, (low, high) in (cuts if part == "train" else {"test": (0, judged["test"] // classes)}).items():
                for picture in pictures[low:high]:
                    _write(folder / to / class_name / Path(picture).name, archive.read(picture))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def measured(folder: Path, pretrained: str, seed: int, runs: Path, **more: Any) -> dict[str, Any]:
    """One training: wrong answers of all on dev and test, seconds of CPU of this process, MB of memory."""
    run = gnomon.fit(str(folder), pretrained=pretrained, seed=seed, runs_folder=str(runs), **more)
    seconds, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found: dict[str, Any] = {"seconds": round(seconds, 1), "memory": round(memory), "model": run.settings.model.name}
    for part, evaluation in (("dev", run.evaluation("dev")), ("test", run.test())):
        found[part] = [int(evaluation.table["error"].sum()), evaluation.table.height]
    return found


def lines_of(sets: Sequence[str], seeds: int, place: Path) -> list[dict[str, Any]]:
    """What the file has, and what is missing, which is appended to it."""
    lines = [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []
    done = {(line["set"], line["seed"], line["pretrained"]) for line in lines}
    for seed in range(seeds):
        for name in sets:
            wanted = [start for start in STARTS if (name, seed, start) not in done]
            if not wanted:
                continue
            with tempfile.TemporaryDirectory() as made:
                draw(name, seed, Path(made) / name)
                for start in wanted:
                    lines.append(
                        {"set": name, "seed": seed, "pretrained": start, **_in_a_process(made, name, start, seed)}
                    )
                    with place.open("a") as file:
                        file.write(json.dumps(lines[-1]) + "\n")
    return lines


def _in_a_process(made: str, name: str, start: str, seed: int) -> Any:
    command = [sys.executable, "-m", "benchmarks.transfer", "--one", str(Path(made) / name), start, str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def table(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """A row for each set and split: the mean error over seeds from scratch and with public weights, and their ratio."""
    rows = [
        "| pictures | split | from scratch | public weights | ratio | CPU s | MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(line["set"] for line in lines):
        pair = [[one for one in lines if one["set"] == name and one["pretrained"] == start] for start in STARTS]
        for part in ("dev", "test"):
            wrong = [sum(one[part][0] for one in side) for side in pair]
            ratio = f"{wrong[0] / wrong[1]:.2f}" if wrong[1] else "-"
            costs = [
                " / ".join(f"{np.mean([one[key] for one in side]):.0f}" for side in pair) if part == "dev" else ""
                for key in ("seconds", "memory")
            ]
            errors = [_error([one[part] for one in side]) for side in pair]
            rows.append(f"| {name} | {part} | {' | '.join(errors)} | {ratio} | {' | '.join(costs)} |")
    return rows


def _error(counts: Sequence[Sequence[int]]) -> str:
    """Percent, with the 95 % interval of Clopper and Pearson over all answers, and each seed's own."""
    wrong, total = (sum(one[place] for one in counts) for place in (0, 1))
    low = beta.ppf(0.025, wrong, total - wrong + 1) if wrong else 0.0
    high = beta.ppf(0.975, wrong + 1, total - wrong) if wrong < total else 1.0
    each = ", ".join(f"{100 * one[0] / one[1]:.1f}" for one in counts)
    return f"{100 * wrong / total:.1f} % [{100 * low:.1f}, {100 * high:.1f}] ({each})"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transfer", description=__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lines", type=Path, default=Path("transfer.jsonl"))
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "PRETRAINED", "SEED"), help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.one:
        folder, start, seed = given.one
        print(json.dumps(measured(Path(folder), start, int(seed), Path(folder).parent / f"runs-{start}")))
        return
    print("\n".join(table(lines_of(given.sets, given.seeds, given.lines))))


if __name__ == "__main__":
    main()
