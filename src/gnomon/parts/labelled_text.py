"""Texts with a class each: how they are read, and how they become ids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast, final

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn

from gnomon.core.errors import UsageError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import TextInputs
from gnomon.core.knobs import COLUMNS, GROUPS, LABELLED_TEXT, TEXT, WHOLE_SEQUENCES, WHOLE_TEXTS
from gnomon.core.parts import Batch, Claim, Encoder, PlainInputs, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, Settings
from gnomon.data.columns import Columns, gather
from gnomon.data.source import Source
from gnomon.data.text import labelled
from gnomon.data.text.embeddings import known_vectors
from gnomon.data.text.examples import Each, TextExamples
from gnomon.data.text.subwords import learned, pieces_of
from gnomon.data.text.tokens import SPECIAL, UNKNOWN, Numbering, normalised, smallest_type, vocabulary_of
from gnomon.runs.writer import write_bytes

LONGEST = {"character": 2_048, "word": 512, "subword": 768}  # pieces of a text that are read, by default
LEVEL = "word"


@final
@dataclass(frozen=True)
class LabelledTexts(Reader):
    """Texts in class folders, in a column beside their class, or in lines that begin with it."""

    abilities: ClassVar[frozenset[str]] = frozenset({TEXT, LABELLED_TEXT, COLUMNS, GROUPS})
    takes_texts: ClassVar[bool] = True

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        certainty, why = labelled.recognise(source, settings)
        return Claim(certainty, why) if certainty > 0 else None

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return labelled.read_labelled(source, settings)

    def read_inputs(self, source: Source, settings: DataSettings, encoder: LabelledTextEncoder) -> Reading:
        return labelled.read_texts(source, settings, encoder.each, encoder.column)

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Sixty short opinions of made-up words in folders pos and neg: a few words tell which, and "no" turns them."""
        rng = generator(seed, "sample")
        good, bad, others = ("lum", "pareo", "finti"), ("gok", "druz", "harg"), ("ba", "no", "te", "sil", "mor", "wen")
        for number in range(60):
            is_good, is_turned = number % 2 == 0, rng.random() < 0.25
            telling = rng.choice(good if is_good != is_turned else bad)
            words = [*rng.choice(others[2:] if is_turned else others, int(rng.integers(2, 6)))]
            at = int(rng.integers(0, len(words) + 1))
            words[at:at] = ["not", telling] if is_turned else [telling]
            name = f"{'pos' if is_good else 'neg'}/{number:02}.txt"
            write_bytes(folder / name, (" ".join(words) + ".\n").encode())
        return folder

    def view(self, example: Example) -> View:
        return View(text=example.inputs)


@final
@dataclass(frozen=True)
class LabelledTextEncoder(Encoder):
    """Texts as the places of their words (or characters, subwords) in a vocabulary."""

    abilities: ClassVar[frozenset[str]] = frozenset({WHOLE_SEQUENCES, WHOLE_TEXTS})
    references: ClassVar[tuple[str, ...]] = ("naive Bayes", "logistic regression")

    level: str  # "character", "word" or "subword"
    vocabulary: tuple[str, ...]  # of the training split, the most frequent first
    length: int  # pieces of the longest training text: longer ones are cut
    each: Each  # what a text is: a whole file, or a line
    column: str = ""  # of the table that texts are from
    subwords: str = ""  # the model that divides into them
    normalise: tuple[str, ...] = ()  # what texts are changed by before they are read
    vectors: int = 0  # numbers of each word's vector, where the model starts from vectors from elsewhere
    num_own: int = 0  # words of the vocabulary that are from train; those after them came with the vectors

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples, data = cast(TextExamples, train), settings.data
        level, subwords = data.level or LEVEL, ""
        texts = [normalised(text, data.normalise) for text in examples.texts()]
        if level == "subword":
            subwords = learned(texts, data.vocabulary)
            vocabulary = pieces_of(subwords)
        else:
            vocabulary = vocabulary_of(texts, level, data.vocabulary, 1)
        vectors, num_own = 0, len(vocabulary)
        if data.embeddings is not None:
            if level != "word":
                raise UsageError(
                    f"embeddings= are vectors of words, and level={level} reads others.",
                    fix="leave level or embeddings out.",
                )
            known = known_vectors(data.embeddings, vocabulary)
            vocabulary, vectors = known.vocabulary, known.values.shape[1]
        numbering = Numbering(vocabulary, level, subwords)
        longest = max(len(numbering.ids(text)) for text in texts)
        most = data.window or LONGEST[level]
        return cls(level, vocabulary, max(1, min(longest, most)), examples.each, examples.column, subwords,
                   data.normalise, vectors, num_own)  # fmt: skip

    @property
    def inputs(self) -> TextInputs:
        num_fixed = len(self.vocabulary) - self.num_own
        return TextInputs(
            SPECIAL + len(self.vocabulary), self.length, are_whole=True, vectors=self.vectors, num_fixed=num_fixed
        )

    def numbering(self) -> Numbering:
        """From texts to ids."""
        return Numbering(self.vocabulary, self.level, self.subwords, self.normalise)

    def notes(self, train: Examples) -> tuple[str, ...]:
        others = "others are written as bytes" if self.subwords else "others are unknown"
        more = len(self.vocabulary) - self.num_own
        added = f", {more:,} of them only by the vectors" if more else ""
        found = [f"{len(self.vocabulary):,} {self.level}s are told apart{added}; {others}"]
        numbering = self.numbering()
        cut = sum(len(numbering.ids(text)) > self.length for text in cast(TextExamples, train).texts())
        if cut:
            found.append(
                f"{cut:,} training texts are cut after {self.length:,} {self.level}s (window=... to change that)"
            )
        return tuple(found)

    def input_kinds(self) -> str:
        return f"text of up to {self.length:,} {self.level}s"

    def encode(self, examples: Examples) -> Columns:
        """Of each text, as far as it is kept: `ids` (N, L), padded with 0; their number, `length` (N,)."""
        texts, numbering = cast(TextExamples, examples), self.numbering()
        ids = np.zeros((len(texts), self.length), smallest_type(self.inputs.num_ids))
        lengths = np.empty(len(texts), np.int32)
        for row, text in enumerate(texts.texts()):
            own = numbering.ids(text)[: self.length]
            ids[row, : len(own)], lengths[row] = own, len(own)
        return {"ids": torch.from_numpy(ids), "length": torch.from_numpy(lengths)}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        """`ids` (B, T) int64, cut to the longest of the batch."""
        batch = gather(columns, indices)
        batch["ids"] = batch["ids"][:, : max(1, int(batch["length"].max()))].long()
        return batch

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return batch["ids"], batch["length"]

    def plain_inputs(self, columns: Columns) -> PlainInputs:
        """Which words are in each text."""
        ids = cast(Tensor, columns["ids"]).cpu().numpy()
        rows, places = np.nonzero(ids >= SPECIAL)
        words = ids[rows, places].astype(np.int64) - SPECIAL
        presence = scipy.sparse.csr_array(
            (np.ones(len(rows), np.float32), (rows, words)), (len(ids), len(self.vocabulary))
        )
        presence.sum_duplicates()
        presence.data[:] = 1.0
        return PlainInputs(np.empty((len(ids), 0), np.float32), np.empty((len(ids), 0), np.int64), presence=presence)

    def has_unknown(self, examples: Examples) -> np.ndarray | None:
        if self.level == "subword":
            return None
        numbering = self.numbering()
        return np.array([bool((numbering.ids(text) == UNKNOWN).any()) for text in cast(TextExamples, examples).texts()])
