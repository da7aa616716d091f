"""Spelled numbers to digits: "three hundred and five" -> "305". Sequence to sequence, decoded by beam search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Example, Examples, Reading, index_frame
from gnomon.core.parts import Batch, Body, Claim, Encoder, Head, Judge, Predictions, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, Settings
from gnomon.core.task import TaskKind
from gnomon.data.columns import Columns, Ragged
from gnomon.data.source import Source
from gnomon.metrics.intervals import split_error

FILE = "spelled.txt"  # one "words<TAB>digits" a line
DIGITS = "0123456789"
START, END, PAD = 10, 11, -100  # decoder tokens after the ten digits; PAD is ignored by the loss
BEAM = 3
SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
LONGEST = 5  # tokens a decoded answer may have, the end included


def spell(number: int) -> str:
    """0 .. 999 in English words."""
    small = SMALL.split()
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905  reads better
    if number >= 100:
        rest = number % 100
        return f"{small[number // 100]} hundred" + (f" and {spell(rest)}" if rest else "")
    if number >= 20:
        return tens[number // 10 - 2] + (f" {small[number % 10]}" if number % 10 else "")
    return small[number]


@final
@dataclass(frozen=True)
class Lines(Examples):
    """Lines of the file, by position."""

    words: tuple[str, ...]
    digits: tuple[str, ...]
    numbers: tuple[int, ...]  # line numbers

    @property
    def index(self) -> pl.DataFrame:
        lengths = [f"{len(text)} digits" for text in self.digits]
        return index_frame([f"line {number}" for number in self.numbers], stratum=lengths)

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, position: int) -> Example:
        return Example(f"line {self.numbers[position]}", self.words[position], self.digits[position])

    def take(self, positions: np.ndarray) -> Self:
        return type(self)(
            tuple(self.words[i] for i in positions),
            tuple(self.digits[i] for i in positions),
            tuple(self.numbers[i] for i in positions),
        )

    def join(self, other: Self) -> Self:
        return type(self)(self.words + other.words, self.digits + other.digits, self.numbers + other.numbers)

    def fingerprints(self) -> np.ndarray:
        return pl.Series(self.words, dtype=pl.String).hash().to_numpy()


@final
@dataclass(frozen=True)
class WordInputs:
    """Places of words in a vocabulary, padded."""

    modality: ClassVar[str] = "words"
    num_words: int


@final
class SpelledReader(Reader):
    """Lines of words, a tab and digits."""

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        names = [file.name for file in source.tree.files] if source.tree else []
        return Claim(1.0, f"{FILE}: spelled numbers, one a line") if names == [FILE] else None

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return Reading({"all": _lines(source, with_digits=True)})

    def write_sample(self, folder: Path, seed: int) -> Path:
        chosen = generator(seed, "sample").permutation(1000)[:60]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text("".join(f"{spell(int(n))}\t{n}\n" for n in chosen))
        return folder

    def read_inputs(self, source: Source, settings: DataSettings, encoder: Any) -> Reading:
        return Reading({"all": _lines(source, with_digits=False)})

    def view(self, example: Example) -> View:
        return View(text=example.inputs)


@final
@dataclass(frozen=True)
class WordEncoder(Encoder):
    """Words as their places in the vocabulary."""

    vocabulary: tuple[str, ...]  # words of the training split; every other word is "unknown"

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        assert isinstance(train, Lines)
        return cls(tuple(sorted({word for text in train.words for word in text.split()})))

    @property
    def inputs(self) -> WordInputs:
        return WordInputs(len(self.vocabulary) + 1)

    def encode(self, examples: Examples) -> Columns:
        assert isinstance(examples, Lines)
        place = {word: i + 1 for i, word in enumerate(self.vocabulary)}
        return {"words": Ragged.of([torch.tensor([place.get(w, 0) for w in t.split()]) for t in examples.words])}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        words = columns["words"]
        assert isinstance(words, Ragged)
        return {"words": words.pad(indices, 0), "lengths": words.lengths(indices)}

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return batch["words"], batch["lengths"]


@final
@dataclass(frozen=True)
class DigitHead(Head):
    """The next digit, given those before it."""

    wants: ClassVar[str] = "sequence"
    columns: ClassVar[tuple[str, ...]] = ("digits",)

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        return cls()

    @property
    def chance_loss(self) -> float | None:
        return math.log(END + 1)

    def encode(self, examples: Examples) -> Columns:
        assert isinstance(examples, Lines)
        return {"digits": Ragged.of([torch.tensor([*map(DIGITS.index, text), END]) for text in examples.digits])}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        digits = columns.get("digits")
        if isinstance(digits, Ragged):
            batch["digits"] = digits.pad(indices, PAD)  # (B, T)
            batch["weight"] = digits.lengths(indices).float()
        return batch

    def build(self, body: Body) -> nn.Module:
        return body(END + 1)

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> dict[str, Tensor]:
        """The state after the words; with targets, the logits of each next token given the true ones before it."""
        state = model.encode(*arguments)
        if "digits" not in batch:
            return {"state": state}
        truth = batch["digits"].masked_fill(batch["digits"] == PAD, END)
        before = torch.cat([torch.full_like(truth[:, :1], START), truth[:, :-1]], dim=1)  # teacher forcing
        return {"state": state, "logits": model.step(before, state)[0]}

    def losses(self, outputs: dict[str, Tensor], batch: Batch) -> Tensor:
        each = functional.cross_entropy(
            outputs["logits"].transpose(1, 2), batch["digits"], reduction="none", ignore_index=PAD
        )  # (B, T)
        return each.sum(dim=1) / batch["weight"]


@final
@dataclass(frozen=True)
class DigitJudge(Judge):
    """The share of digits that are wrong, by edit distance."""

    @classmethod
    def of(cls, head: DigitHead) -> Self:
        return cls()

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "digit error"

    def predict(self, model: nn.Module, outputs: Any, batch: Batch) -> Predictions:
        found = [
            beam_search(model, state[:, i : i + 1]) for state in (outputs["state"],) for i in range(state.shape[1])
        ]
        return Predictions([tokens for tokens, _ in found], np.array([math.exp(score) for _, score in found]))

    def targets(self, batch: Batch) -> Sequence[Any]:
        return [tuple(int(t) for t in row if t not in (END, PAD)) for row in batch["digits"]]

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        pairs = zip(values, self.targets(batch), strict=True)
        return np.array([min(1.0, edit_distance(found, true) / len(true)) for found, true in pairs], dtype=np.float64)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        return pl.Series(["".join(map(str, tokens)) for tokens in values], dtype=pl.String)

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        return {"digit error": split_error(evaluation)}

    def less_is_better(self, measure: str) -> bool:
        return True


def beam_search(model: nn.Module, state: Tensor) -> tuple[tuple[int, ...], float]:
    """The most probable answer found with BEAM hypotheses, and its log probability."""
    hypotheses, done = [((), 0.0, START, state)], []
    for _ in range(LONGEST):
        longer = []
        for tokens, score, last, before in hypotheses:
            logits, after = model.step(torch.tensor([[last]]), before)
            best = logits[0, -1].log_softmax(0).topk(BEAM)
            for gain, token in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                if token == END:
                    done.append((tokens, score + gain))
                elif token != START:
                    longer.append(((*tokens, token), score + gain, token, after))
        hypotheses = sorted(longer, key=lambda hypothesis: -hypothesis[1])[:BEAM]
    tokens, score = max(done or [(h[0], h[1]) for h in hypotheses], key=lambda answer: answer[1])
    return tokens, score


def edit_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


def _lines(source: Source, *, with_digits: bool) -> Lines:
    if source.tree is None:
        raise DataError("spelled numbers come in a folder.", where=source.origin, fix=f"put {FILE} into a folder.")
    words, digits, numbers = [], [], []
    for number, line in enumerate(source.tree.read(source.tree.files[0].name).decode().splitlines(), start=1):
        text, tab, answer = line.partition("\t")
        if with_digits and (not tab or not answer.isdecimal()):
            raise DataError("expected words, a tab and digits.", where=f"{FILE}, line {number}", fix="mend that line.")
        words.append(text)
        digits.append(answer or "0")
        numbers.append(number)
    return Lines(tuple(words), tuple(digits), tuple(numbers))


TASK = TaskKind(
    name="spelled_numbers",
    title="spelled numbers to digits",
    modality="words",
    target="digits",
    reader=SpelledReader(),
    encoder=WordEncoder,
    head=DigitHead,
    judge=DigitJudge,
    model="words-gru",
    defaults=lambda _task, _num_train: {
        "init.name": "xavier",
        "optimiser.learning_rate": 5e-3,
        "stop.epochs": 30,
        "optimiser.batch_size": 32,
    },
)
