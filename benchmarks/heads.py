"""One net with several heads beside a net for each: `python -m benchmarks.heads [--seeds 3] [--lines heads.jsonl]`.

1,000 pictures of fashion-mnist (`GNOMON_DATA`) and 500 for dev, with three attributes made from their classes:
where on the body, long sleeves or not, closed or open. Once all are known, once each is missing for half of the
pictures. Every seed draws its own; the test is the same 3,000 of the test part, all known. The default net for
pictures, in three ways: one net with three heads; three nets of as many epochs each, of the pictures whose
attribute is known, which take two to three times as long; three nets of a third of the epochs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.stats import ttest_1samp

import gnomon

DATA = Path(os.environ.get("GNOMON_DATA", "../shared/data"))
EPOCHS, TRAIN, DEV, TEST = 18, 1_000, 500, 3_000
# T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot
ATTRIBUTES = {
    "body": ("upper", "lower", "upper", "whole", "upper", "foot", "upper", "foot", "none", "foot"),
    "sleeves": ("no", "no", "yes", "no", "yes", "no", "yes", "no", "no", "no"),
    "closed": ("no", "yes", "no", "no", "yes", "no", "yes", "yes", "yes", "yes"),
}
WAYS = ("one net, three heads", "three nets, as many epochs each", "three nets, a third of the epochs each")


def pictures(part: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, 28, 28) uint8 and their classes, 0 to 9."""
    with gzip.open(DATA / "fashion-mnist" / f"{part}-images-idx3-ubyte.gz") as file:
        values = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(DATA / "fashion-mnist" / f"{part}-labels-idx1-ubyte.gz") as file:
        return values, np.frombuffer(file.read(), np.uint8, offset=8)


def write(folder: Path, values: np.ndarray, classes: np.ndarray, missing: float, rng: np.random.Generator) -> Path:
    """The pictures, and pictures.csv, which lists them with their attributes."""
    rows = [",".join(["file", *ATTRIBUTES])]
    folder.mkdir(parents=True)
    known = rng.random((len(values), len(ATTRIBUTES))) >= missing
    for i, (picture, class_number) in enumerate(zip(values, classes, strict=True)):
        Image.fromarray(picture).save(folder / f"{i:05d}.png")
        cells = [one[class_number] if known[i, k] else "" for k, one in enumerate(ATTRIBUTES.values())]
        rows.append(",".join([f"{i:05d}.png", *cells]))
    (folder / "pictures.csv").write_text("\n".join(rows) + "\n")
    return folder / "pictures.csv"


def _known_only(train: Path, name: str) -> Path:
    """The list without the pictures whose attribute is missing: a net for one attribute cannot use them."""
    header, *rows = [row.split(",") for row in train.read_text().splitlines()]
    place = header.index(name)
    kept = [",".join((row[0], row[place])) for row in rows if row[place]]
    alone = train.with_name(f"{name}.csv")
    alone.write_text("\n".join((f"file,{name}", *kept)) + "\n")
    return alone


def wrong(train: Path, test: Path, truth: Mapping[str, Sequence[str]], way: str, seed: int) -> dict[str, Any]:
    """(T, 3) of 0 and 1: which attributes of the test pictures were wrong; seconds of CPU for the training."""
    epochs = EPOCHS // len(ATTRIBUTES) if way == WAYS[2] else EPOCHS
    groups = [tuple(ATTRIBUTES)] if way == WAYS[0] else [(name,) for name in ATTRIBUTES]
    found, seconds = {}, 0.0
    for names in groups:
        source = train if len(names) > 1 else _known_only(train, *names)
        began = time.process_time()
        run = gnomon.fit(
            str(source), target=",".join(names), seed=seed, epochs=epochs, test=0, **{"split.dev": DEV / (TRAIN + DEV)},
            runs_folder=str(train.parent / "runs"),
        )  # fmt: skip
        seconds += time.process_time() - began
        answers = run.predict(str(test)).sort("id")["prediction"].to_list()
        for name in names:
            said = [json.loads(one)[name] for one in answers] if len(names) > 1 else answers
            found[name] = [int(a != b) for a, b in zip(said, truth[name], strict=True)]
    return {"wrong": found, "seconds": round(seconds, 1)}


def measured(missing: float, seed: int, folder: Path) -> dict[str, Any]:
    """Each way, trained on pictures that the seed draws."""
    rng = np.random.default_rng(seed)
    values, classes = pictures("train")
    chosen = rng.permutation(len(values))[: TRAIN + DEV]
    train = write(folder / "train", values[chosen], classes[chosen], missing, rng)
    values, classes = pictures("t10k")
    chosen = np.random.default_rng(0).permutation(len(values))[:TEST]
    test = write(folder / "test", values[chosen], classes[chosen], 0.0, rng)
    truth = {name: [one[number] for number in classes[chosen]] for name, one in ATTRIBUTES.items()}
    return {way: wrong(train, test, truth, way, seed) for way in WAYS}


def lines_of(seeds: int, place: Path) -> list[dict[str, Any]]:
    """What the file has, and what is missing, which is appended to it."""
    lines = [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []
    done = {(line["missing"], line["seed"]) for line in lines}
    for seed in range(seeds):
        for missing in (0.0, 0.5):
            if (missing, seed) not in done:
                with tempfile.TemporaryDirectory() as folder:
                    lines.append({"missing": missing, "seed": seed, **measured(missing, seed, Path(folder))})
                with place.open("a") as file:
                    file.write(json.dumps(lines[-1]) + "\n")
    return lines


def table(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Mean error over attributes; each way less the first, with a 95 % interval over test pictures, seeds averaged."""
    rows = ["| labels missing | | error (each seed) | less one net | p | CPU s |", "|---|---|---|---|---|---|"]
    for missing in dict.fromkeys(line["missing"] for line in lines):
        some = [line for line in lines if line["missing"] == missing]
        of_first = np.empty(0)
        for way in WAYS:
            errors = np.array([[line[way]["wrong"][name] for name in ATTRIBUTES] for line in some])  # (seeds, 3, T)
            each = ", ".join(f"{100 * one:.1f}" for one in errors.mean(axis=(1, 2)))
            by_picture = errors.mean(axis=(0, 1))
            less, p_value = "", ""
            if way == WAYS[0]:
                of_first = by_picture
            else:
                test = ttest_1samp(by_picture - of_first, 0)
                low, high = 100 * np.array(test.confidence_interval())
                less, p_value = (
                    f"{100 * np.mean(by_picture - of_first):+.1f} [{low:+.1f}, {high:+.1f}]",
                    f"{test.pvalue:.2g}",
                )
            seconds = np.mean([line[way]["seconds"] for line in some])
            error = f"{100 * by_picture.mean():.1f} % ({each})"
            rows.append(f"| {100 * missing:.0f} % | {way} | {error} | {less} | {p_value} | {seconds:.0f} |")
    return rows


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heads", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lines", type=Path, default=Path("heads.jsonl"))
    given = parser.parse_args(words)
    print("\n".join(table(lines_of(given.seeds, given.lines))))


if __name__ == "__main__":
    main()
