"""Language models: the next character or word, given those before it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.evaluation import Evaluation
from gnomon.core.example import Examples
from gnomon.core.parts import Batch, Body, Encoder, Head, Judge, Predictions
from gnomon.core.settings import Settings
from gnomon.data.columns import Columns, OnDemand, length, take
from gnomon.data.text.tokens import END, PADDING, SPECIAL, Numbering, smallest_type
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import split_error
from gnomon.parts.text import TextEncoder
from gnomon.strategy.n_grams import ORDER, n_gram_bits, order_for

LOG2 = math.log(2)
MOST_COUNTED = 5_000_000  # ids of train, the last ones, in which n-grams are counted: in 0.2 GB of memory


class Said(NamedTuple):
    """What a model says about a text: the piece that it holds most likely at each place, and the bits it needs."""

    ids: np.ndarray  # (T,)
    bits: float  # per piece, on average


@final
@dataclass(frozen=True)
class NextTokenHead(Head):
    """Every piece of a text is to be foretold from those before it; before the first stands the end of another."""

    wants: ClassVar[str] = "tokens"
    goes_on: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ()  # the inputs are the targets

    level: str = "character"
    vocabulary: tuple[str, ...] = ()
    ends: bool = True  # whether the end of a text is foretold, too; windows of a running text have none
    subwords: str = ""  # the model that divides into them

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        return cls()

    def beside(self, encoder: Encoder) -> Self:
        assert isinstance(encoder, TextEncoder)
        return replace(
            self, level=encoder.level, vocabulary=encoder.vocabulary, ends=encoder.each != "window",
            subwords=encoder.subwords,
        )  # fmt: skip

    @property
    def chance_loss(self) -> float | None:
        return math.log(SPECIAL + len(self.vocabulary))

    def encode(self, examples: Examples) -> Columns:
        return {}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        context = batch.get("context")
        return {**batch, "weight": (batch["length"] if context is None else batch["length"] - context).float()}

    def build(self, body: Body) -> nn.Module:
        return body(SPECIAL + len(self.vocabulary))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        """(B, T, V): logits of the piece at each place."""
        ids, lengths = arguments
        before = functional.pad(ids[:, :-1], (1, 0), value=END)
        outputs: Tensor = model(before, lengths)
        return outputs

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return costs(outputs, scored(batch)).sum(dim=1) / batch["weight"]

    def wanted(self, outputs: Tensor, batch: Batch) -> Tensor:
        return batch["ids"]


def scored(batch: Batch) -> Tensor:
    """(B, T) the ids that are to be foretold: padding stands for those before a window, which are only read."""
    if "context" not in batch:
        return batch["ids"]
    places = torch.arange(batch["ids"].shape[1], device=batch["ids"].device)
    return batch["ids"] * (places >= batch["context"][:, None])


def costs(outputs: Tensor, ids: Tensor) -> Tensor:
    """(B, T) nats that each piece costs; 0 for padding."""
    flat_outputs = outputs.flatten(0, 1)
    if flat_outputs.dtype != torch.float64:  # of a check of gradients
        flat_outputs = flat_outputs.float()
    flat = functional.cross_entropy(flat_outputs, ids.flatten(), reduction="none", ignore_index=PADDING)
    return flat.view(ids.shape)


def spans_of(batch: Batch) -> list[tuple[int, int]]:
    """Of each text, from which of its ids on to which it is scored."""
    ends = batch["length"].tolist()
    starts = batch["context"].tolist() if "context" in batch else [0] * len(ends)
    return list(zip(starts, ends, strict=True))


@final
@dataclass(frozen=True)
class NextTokenJudge(Judge):
    """Bits per piece: what a text costs to write down with the model's probabilities."""

    has_references: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("bits",)

    level: str
    vocabulary: tuple[str, ...]
    subwords: str = ""

    @classmethod
    def of(cls, head: NextTokenHead) -> Self:
        return cls(head.level, head.vocabulary, head.subwords)

    @property
    def error_unit(self) -> str | None:
        return "bits"

    @property
    def error_name(self) -> str:
        return f"bits per {self.level}"

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        sums = costs(outputs, scored(batch)).double().sum(dim=1)
        spans = spans_of(batch)
        pieces = np.array([end - start for start, end in spans], np.int32)
        bits = sums.cpu().numpy() / pieces / LOG2
        best = outputs[..., END:].argmax(dim=-1).add_(END).cpu().numpy()  # never padding
        kind = smallest_type(SPECIAL + len(self.vocabulary))
        values = [
            Said(row[start:end].astype(kind), float(cost))
            for row, (start, end), cost in zip(best, spans, bits, strict=True)
        ]
        counts = {name: batch[name].cpu().numpy() for name in ("bytes", "unknown")}
        return Predictions(values, columns={"bits": bits, "pieces": pieces, **counts})

    def targets(self, batch: Batch) -> Sequence[Any]:
        rows = batch["ids"].cpu().numpy().astype(smallest_type(SPECIAL + len(self.vocabulary)))
        return [Said(row[start:end], 0.0) for row, (start, end) in zip(rows, spans_of(batch), strict=True)]

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        return np.array([one.bits for one in values], np.float64)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        numbering = Numbering(self.vocabulary, self.level, self.subwords)
        return pl.Series([numbering.text(cast(Said, one).ids.tolist()) for one in values], dtype=pl.String)

    def reference_errors(self, train: Columns, dev: Columns) -> Mapping[str, np.ndarray]:
        """The frequencies of the pieces, and an n-gram."""
        each = take(train, np.arange(1))["ids"]
        assert isinstance(each, Tensor)
        some = take(train, np.arange(max(0, length(train) - MOST_COUNTED // each.shape[1]), length(train)))
        asked = take(dev, np.arange(length(dev))) if isinstance(dev, OnDemand) else dev
        (ids, starts, ends), (dev_ids, dev_starts, dev_ends) = _plain(some, "own"), _last_of(*_plain(asked, "context"))
        num_ids = SPECIAL + len(self.vocabulary)
        found = {}
        for order in dict.fromkeys((1, order_for(num_ids))):
            name = f"{self.level} frequencies" if order == 1 else f"{order}-gram"
            found[name] = n_gram_bits(
                ids, ends, dev_ids, dev_ends, train_starts=starts, dev_starts=dev_starts, num_ids=num_ids, order=order,
                before=END, outcomes=num_ids - 1,
            )  # fmt: skip  # all but padding
        return found

    def about_answers(self, table: pl.DataFrame) -> tuple[str, ...]:
        pieces, unknown = int(table["pieces"].sum()), int(table["unknown"].sum())
        bits = float((table["bits"] * table["pieces"]).sum()) / max(pieces, 1)
        found = [f"bits per {self.level} of all together: {bits:.4g} (perplexity {2**bits:.4g})"]
        if unknown:
            found.append(f"{unknown:,} of {pieces:,} {self.level}s are unknown to the model")
        return tuple(found)

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """Perplexity and nats of a piece; bits of a byte, which also compare texts that are divided otherwise."""
        bits, table = split_error(evaluation), evaluation.table
        pieces, size = float(table["weight"].sum()), float(table["bytes"].sum())
        return {
            "perplexity": Interval(2**bits.value, 2**bits.low, 2**bits.high, bits.method),
            f"nats per {self.level}": _times(bits, LOG2),
            "bits per byte": _times(bits, pieces / max(size, 1.0)),
        }

    def less_is_better(self, measure: str) -> bool:
        return True


def _plain(columns: Columns, first: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids (N, L), and where in each text what counts begins, as the column `first` has it, and ends (N,)."""
    ids, ends, starts = (columns.get(name) for name in ("ids", "length", first))
    assert isinstance(ids, Tensor)
    assert isinstance(ends, Tensor)
    if not isinstance(starts, Tensor):
        starts = torch.zeros_like(ends)
    return ids.cpu().numpy(), starts.cpu().numpy(), ends.cpu().numpy()


def _last_of(ids: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same with no more ids before `starts` than an n-gram looks back at: of long texts a small part."""
    width = int((ends - starts).max()) + ORDER
    if width >= ids.shape[1]:
        return ids, starts, ends
    first = np.maximum(ends - width, 0)
    places = np.minimum(first[:, None] + np.arange(width), ids.shape[1] - 1)
    return np.take_along_axis(ids, places, axis=1), starts - first, ends - first


def _times(one: Interval, factor: float) -> Interval:
    return Interval(one.value * factor, one.low * factor, one.high * factor, one.method)
