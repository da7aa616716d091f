"""Translation: the pieces of a target, each foretold from the source and those before it; answers by beam search."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Examples
from gnomon.core.knobs import SOFT_LABELS
from gnomon.core.parts import Batch, Body, Encoder, Head, Judge, Predictions
from gnomon.core.seeds import generator
from gnomon.core.settings import OwnSettings, RegulariseSettings, Settings, setting
from gnomon.data.columns import Columns, Ragged
from gnomon.data.source import counted
from gnomon.data.text.pairs import PairExamples
from gnomon.data.text.tokens import END, PADDING, SPECIAL, UNKNOWN, Numbering, smallest_type, split
from gnomon.metrics.chrf import sentence_chrf
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, groups_of, mean, share
from gnomon.metrics.translation import signature, translation_metrics
from gnomon.nn.beam import Found, search
from gnomon.parts.pairs import NO_BYTE, PairEncoder, one_of, parts_of, ragged, texts_of, weight_of
from gnomon.strategy.pair_references import nearest_targets, usual_target

AT_ONCE = 1 << 24  # logits of a step of the search, at most
MORE = 10  # pieces that a target may have beyond twice the usual number for its source
DIGITS = 4  # decimals of scores in tables
EXACT = "exact match"
MOST_NATS = 700.0  # of which exp is still a float


@final
class TranslationSettings(OwnSettings):
    """How answers are searched for, and what is an error."""

    beam: int = setting(
        4, "hypotheses that are kept at each place while an answer is searched for; 1: greedy", ge=1, le=64
    )
    length_alpha: float = setting(
        0.7,
        "answers are compared by their log probability over their number of pieces to this power: 0 favours short "
        "ones, 1 takes the mean",
        ge=0,
        le=2,
    )
    n_best: int = setting(1, "answers that are given for each source, the best first; at most beam", ge=1, le=64)
    no_repeat: int = setting(0, "no so many pieces follow each other twice in an answer; 0: they may", ge=0, le=100)
    judged_by: Literal["chrf", "exact"] | None = setting(
        None,
        "what counts as an error: 1 - chrF of each sentence, or each target that is not exactly right (default: exact "
        "where targets are short, as dates are)",
    )


@final
@dataclass(frozen=True)
class TranslationHead(Head):
    """Every piece of a target is to be foretold from its source and the pieces before it."""

    abilities: ClassVar[frozenset[str]] = frozenset({SOFT_LABELS})
    wants: ClassVar[str] = "sequence"
    columns: ClassVar[tuple[str, ...]] = ("target", "reference")

    beam: int
    length_alpha: float
    n_best: int
    no_repeat: int
    level: str = "word"
    vocabulary: tuple[str, ...] = ()
    subwords: str = ""
    most: int = 1  # pieces of a target that are kept
    length: int = 1  # ids of the longest target in training, its end included
    source_length: int = 1
    ratio: float = 1.0  # pieces of targets for each piece of their sources
    is_short: bool = False
    is_several: bool = False

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        own = TranslationSettings.model_validate(settings.task.own)
        return cls(own.beam, own.length_alpha, own.n_best, own.no_repeat)

    def beside(self, encoder: Encoder) -> Self:
        assert isinstance(encoder, PairEncoder)
        return replace(
            self, level=encoder.target_level, vocabulary=encoder.target_vocabulary, subwords=encoder.target_subwords,
            most=encoder.target_most, length=encoder.target_length, source_length=encoder.length, ratio=encoder.ratio,
            is_short=encoder.is_short, is_several=encoder.is_several,
        )  # fmt: skip

    def notes(self, train: Examples) -> tuple[str, ...]:
        if self.is_short:
            return (
                "targets are short: one is right if every character is (judged_by=chrf for the share that is right)",
            )
        return (
            f"the error is 1 - chrF of each sentence, weighted by its {self.level}s (judged_by=exact to change that)",
        )

    @property
    def chance_loss(self) -> float | None:
        return math.log(SPECIAL + len(self.vocabulary))

    def encode(self, examples: Examples) -> Columns:
        """`target`: the ids of all references, each with its end; `reference`: their texts, divided by NO_BYTE."""
        pairs = cast(PairExamples, examples)
        numbering, kind = Numbering(self.vocabulary, self.level, self.subwords), smallest_type(self._num_ids)
        ids, texts = [], []
        for position, some in enumerate(pairs.all_references()):
            if not some:
                raise DataError("it has no target.", where=str(pairs.index["id"][position]), fix="add one.")
            own = [np.append(numbering.ids(text)[: self.most], END).astype(kind) for text in some]
            ids.append(np.concatenate(own))
            texts.append(np.frombuffer(bytes([NO_BYTE]).join(text.encode() for text in some), np.uint8))
        return {"target": ragged(ids), "reference": ragged(texts)}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        """`target` (B, T) int64, the first reference; `reference` (B, bytes); `choices` (B, L): all, to be drawn from.

        `smoothing` (B,): the share of a target that is spread over all pieces.
        """
        if "target" not in columns:
            return batch
        ids, texts = (cast(Ragged, columns[name]) for name in self.columns)
        choices = ids.pad(indices, PADDING)
        target = one_of(choices, torch.zeros(len(indices), dtype=torch.int64))
        found = {**batch, "target": target, "reference": texts.pad(indices, NO_BYTE)}
        if self.is_several or bool(((choices == END).sum(dim=1) > 1).any()):  # dev may have several, and train one
            found["choices"] = choices
        weight = weight_of(target, is_short=self.is_short)
        return {**found, "weight": weight, "smoothing": torch.zeros_like(weight)}

    def soften(self, batch: Batch, settings: RegulariseSettings) -> Batch:
        return {**batch, "smoothing": torch.full_like(batch["smoothing"], settings.label_smoothing or 0.0)}

    @property
    def _num_ids(self) -> int:
        return SPECIAL + len(self.vocabulary)

    def build(self, body: Body) -> nn.Module:
        return body(self._num_ids)

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        """(B, T, V): logits of the piece at each place, given the true ones before it; (B, 0, V) without targets."""
        ids, lengths = arguments
        if "target" not in batch:
            return torch.empty(len(ids), 0, self._num_ids, device=ids.device)
        outputs: Tensor = model(ids, lengths, functional.pad(batch["target"][:, :-1], (1, 0), value=END))
        return outputs

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        target = batch["target"]
        costs = nats(outputs, target, batch["smoothing"])
        return costs.sum(dim=1) / (target != PADDING).sum(dim=1)


def nats(outputs: Tensor, target: Tensor, smoothing: Tensor | None = None) -> Tensor:
    """(B, T) what each piece costs, 0 for padding; a share (B,) of it is the mean cost of all pieces.

    Source: Szegedy et al. 2016, section 7.
    """
    outputs = outputs if outputs.dtype == torch.float64 else outputs.float()  # float64 of a check of gradients
    logs = outputs.log_softmax(dim=-1)
    costs = -logs.gather(2, target[..., None])[..., 0]
    if smoothing is not None and smoothing.any():
        costs = costs + smoothing[:, None] * (-logs.mean(dim=-1) - costs)
    return costs.masked_fill(target == PADDING, 0)


class Scored(NamedTuple):
    """How likely a model finds a reference of each of B sources."""

    log_probability: Tensor  # (B,) float64
    score: Tensor  # (B,) float64
    reachable: Tensor  # (B,) bool: whether the model can write it


def scored(outputs: Tensor, target: Tensor, alpha: float) -> Scored:
    """Of references (B, T), from the logits (B, T, V) of their pieces."""
    sums = -nats(outputs, target).double().sum(dim=1)
    return Scored(sums, sums / (target != PADDING).sum(dim=1) ** alpha, (target != UNKNOWN).all(dim=1))


def best_of(references: Sequence[Scored]) -> Scored:
    """Of each source the reference with the highest score, of those that the model can write, if there are any."""
    columns = [torch.stack(one) for one in zip(*references, strict=True)]
    _, scores, reachable = columns
    hidden = scores.masked_fill(~reachable & reachable.any(dim=0), -torch.inf)
    first = hidden.argmax(dim=0, keepdim=True)
    return Scored(*(one.gather(0, first)[0] for one in columns))


class Answer(NamedTuple):
    """A target: what was found, or what is true."""

    text: str
    log_probability: float = 0.0  # of all its pieces, its end included
    score: float = 0.0  # the log probability by the number of pieces to the power of length_alpha
    pieces: int = 0  # its end included
    others: tuple[tuple[str, float, float], ...] = ()  # of the n best the next: text, score, log probability


@final
@dataclass(frozen=True)
class TranslationJudge(Judge):
    """How near a translation comes to its references: 1 - chrF, or right and wrong where targets are short."""

    needs_calibration: ClassVar[bool] = False
    has_references: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("score",)
    asked_with: ClassVar[tuple[str, ...]] = ("beam", "length_alpha", "n_best", "no_repeat")

    beam: int
    length_alpha: float
    n_best: int
    no_repeat: int
    level: str
    vocabulary: tuple[str, ...]
    subwords: str
    length: int
    source_length: int
    ratio: float
    is_short: bool

    @classmethod
    def of(cls, head: TranslationHead) -> Self:
        return cls(
            head.beam, head.length_alpha, head.n_best, head.no_repeat, head.level, head.vocabulary, head.subwords,
            head.length, head.source_length, head.ratio, head.is_short,
        )  # fmt: skip

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "not an exact match" if self.is_short else "1 - chrF"

    # --- answers --------------------------------------------------------------------------------------------------
    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        return self._predicted(model, outputs, batch, self.beam, self.n_best)

    def predict_quickly(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        """Greedy: a sixth of the work or less, and the better of two nets is nearly always the same."""
        return self._predicted(model, outputs, batch, 1, 1, is_quick=True)

    def _predicted(
        self, model: nn.Module, outputs: Tensor, batch: Batch, width: int, n_best: int, *, is_quick: bool = False
    ) -> Predictions:  # fmt: skip
        found = self._searched(model, batch, width, n_best, is_quick=is_quick)
        numbering = Numbering(self.vocabulary, self.level, self.subwords)
        answers = [self._answer(some, numbering) for some in found]
        log_probability = np.array([one.log_probability for one in answers])
        pieces = np.array([one.pieces for one in answers], np.int32)
        columns: dict[str, Any] = {
            "text": texts_of(batch["text"]), "log_probability": log_probability,
            "score": np.array([one.score for one in answers]), "pieces": pieces,
            **{name: batch[name].cpu().numpy() for name in ("length", "uncut", "unknown")},
        }  # fmt: skip
        if "target" in batch:
            others = [] if is_quick else self._others(model, batch)
            best = best_of([scored(outputs, batch["target"], self.length_alpha), *others])
            columns |= {
                "reference_log_probability": best.log_probability.cpu().numpy(),
                "reference_score": best.score.cpu().numpy(),
                "reachable": best.reachable.cpu().numpy(),
                "target_pieces": (batch["target"] != PADDING).sum(dim=1).cpu().numpy(),
                "references": [json.dumps(some, ensure_ascii=False) for some in parts_of(batch["reference"])],
            }
        if n_best > 1:
            columns["n_best"] = [_as_json(one) for one in answers]
        sure = np.exp(log_probability if self.is_short else log_probability / np.maximum(pieces, 1))
        return Predictions(answers, np.clip(sure, 0.0, 1.0), columns)

    def _others(self, model: nn.Module, batch: Batch) -> list[Scored]:
        """What the model makes of the second reference, the third, ...; of a source that has fewer, of its last."""
        if "choices" not in batch:
            return []
        found, counts = [], (batch["choices"] == END).sum(dim=1)
        for number in range(1, int(counts.max())):
            target = one_of(batch["choices"], (counts - 1).clamp_max(number))
            before = functional.pad(target[:, :-1], (1, 0), value=END)
            with torch.no_grad():
                found.append(scored(model(batch["ids"], batch["length"], before), target, self.length_alpha))
        return found

    def _searched(
        self, model: nn.Module, batch: Batch, width: int, n_best: int, *, is_quick: bool
    ) -> list[list[Found]]:
        """Sentences of one length together, as many as memory allows."""
        ids, lengths = batch["ids"], batch["length"]
        most = MORE + (2 * self.ratio * lengths).ceil().long()
        most = most if is_quick else most.clamp_min(self.length)
        together = max(1, AT_ONCE // (max(width, n_best) * (SPECIAL + len(self.vocabulary))))
        found: list[list[Found]] = [[] for _ in range(len(ids))]
        for rows in lengths.argsort(stable=True).split(together):
            longest = int(lengths[rows].max())
            answers = search(
                cast(Any, model), ids[rows, :longest], lengths[rows], width=max(width, n_best), most=most[rows],
                alpha=self.length_alpha, n_best=n_best, no_repeat=self.no_repeat, never=(PADDING, UNKNOWN),
            )  # fmt: skip
            for row, one in zip(rows.tolist(), answers, strict=True):
                found[row] = one
        return found

    def _answer(self, found: Sequence[Found], numbering: Numbering) -> Answer:
        first, *others = ((numbering.text(one.ids), one) for one in found)
        text, best = first
        more = tuple((text, one.score, one.log_probability) for text, one in others)
        return Answer(text, best.log_probability, best.score, len(best.ids) + 1, more)

    def targets(self, batch: Batch) -> Sequence[Any]:
        return [Answer(some[0]) for some in parts_of(batch["reference"])]

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        return self.errors_of([cast(Answer, one).text for one in values], parts_of(batch["reference"]))

    def errors_of(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        """(N,) float64: 0 for a text that is one of its references."""
        if not self.is_short:
            found: np.ndarray = 1.0 - sentence_chrf(texts, references)
            return found
        return 1.0 - self._are_exact(texts, references)

    def _are_exact(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        """(N,) float64 1 or 0; of words as they are told apart: what stands between them is not kept."""

        def form(text: str) -> Any:
            return tuple(split(text, "word")) if self.level == "word" else text

        pairs = zip(texts, references, strict=True)
        return np.array([form(text) in map(form, some) for text, some in pairs], np.float64)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        return pl.Series([cast(Answer, one).text for one in values], dtype=pl.String)

    def answer_rows(self, table: pl.DataFrame) -> pl.DataFrame:
        """With n_best, one row for each of them."""
        shown = [
            name for name in ("id", "text", "prediction", "confidence", "score", "log_probability") if name in table
        ]
        if "n_best" not in table.columns:
            return table.select(shown)
        rows = [
            {"id": str(name), "text": text, "rank": rank, **one}
            for name, text, cell in zip(table["id"], table["text"], table["n_best"], strict=True)
            for rank, one in enumerate(json.loads(cell), start=1)
        ]
        return pl.DataFrame(rows)

    def about_answers(self, table: pl.DataFrame) -> tuple[str, ...]:
        found = []
        unknown, pieces = int(table["unknown"].sum()), int(table["length"].sum())
        if unknown:
            found.append(f"{unknown:,} of {pieces:,} pieces of the sources are unknown to the model")
        cut = int((table["uncut"] > table["length"]).sum())
        if cut:
            found.append(f"{counted(cut, 'source')} cut: the model reads no more pieces (window=...)")
        longer = int((table["uncut"] > self.source_length).sum())
        if longer:
            what = f"of {self.source_length - 1:,} pieces: what is answered there was never learned"
            found.append(f"{counted(longer, 'source')} longer than any in training, {what}")
        return tuple(found)

    # --- scores ---------------------------------------------------------------------------------------------------
    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """Of sentences BLEU, chrF and TER; the share that is exactly right; the perplexity of a piece."""
        table = evaluation.table
        texts, references = table["prediction"].to_list(), [json.loads(one) for one in table["references"]]
        groups = groups_of(table, np.ones(len(table), bool))
        rows = Rows(self._are_exact(texts, references), np.ones(len(table)), groups)
        found = {EXACT: share(rows, generator(0, "bootstrap", EXACT)).interval}
        if not self.is_short:
            found = {**translation_metrics(texts, references, 0), **found}
        if {"loss", "target_pieces"} <= set(table.columns):
            found[f"perplexity of a {self.level}"] = perplexity(table)
        return found

    def less_is_better(self, measure: str) -> bool:
        return measure == "TER" or measure.startswith("perplexity")

    def between_people(self, table: pl.DataFrame) -> pl.DataFrame | None:
        """The first of several references judged by the others. Of short targets others are as right, not nearly so."""
        every = [json.loads(one) for one in table["references"]]
        rows = [row for row, some in enumerate(every) if len(some) > 1]
        if self.is_short or not rows:
            return None
        errors = self.errors_of([every[row][0] for row in rows], [every[row][1:] for row in rows])
        return table[rows].with_columns(error=pl.Series(errors))

    def reference_errors(self, train: Columns, dev: Columns) -> Mapping[str, np.ndarray]:
        """The most frequent target, the source as it is, and what the most similar source of train became."""
        sides = [[cast(Ragged, side[name]) for name in ("text", "reference")] for side in (train, dev)]
        (sources, known), (asked, references) = ((texts_of(text), parts_of(some)) for text, some in sides)
        targets = [some[0] for some in known]
        usual = usual_target(targets)
        answers = {
            f"always {usual!r}" if len(usual) <= 40 else "the most frequent target": [usual] * len(asked),
            "the source itself": asked,
            "the target of the nearest source": nearest_targets(sources, targets, asked),
        }
        return {name: self.errors_of(texts, references) for name, texts in answers.items()}

    @property
    def signature(self) -> str:
        """What the scores are, as sacrebleu names them."""
        return EXACT if self.is_short else signature()


def perplexity(table: pl.DataFrame) -> Interval:
    """exp of the mean nats of the pieces of first references, ends included, with its interval over sources."""
    losses, pieces = (table[name].cast(pl.Float64).to_numpy() for name in ("loss", "target_pieces"))
    rows = Rows(losses, pieces, groups_of(table, np.ones(len(table), bool)))
    found = mean(rows, generator(0, "bootstrap", "perplexity")).interval
    return Interval(_exp(found.value), _exp(found.low), _exp(found.high), found.method)


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < MOST_NATS else math.inf


def _as_json(one: Answer) -> str:
    every = ((one.text, one.score, one.log_probability), *one.others)
    rows = [
        {"prediction": text, "score": round(score, DIGITS), "log_probability": round(log_probability, DIGITS)}
        for text, score, log_probability in every
    ]
    return json.dumps(rows, ensure_ascii=False)
