"""Text: how it is read, and how it becomes ids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import TextInputs
from gnomon.core.knobs import RUNNING_TEXT, TEXT
from gnomon.core.parts import Batch, Claim, Encoder, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
from gnomon.data.columns import Columns, gather
from gnomon.data.source import Source
from gnomon.data.text import reading
from gnomon.data.text.examples import Each, TextExamples
from gnomon.data.text.subwords import learned, pieces_of
from gnomon.data.text.tokens import END, SPECIAL, UNKNOWN, Numbering, normalised, smallest_type, vocabulary_of
from gnomon.runs.writer import write_bytes

LEAST_WORDS = 2  # times that a word occurs in train to be told apart: the others teach what an unknown word is
MOST_BYTES = {"character": 4, "word": 16, "subword": 8}  # of a piece, to find as many as are wanted before a window


@final
@dataclass(frozen=True)
class RunningText(Reader):
    """Plain text without labels: one running text, a list of lines, a folder of documents."""

    abilities: ClassVar[frozenset[str]] = frozenset({TEXT, RUNNING_TEXT})
    takes_texts: ClassVar[bool] = True

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        certainty, why = reading.looks_like_text(source)
        return Claim(certainty, why) if certainty > 0 else None

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return reading.read_running_text(source, settings)

    def read_inputs(self, source: Source, settings: DataSettings, encoder: TextEncoder) -> Reading:
        return reading.read_texts_to_predict(source, encoder.each, encoder.level, encoder.window or encoder.length - 1)

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Sixty made-up words of syllables in words.txt, one a line."""
        rng = generator(seed, "sample")
        syllables = ["ba", "no", "ri", "tu", "le", "so"]
        words = ["".join(rng.choice(syllables, int(rng.integers(2, 5)))) for _ in range(60)]
        write_bytes(folder / "words.txt", ("\n".join(words) + "\n").encode())
        return folder / "words.txt"

    def view(self, example: Example) -> View:
        return View(text=example.inputs)


@final
@dataclass(frozen=True)
class TextEncoder(Encoder):
    """Texts as the places of their characters or words in a vocabulary, and an end where a text ends."""

    level: str  # "character", "word" or "subword"
    vocabulary: tuple[str, ...]  # of the training split, the most frequent first
    length: int  # ids of the longest training text, its end included: longer ones are cut
    each: Each  # what a text is; windows of a running text have no end
    subwords: str = ""  # the model that divides into them
    window: int = 0  # that a running text was cut by, where the number of its subwords varies
    context: int = 0  # most ids of the text before a window that a model reads before it is judged on the window
    normalise: tuple[str, ...] = ()  # what texts are changed by before they are read

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        texts, data = cast(TextExamples, train), settings.data
        level = data.level or "character"
        least = LEAST_WORDS if level == "word" else 1
        subwords, window = "", data.window or reading.WINDOW[level]
        if level == "subword":
            subwords = learned([normalised(text, data.normalise) for text in texts.texts()], data.vocabulary)
            vocabulary = pieces_of(subwords)
        else:
            plain = (normalised(text, data.normalise) for text in texts.texts())
            vocabulary = vocabulary_of(plain, level, data.vocabulary, least)
        numbering = Numbering(vocabulary, level, subwords, data.normalise)
        is_counted = texts.each == "window" and level != "subword"
        looked_at = [texts.text(0)] if is_counted else texts.texts()  # no such window is longer than the first
        longest = max(len(numbering.ids(text)) for text in looked_at)
        if texts.each != "window":
            return cls(level, vocabulary, min(longest, window) + 1, texts.each, subwords, normalise=data.normalise)
        length = longest if level == "subword" else min(longest, window)
        return cls(
            level, vocabulary, length + 1, texts.each, subwords, window * (level == "subword"), context=length,
            normalise=data.normalise,
        )  # fmt: skip

    @property
    def inputs(self) -> TextInputs:
        return TextInputs(SPECIAL + len(self.vocabulary), self.length)

    def numbering(self) -> Numbering:
        """From texts to ids."""
        return Numbering(self.vocabulary, self.level, self.subwords, self.normalise)

    def notes(self, train: Examples) -> tuple[str, ...]:
        others = "others are written as bytes" if self.subwords else "others are unknown"
        found = [f"{len(self.vocabulary):,} {self.level}s are told apart; {others}"]
        most, texts = self.length - 1, cast(TextExamples, train)
        cut = 0
        if self.each != "window":
            numbering = self.numbering()
            cut = sum(len(numbering.ids(text)) > most for text in texts.texts())
        if cut:
            found.append(f"{cut:,} training texts are cut after {most:,} {self.level}s (window=... to change that)")
        return tuple(found)

    def input_kinds(self) -> str:
        return f"text of up to {self.length - 1:,} {self.level}s"

    def encode(self, examples: Examples) -> Columns:
        """Of each text, as far as it is kept: `ids` (N, L), padded with 0; their number, `length` (N,).

        `bytes` (N,): of that part in UTF-8; `unknown` (N,): how many ids stand for no piece of the vocabulary. Of
        windows, `context` (N,): how many of the ids, the first ones, are of the text before it. They count in `length`
        alone.
        """
        texts, numbering = cast(TextExamples, examples), self.numbering()
        ids = np.zeros((len(texts), self.context + self.length), smallest_type(self.inputs.num_ids))
        counts = np.empty((4, len(texts)), np.int32)
        for row, text in enumerate(texts.texts()):
            own = numbering.ids(text)
            if self.each != "window":
                own = np.append(own, END)
            kept = text if len(own) <= self.length else numbering.beginning(text, self.length)
            own = own[: self.length]
            before = self._before(texts, row, numbering)
            ids[row, : len(before) + len(own)] = np.concatenate([before, own])
            counts[:, row] = len(before) + len(own), len(kept.encode()), (own == UNKNOWN).sum(), len(before)
        lengths, sizes, unknown, context = torch.from_numpy(counts)
        columns = {"ids": torch.from_numpy(ids), "length": lengths, "bytes": sizes, "unknown": unknown}
        return {**columns, "context": context} if self.context else columns

    def _before(self, texts: TextExamples, row: int, numbering: Numbering) -> np.ndarray:
        """(C,) ids of the text before a window, at most `context`."""
        if not self.context:
            return np.empty(0, np.int32)
        return numbering.ids(texts.before(row, self.context * MOST_BYTES[self.level]))[-self.context :]

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        """`ids` (B, T) int64, cut to the longest of the batch."""
        batch = gather(columns, indices)
        batch["ids"] = batch["ids"][:, : int(batch["length"].max())].long()
        return batch

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        """Training takes windows without what stands before them, which was paid for as a window of its own."""
        if "context" not in batch:
            return batch
        context, lengths = batch["context"], batch["length"] - batch["context"]
        places = torch.arange(int(lengths.max()), device=context.device)
        ids = batch["ids"].gather(1, (context[:, None] + places).clamp_max(batch["ids"].shape[1] - 1))
        is_own = places < lengths[:, None]
        return {**batch, "ids": ids * is_own, "length": lengths, "context": torch.zeros_like(context)}

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return batch["ids"], batch["length"]
