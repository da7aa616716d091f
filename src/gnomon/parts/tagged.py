"""Tagged text: sentences and the way their words are written as tensors, a tag to be found for each token."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE, Evaluation, SplitError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import TextInputs
from gnomon.core.knobs import TAGS, TEXT, WHOLE_SEQUENCES, WHOLE_TEXTS
from gnomon.core.parts import Batch, Body, Claim, Encoder, Head, Judge, Predictions, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, Settings
from gnomon.data.columns import Columns, Ragged, gather
from gnomon.data.source import Source, counted, first_names
from gnomon.data.text.embeddings import known_vectors
from gnomon.data.text.tagged import Kind, TaggedExamples, in_characters
from gnomon.data.text.tagged_reading import MOST_TOKENS, looks_tagged, read_tagged, read_to_tag
from gnomon.data.text.tokens import SPECIAL, UNKNOWN
from gnomon.metrics import span_table
from gnomon.metrics.intervals import groups_of
from gnomon.metrics.spans import MICRO, OUTSIDE, Span, count, parts_of, scores
from gnomon.nn.tag_paths import best_path
from gnomon.runs.writer import write_bytes

LEAST_WORDS = 2  # times that a word occurs in train to be told apart: the others teach what an unknown word is
MOST_CHARACTERS = 250  # that are told apart: one byte holds them
WIDEST = 16  # characters of a word that are looked at: of a longer one the first and the last eight
NO_TAG = -1
MOST_SHOWN = 12  # types
TINY = 1e-30  # probability whose logarithm is still a number
DIGITS = 4  # decimals of scores in tables


@final
@dataclass(frozen=True)
class TaggedText(Reader):
    """Tokens in columns (CoNLL), or JSON lines of texts with spans."""

    abilities: ClassVar[frozenset[str]] = frozenset({TEXT, TAGS})
    takes_texts: ClassVar[bool] = True

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        certainty, why = looks_tagged(source)
        return Claim(certainty, why) if certainty > 0 else None

    def read(self, source: Source, settings: DataSettings) -> Reading:
        if settings.level not in (None, "word"):
            raise UsageError(f"level={settings.level}, and tags are of words.", fix="leave level out.")
        if settings.normalise:
            raise UsageError("normalise= would move the places of spans in their texts.", fix="leave normalise out.")
        return read_tagged(source, settings)

    def read_inputs(self, source: Source, settings: DataSettings, encoder: TaggedEncoder) -> Reading:
        return read_to_tag(source, encoder.kind, encoder.length)

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Sixty made-up sentences in sample.conll: who goes where, and how the words are written tells which."""
        rng = generator(seed, "sample")
        syllables = ["ba", "no", "ri", "tu", "le", "so"]
        rows = []
        for _ in range(60):
            name, place = ("".join(rng.choice(syllables, 2)) for _ in range(2))
            rows += [f"{name.capitalize()}\tB-person", f"{rng.choice(['goes', 'went', 'walks'])}\tO", "to\tO"]
            if rng.random() < 0.5:
                rows += [f"{place}burg\tB-place", f"{rng.choice(['city', 'town'])}\tI-place"]
            rows += [".\tO", ""]
        write_bytes(folder / "sample.conll", ("\n".join(rows) + "\n").encode())
        return folder / "sample.conll"

    def view(self, example: Example) -> View:
        return View(text=example.inputs, spans=example.target)


@final
@dataclass(frozen=True)
class TaggedEncoder(Encoder):
    """Sentences as the places of their words, in lower case, in a vocabulary, and of their characters as written."""

    abilities: ClassVar[frozenset[str]] = frozenset({WHOLE_SEQUENCES, WHOLE_TEXTS})

    vocabulary: tuple[str, ...]  # of the training split, in lower case, the most frequent first
    characters: tuple[str, ...]
    length: int  # tokens: longer sentences are divided
    kind: Kind
    vectors: int = 0  # numbers of each word's vector, where the model starts from vectors from elsewhere
    num_own: int = 0  # words of the vocabulary that are from train; those after them came with the vectors

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(TaggedExamples, train)
        words, characters = Counter[str](), Counter[str]()
        for position in range(len(examples)):
            own = examples.words(position)
            words.update(word.lower() for word in own)
            characters.update("".join(own))
        ranked = _ranked(words, settings.data.vocabulary)
        frequent = tuple(word for word in ranked if words[word] >= LEAST_WORDS)
        length, spelt = settings.data.window or MOST_TOKENS, _ranked(characters, MOST_CHARACTERS)
        if settings.data.embeddings is None:
            return cls(frequent, spelt, length, examples.kind, num_own=len(frequent))
        known = known_vectors(settings.data.embeddings, frequent)
        return cls(known.vocabulary, spelt, length, examples.kind, known.values.shape[1], known.num_own)

    @property
    def inputs(self) -> TextInputs:
        return TextInputs(
            SPECIAL + len(self.vocabulary), self.length, are_whole=True, num_characters=SPECIAL + len(self.characters),
            vectors=self.vectors, num_fixed=len(self.vocabulary) - self.num_own,
        )  # fmt: skip

    def notes(self, train: Examples) -> tuple[str, ...]:
        told = f"{len(self.vocabulary):,} words are told apart, in any case, and {len(self.characters):,} characters"
        return (f"{told}; of other words the model sees how they are written",)

    def input_kinds(self) -> str:
        return f"sentences of up to {self.length:,} words, and how these are written"

    def encode(self, examples: Examples) -> Columns:
        """Of each token `ids`, `characters` (WIDEST,) and `places` (start, end); of each sentence `text` in UTF-8.

        `length`, `unknown` (N,): its tokens, and how many of them the vocabulary lacks.
        """
        some = cast(TaggedExamples, examples)
        places = {word: number for number, word in enumerate(self.vocabulary, start=SPECIAL)}
        spelling = _Spelling(self.characters)
        ids, characters, at, texts, unknown = [], [], [], [], []
        for position in range(len(some)):
            words = some.words(position)
            own = np.array([places.get(word.lower(), UNKNOWN) for word in words], np.int32)
            ids.append(torch.from_numpy(own))
            characters.append(torch.from_numpy(np.stack([spelling.of(word) for word in words])))
            at.append(torch.from_numpy(some.places(position)[:, :2].copy()))
            texts.append(torch.tensor(list(some.text(position).encode()), dtype=torch.uint8))
            unknown.append(int((own == UNKNOWN).sum()))
        return {
            "length": torch.tensor([len(one) for one in ids]), "unknown": torch.tensor(unknown),
            "ids": Ragged.of(ids), "characters": Ragged.of(characters), "places": Ragged.of(at),
            "text": Ragged.of(texts),
        }  # fmt: skip

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        """`ids` (B, T, 1 + WIDEST) int64; `places` (B, T, 2); `text` (B, bytes)."""
        batch = gather(columns, indices)
        padded = {name: _ragged(columns, name).pad(indices, 0) for name in ("ids", "characters", "places", "text")}
        ids = torch.cat([padded["ids"][..., None], padded.pop("characters").int()], dim=2)
        return {**batch, **padded, "ids": ids.long()}

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return batch["ids"], batch["length"]


class _Spelling:
    """The ids of the characters of words, remembered: most words come often."""

    def __init__(self, characters: Sequence[str]) -> None:
        self._places = {one: number for number, one in enumerate(characters, start=SPECIAL)}
        self._known: dict[str, np.ndarray] = {}

    def of(self, word: str) -> np.ndarray:
        """(WIDEST,) uint8, 0 after the last character."""
        if word not in self._known:
            kept = word if len(word) <= WIDEST else word[: WIDEST // 2] + word[-WIDEST // 2 :]
            row = np.zeros(WIDEST, np.uint8)
            row[: len(kept)] = [self._places.get(one, UNKNOWN) for one in kept]
            self._known[word] = row
        return self._known[word]


def _ranked(counts: Counter[str], most: int) -> tuple[str, ...]:
    """The most frequent, of equally frequent ones the first in the order of code points."""
    return tuple(one for one, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most])


def _ragged(columns: Columns, name: str) -> Ragged:
    found = columns[name]
    assert isinstance(found, Ragged)
    return found


@final
@dataclass(frozen=True)
class TagHead(Head):
    """One tag for each token: of spans, in BIO."""

    wants: ClassVar[str] = "places"
    columns: ClassVar[tuple[str, ...]] = ("tags",)

    tag_names: tuple[str, ...]
    kind: Kind
    seen: tuple[str, ...]  # the spans of train, in lower case, in the order of code points

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(TaggedExamples, train)
        spans = [(examples.text(i), span) for i in range(len(examples)) for span in examples.spans(i)]
        kinds = sorted({span.type for _, span in spans})
        if len(kinds) < (1 if examples.kind == "spans" else 2):
            raise DataError("no sentence of train has a span to learn.", fix="tag some, or check the split.")
        if examples.kind == "tags":
            return cls(tuple(kinds), "tags", ())
        names = (OUTSIDE, *(f"{letter}-{kind}" for kind in kinds for letter in "BI"))
        seen = {text[span.start : span.end].lower() for text, span in spans}
        return cls(names, "spans", tuple(sorted(seen)))

    def notes(self, train: Examples) -> tuple[str, ...]:
        examples = cast(TaggedExamples, train)
        if self.kind == "tags":
            return ()
        counts = Counter(span.type for i in range(len(examples)) for span in examples.spans(i))
        shown = first_names([f"{kind} {number:,}" for kind, number in counts.most_common()], MOST_SHOWN)
        return (f"{counts.total():,} spans of {counted(len(counts), 'type')} in train: {shown}",)

    @property
    def chance_loss(self) -> float | None:
        return math.log(len(self.tag_names))

    def encode(self, examples: Examples) -> Columns:
        """`tags`: of each token its place in `tag_names`. Raises DataError for one that train does not have."""
        some = cast(TaggedExamples, examples)
        known = {name: number for number, name in enumerate(self.tag_names)}
        rows = []
        for position in range(len(some)):
            tags = some.tags(position)
            unknown = next((tag for tag in tags if tag not in known), None)
            if unknown is not None:
                kind = (parts_of(unknown) or ("", unknown))[1] if self.kind == "spans" else unknown
                raise DataError(
                    f"{kind!r} is not among the types that train has.", where=some.index["id"][position],
                    fix="rename or remove it, or train with data that has it.",
                )  # fmt: skip
            rows.append(torch.tensor([known[tag] for tag in tags], dtype=torch.int32))
        return {"tags": Ragged.of(rows)}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        """`tags` (B, T), NO_TAG after the end; a token is a scored unit."""
        batch = {**batch, "weight": batch["length"].float()}
        return {**batch, "tags": _ragged(columns, "tags").pad(indices, NO_TAG).long()} if "tags" in columns else batch

    def build(self, body: Body) -> nn.Module:
        return body(len(self.tag_names))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        """(B, T, K): logits of the tags at each place."""
        outputs: Tensor = model(*arguments)
        return outputs

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        flat = outputs.flatten(0, 1)
        flat = flat if flat.dtype == torch.float64 else flat.float()  # float64 of a check of gradients
        costs = functional.cross_entropy(flat, batch["tags"].flatten(), reduction="none", ignore_index=NO_TAG)
        return costs.view(outputs.shape[:2]).sum(dim=1) / batch["length"]


class Marked(NamedTuple):
    """A sentence with what is marked in it: [start, end, type, flags or score], in characters of `text`."""

    text: str
    spans: list[list[Any]]


@final
@dataclass(frozen=True)
class TagJudge(Judge):
    """Spans are right if both ends and the type are; without spans every token is one, right if its tag is."""

    can_average: ClassVar[bool] = True
    needs_calibration: ClassVar[bool] = False
    has_references: ClassVar[bool] = True

    tag_names: tuple[str, ...]
    kind: Kind
    seen: tuple[str, ...]

    @classmethod
    def of(cls, head: TagHead) -> Self:
        return cls(head.tag_names, head.kind, head.seen)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "1 - F1 of spans" if self.kind == "spans" else "wrong tokens"

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        chances = outputs.float().softmax(dim=-1)
        if self.kind == "spans":  # a path of tags that break nothing; without it, I begins spans where none was meant
            best = best_path(chances.clamp_min(TINY).log(), batch["length"], *self._allowed(outputs.device))
        else:
            best = chances.argmax(dim=-1)
        sure = chances.gather(2, best[..., None])[..., 0]
        found = [
            self._marked(text, places, tags, sure)
            for text, places, tags, sure in zip(
                _texts(batch), *(_rows(one, batch) for one in (batch["places"], best, sure)), strict=True
            )
        ]
        counts = {name: batch[name].cpu().numpy() for name in ("length", "unknown")}
        tokens = counts.pop("length")
        return Predictions(found, None, {"text": [one.text for one in found], "tokens": tokens, **counts})

    def _allowed(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """(K, K) and (K,) bool: which tag may follow which, and which may begin a sentence, in BIO."""
        inside = [parts_of(name) or ("", "") for name in self.tag_names]
        follows = [
            [letter != "I" or (before != OUTSIDE and kind == one) for letter, kind in inside] for before, one in inside
        ]
        starts = [letter != "I" for letter, _ in inside]
        return torch.tensor(follows, device=device), torch.tensor(starts, device=device)

    def _marked(self, text: str, places: np.ndarray, tags: np.ndarray, sure: np.ndarray) -> Marked:
        """A span's score is the lowest probability among its tags."""
        spans = in_characters([self.tag_names[tag] for tag in tags.tolist()], places, self.kind)
        first, last = ({int(edge): row for row, edge in enumerate(places[:, side])} for side in (0, 1))
        lowest = [float(sure[first[one.start] : last[one.end] + 1].min()) for one in spans]
        return Marked(text, [[*span, round(score, DIGITS)] for span, score in zip(spans, lowest, strict=True)])

    def targets(self, batch: Batch) -> Sequence[Any]:
        seen = frozenset(self.seen)
        sides = (batch["places"], batch["tags"], batch["ids"][..., 0])
        return [
            Marked(text, self._flagged(text, places, tags, ids, seen))
            for text, places, tags, ids in zip(_texts(batch), *(_rows(one, batch) for one in sides), strict=True)
        ]

    def _flagged(
        self, text: str, places: np.ndarray, tags: np.ndarray, ids: np.ndarray, seen: frozenset[str]
    ) -> list[list[Any]]:  # fmt: skip
        spans = in_characters([self.tag_names[tag] for tag in tags.tolist()], places, self.kind)
        new = {int(start) for (start, _), one in zip(places.tolist(), ids.tolist(), strict=True) if one == UNKNOWN}
        found: list[list[Any]] = []
        for span in spans:
            words = []
            if self.kind == "spans" and text[span.start : span.end].lower() not in seen:
                words.append(span_table.UNSEEN)
            if any(span.start <= start < span.end for start in new):
                words.append(span_table.UNKNOWN)
            found.append([*span, " ".join(words)])
        return found

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        """1 - F1 of each sentence's spans; 0 where there is nothing to find and nothing is found."""
        pairs = zip(self.targets(batch), values, strict=True)
        sides = [(_spans(truth), _spans(said)) for truth, said in pairs]
        return span_table.errors_of(count([truth for truth, _ in sides], [said for _, said in sides]))

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        """JSON, see metrics/span_table.py."""
        return pl.Series([json.dumps(cast(Marked, one).spans, ensure_ascii=False) for one in values], dtype=pl.String)

    def on_view(self, view: View, row: Mapping[str, Any], column: str) -> View:
        entries = span_table.entries_of(row[column]) or []
        return replace(view, text=row.get("text", view.text), spans=[tuple(one[:3]) for one in entries])

    def answer_rows(self, table: pl.DataFrame) -> pl.DataFrame:
        """One row for each span, with its words."""
        rows = [
            {"id": str(name), "start": one[0], "end": one[1], "type": one[2], "text": text[one[0] : one[1]],
             "score": one[3]}
            for name, cell, text in zip(table["id"], table["prediction"], table["text"], strict=True)
            for one in json.loads(cell)
        ]  # fmt: skip
        whole, words = dict.fromkeys(("start", "end"), pl.Int64), dict.fromkeys(("type", "text"), pl.String)
        return pl.DataFrame(rows, schema={"id": pl.String, **whole, **words, "score": pl.Float64})

    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        return span_table.read(table).split_error()

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """F1, precision and recall, of all together and of each type; of tags without spans, their accuracy and F1."""
        counts = span_table.read(evaluation.table).counts
        found = scores(counts, groups_of(evaluation.table, np.ones(len(evaluation.table), bool)))
        if self.kind == "spans" or not found:
            return found
        rest = {name: one for name, one in found.items() if name not in MICRO}
        return {"accuracy": found["F1"], "mean F1 of the tags": found["mean F1 of the types"], **rest}

    def less_is_better(self, measure: str) -> bool:
        return False

    def joined(self, parts: Sequence[Any]) -> Any:
        """Logits of several batches, each padded to the longest of all."""
        longest = max(part.shape[1] for part in parts)
        return torch.cat([functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts])

    @property
    def question(self) -> Mapping[str, tuple[str, ...]]:
        return {"tags": self.tag_names}

    def averaged(self, answers: Sequence[tuple[Self, Any]]) -> Tensor:
        """The logarithm of the mean of their probabilities."""
        chances = [outputs.float().softmax(dim=-1) for _, outputs in answers]
        return torch.stack(chances).mean(dim=0).log()

    def reference_answers(self, train: Columns, dev: Columns) -> Mapping[str, Sequence[Any]]:
        """The tag that each word has most often, and a linear model of the words around."""
        from gnomon.strategy.tag_references import by_words, frequent_tags

        (words, tags), (asked, _) = (_words_and_tags(one) for one in (train, dev))
        plain = self.tag_names.index(OUTSIDE) if self.kind == "spans" else None
        found = {
            "the usual tag of each word": frequent_tags(words, tags, asked, plain),
            "linear model of the words around": by_words(words, tags, asked),
        }
        texts, places = _texts_of(dev), _ragged(dev, "places")
        return {
            name: [
                self._marked(texts[row], places.row(row).numpy(), own, np.ones(len(own)))
                for row, own in enumerate(answers)
            ]
            for name, answers in found.items()
        }


def _spans(one: Marked) -> tuple[Span, ...]:
    return tuple(Span(*span[:3]) for span in one.spans)


def _texts(batch: Batch) -> list[str]:
    """The sentences of a batch, from their bytes, behind which zeros pad."""
    return [bytes(row.tolist()).rstrip(b"\0").decode() for row in batch["text"].cpu().numpy()]


def _texts_of(columns: Columns) -> list[str]:
    texts = _ragged(columns, "text")
    return [bytes(texts.row(row).numpy()).decode() for row in range(len(texts))]


def _rows(values: Tensor, batch: Batch) -> list[np.ndarray]:
    """(B, T, ...) cut at the end of each sentence."""
    return [row[:size] for row, size in zip(values.cpu().numpy(), batch["length"].tolist(), strict=True)]


def _words_and_tags(columns: Columns) -> tuple[list[list[str]], list[np.ndarray]]:
    places, tags = _ragged(columns, "places"), _ragged(columns, "tags")
    words = [
        [text[start:end] for start, end in places.row(row).tolist()] for row, text in enumerate(_texts_of(columns))
    ]
    return words, [tags.row(row).numpy() for row in range(len(tags))]
